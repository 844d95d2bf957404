/** The part of a lesson's form that makes its question: a number that the page shows, another number, or a choice, with the replies. */
import { useId } from 'react';
import { say } from '../../common.ts';
import type { Quantity } from '../labs/controls.ts';
import { Action } from '../parts/Action.tsx';
import { TextField } from '../parts/Controls.tsx';
import { IconButton } from '../parts/Icon.tsx';
import { Picker } from '../parts/Picker.tsx';
import { type Draft, KINDS, needsEveryDigit, usualTolerance } from './draft.ts';
import type { ValueNow } from './LessonCard.tsx';
import { MOST } from './lesson.ts';

const KIND_TITLES = (): Readonly<Record<Draft['kind'], string>> => ({
  none: say`No question`,
  read: say`A number that the page shows`,
  number: say`A number that you give`,
  choice: say`A choice`,
});

/** From here on it is said how many letters are left. */
const NEARLY_FULL = 0.8;

/** A box for a text of some length, with what is left of it when it is nearly full. */
export function LongText(props: {
  readonly label: string;
  readonly value: string;
  readonly most: number;
  readonly rows: number;
  readonly onText: (text: string) => void;
}) {
  const { label, value, most, rows, onText } = props;
  const counted = useId();
  const isCounted = value.length > NEARLY_FULL * most;
  return (
    <label className="field">
      <span className="field-label">{label}</span>
      <textarea
        className="box"
        rows={rows}
        value={value}
        aria-invalid={value.length > most}
        {...(isCounted ? { 'aria-describedby': counted } : {})}
        onChange={(event) => onText(event.target.value)}
      />
      {isCounted ? (
        <span id={counted} className="hint">{say`${value.length} of ${most} letters`}</span>
      ) : null}
    </label>
  );
}

interface Props {
  readonly draft: Draft;
  readonly quantities: readonly Quantity[];
  readonly valueNow: ValueNow;
  readonly onChange: (part: Partial<Draft>) => void;
}

export function QuestionForm(props: Props) {
  const { draft, quantities, valueNow, onChange } = props;
  const kinds = KINDS.filter((kind) => kind !== 'read' || quantities.length > 0);
  return (
    <fieldset className="stack">
      <legend className="field-label">{say`Question`}</legend>
      <Picker
        label={say`What is asked for`}
        value={draft.kind}
        items={kinds.map((id) => ({ id, title: KIND_TITLES()[id] }))}
        onChange={(id) => {
          const usualOf = (kind: string) =>
            kind === 'read' ? usualTolerance(valueNow(draft.quantity)) : '0';
          const isOwn = draft.tolerance !== '' && draft.tolerance !== usualOf(draft.kind);
          onChange({
            kind: id as Draft['kind'],
            ...(isOwn ? {} : { tolerance: usualOf(id) }),
          });
        }}
      />
      {draft.kind === 'none' ? null : (
        <>
          <LongText
            label={say`The question`}
            value={draft.ask}
            most={MOST.ask}
            rows={2}
            onText={(ask) => onChange({ ask })}
          />
          {draft.kind === 'read' ? <ReadPart {...props} /> : null}
          {draft.kind === 'number' ? (
            <TextField
              label={say`The right answer`}
              isNumber
              inputMode="decimal"
              value={draft.answer}
              onText={(answer) => onChange({ answer })}
            />
          ) : null}
          {draft.kind === 'choice' ? (
            <Options draft={draft} onChange={onChange} />
          ) : (
            <TextField
              label={say`How far off an answer may be`}
              isNumber
              inputMode="decimal"
              value={draft.tolerance}
              onText={(tolerance) => onChange({ tolerance })}
            />
          )}
          {needsEveryDigit(draft) ? (
            <p className="warning" data-testid="no-tolerance">
              {say`With 0 an answer has to have every digit of the number, and the page shows only some of them. With ${usualTolerance(valueNow(draft.quantity))} what is read off counts.`}
            </p>
          ) : null}
          {(['right', 'wrong'] as const).map((key) => (
            <LongText
              key={key}
              label={key === 'right' ? say`The reply to a right answer` : say`The reply to a wrong answer`}
              value={draft[key]}
              most={MOST.reply}
              rows={2}
              onText={(text) => onChange({ [key]: text })}
            />
          ))}
        </>
      )}
    </fieldset>
  );
}

/** Which number on screen, and what it is now. */
function ReadPart({ draft, quantities, valueNow, onChange }: Props) {
  const { quantity, step } = draft;
  const isAtStep = quantities.find(({ name }) => name === quantity)?.isAtStep === true;
  const at = isAtStep && step.trim() !== '' ? Number(step) : undefined;
  const now = isAtStep && at === undefined ? null : valueNow(quantity, at);
  const pick = (id: string) => {
    const isOwn = draft.tolerance !== '' && draft.tolerance !== usualTolerance(now);
    onChange({ quantity: id, ...(isOwn ? {} : { tolerance: usualTolerance(valueNow(id)) }) });
  };
  return (
    <>
      <Picker
        label={say`The number that is asked for`}
        value={quantity}
        items={quantities.map(({ name, title }) => ({ id: name, title: title() }))}
        onChange={pick}
      />
      {isAtStep ? (
        <TextField
          label={say`Of step`}
          isNumber
          inputMode="numeric"
          value={step}
          onText={(text) => onChange({ step: text })}
        />
      ) : null}
      <p className="hint">
        {now === null
          ? say`It is not on screen now. Each answer is held against the reader’s own page.`
          : say`Now it is ${Number(now.toPrecision(4))} here. Each answer is held against the reader’s own page.`}
      </p>
    </>
  );
}

function Options({ draft, onChange }: Pick<Props, 'draft' | 'onChange'>) {
  const { options, chosen } = draft;
  const group = useId();
  return (
    <>
      {options.map((option, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an option is its place.
        <div key={i} className="row lesson-entry">
          <input
            type="radio"
            name={group}
            aria-label={say`Choice ${i + 1} is right`}
            checked={chosen === i}
            onChange={() => onChange({ chosen: i })}
          />
          <TextField
            label={say`Choice ${i + 1}`}
            value={option}
            maxLength={MOST.option}
            onText={(text) => onChange({ options: options.map((one, at) => (at === i ? text : one)) })}
          />
          {options.length > 2 ? (
            <IconButton
              icon="trash"
              label={say`Remove choice ${i + 1}`}
              onPress={() =>
                onChange({
                  options: options.filter((_, at) => at !== i),
                  chosen: chosen > i ? chosen - 1 : chosen === i ? 0 : chosen,
                })
              }
            />
          ) : null}
        </div>
      ))}
      <p className="hint">{say`The marked one is right.`}</p>
      {options.length < MOST.options ? (
        <p>
          <Action
            kind="link"
            text={say`add a choice`}
            onPress={() => onChange({ options: [...options, ''] })}
          />
        </p>
      ) : null}
    </>
  );
}
