/** The form by which a lesson is made of a place as it stands: texts, hints, what is locked or hidden and the question, with a preview and a link that follow. */
import type { ReactNode } from 'react';
import { say } from '../../common.ts';
import type { Quantity } from '../labs/controls.ts';
import { Action } from '../parts/Action.tsx';
import { Check } from '../parts/Controls.tsx';
import { Holding, useHeld } from '../parts/held.tsx';
import { IconButton } from '../parts/Icon.tsx';
import { type Draft, draftOf, written } from './draft.ts';
import { HandOut } from './HandOut.tsx';
import { LessonCard, type ValueNow } from './LessonCard.tsx';
import { type Lesson, lessonOf, MOST } from './lesson.ts';
import { LongText, QuestionForm } from './QuestionForm.tsx';

/** Where a lesson is made. */
export interface LessonPlace {
  readonly id: string;
  readonly controls: readonly {
    readonly name: string;
    readonly title: string;
    /** Not on screen as the place is set now. */
    readonly isAway?: boolean;
  }[];
  readonly quantities: readonly Quantity[];
  /** How it is set now, as a lesson's start. */
  readonly start: Readonly<Record<string, string>>;
  readonly valueNow: ValueNow;
  /** The lesson that is open, to be changed. */
  readonly lesson: Lesson | null;
}

/** @param children what this machine needs for it */
export function LessonForm({
  place,
  children,
}: {
  readonly place: LessonPlace;
  readonly children?: ReactNode;
}) {
  const { id, controls, quantities, start, valueNow } = place;
  const [draft, setDraft] = useHeld<Draft>('draft', () => draftOf(place.lesson, quantities));
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const read = lessonOf(written(draft, id, start, quantities));
  const lesson = 'lesson' in read ? read.lesson : null;
  const preview = `preview ${JSON.stringify([lesson?.hints, lesson?.question])}`;
  return (
    <div className="stack lesson-form" data-testid="lesson-form">
      <p className="hint">
        {say`A lesson is a link. It opens this place as it stands now, with your words, hints and a question. Nothing is uploaded: the link itself holds the lesson.`}
      </p>
      <LongText
        label={say`Title`}
        value={draft.title}
        most={MOST.title}
        rows={1}
        onText={(title) => change({ title })}
      />
      <LongText
        label={say`Introduction`}
        value={draft.intro}
        most={MOST.intro}
        rows={3}
        onText={(intro) => change({ intro })}
      />
      <Holds controls={controls} draft={draft} onChange={change} />
      <HintBoxes hints={draft.hints} onChange={(hints) => change({ hints })} />
      <QuestionForm draft={draft} quantities={quantities} valueNow={valueNow} onChange={change} />
      {children}
      {'problems' in read ? (
        <ul className="warning" data-testid="lesson-problems">
          {read.problems.map((problem) => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      ) : null}
      {lesson === null ? null : (
        // Answers and opened hints belong to the lesson as it was.
        <Holding key={preview} name={preview}>
          <LessonCard {...{ lesson, quantities, valueNow }} isPreview />
        </Holding>
      )}
      <HandOut lesson={lesson} />
    </div>
  );
}

interface PartProps {
  readonly draft: Draft;
  readonly onChange: (part: Partial<Draft>) => void;
}

function Holds({ controls, draft, onChange }: PartProps & Pick<LessonPlace, 'controls'>) {
  const toggled = (names: readonly string[], name: string, isOn: boolean) =>
    isOn ? [...names, name] : names.filter((one) => one !== name);
  if (controls.length === 0) return null;
  const columns = [
    { key: 'lock', word: (title: string) => say`Lock ${title}` },
    { key: 'hide', word: (title: string) => say`Hide ${title}` },
  ] as const;
  return (
    <fieldset>
      <legend className="field-label">{say`Controls`}</legend>
      <p className="hint">{say`What you lock cannot be moved; what you hide is not shown. Both stay as they are now.`}</p>
      <div className="lesson-holds">
        <table>
          <thead>
            <tr>
              <th scope="col">{say`Control`}</th>
              <th scope="col">{say`Locked`}</th>
              <th scope="col">{say`Hidden`}</th>
            </tr>
          </thead>
          <tbody>
            {controls.map(({ name, title, isAway }) => (
              <tr key={name}>
                <th scope="row">{isAway ? say`${title} (not on screen as it is set now)` : title}</th>
                {columns.map(({ key, word }) => (
                  <td key={key}>
                    <Check
                      isOn={draft[key].includes(name)}
                      onChange={(isOn) => onChange({ [key]: toggled(draft[key], name, isOn) })}
                    >
                      <span className="hidden">{word(title)}</span>
                    </Check>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </fieldset>
  );
}

function HintBoxes(props: {
  readonly hints: readonly string[];
  readonly onChange: (hints: readonly string[]) => void;
}) {
  const { hints, onChange } = props;
  return (
    <fieldset className="stack">
      <legend className="field-label">{say`Hints`}</legend>
      {hints.map((hint, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a hint is its place.
        <div key={i} className="row lesson-entry">
          <LongText
            label={say`Hint ${i + 1}`}
            value={hint}
            most={MOST.hint}
            rows={2}
            onText={(text) => onChange(hints.map((one, at) => (at === i ? text : one)))}
          />
          <IconButton
            icon="trash"
            label={say`Remove hint ${i + 1}`}
            onPress={() => onChange(hints.filter((_, at) => at !== i))}
          />
        </div>
      ))}
      {hints.length < MOST.hints ? (
        <p>
          <Action kind="link" text={say`add a hint`} onPress={() => onChange([...hints, ''])} />
        </p>
      ) : null}
    </fieldset>
  );
}
