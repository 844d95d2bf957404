/** One setting: label with symbol and explanation, the control its schema asks for, its default, and the way back to it. */
import { type ComponentProps, type ReactNode, useEffect, useId, useState } from 'react';
import type { z } from 'zod';
import { say, symbolClass } from '../../../common.ts';
import { fieldMeta } from '../../../methods.ts';
import { letterOf } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Check, Fold, Toggle } from '../../parts/Controls.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { Locked } from '../../parts/Locked.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Stops } from '../../parts/Stops.tsx';
import { Tip } from '../../parts/Tip.tsx';
import { useHold } from '../../usePage.ts';
import { type Control, controlOf, stopsOf } from './controls.ts';
import { sameValue } from './settings.ts';

export interface FieldProps {
  readonly id: string;
  /** Says what the setting is and which control it gets. */
  readonly schema: z.ZodType;
  readonly value: unknown;
  readonly initial: unknown;
  /** What fills the value in where it is left open. */
  readonly filled?: string | undefined;
  /** Where usual values are offered beside the box: why one is illegal now, or null. */
  readonly reasonFor?: (value: number) => string | null;
  /** Sets the value; returns why it is refused, or null. */
  readonly onChange: (value: unknown) => string | null;
}

const show = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value === null
      ? say`none`
      : typeof value === 'boolean'
        ? value
          ? say`on`
          : say`off`
        : JSON.stringify(value);

/** The name of a symbol: α is alpha. */
const letters = (symbol: string): string => symbol.replaceAll(/\W/g, '');

/** A symbol, what stands after its line set lower. */
function Letter({ of }: { readonly of: string }) {
  const [letter, below] = of.split('_');
  return (
    <i className="symbol">
      {letter}
      {below === undefined ? null : <sub>{below}</sub>}
    </i>
  );
}

export function Field({ id, schema, value, initial, filled, reasonFor, onChange }: FieldProps) {
  const [refusal, setRefusal] = useState<string | null>(null);
  const hold = useHold(id.replace(/^config-/, 'c.').replace(/^training-/, 't.'));
  const why = useId();
  const set = (next: unknown) => setRefusal(onChange(next));
  const isChanged = !sameValue(value, initial);
  const { title, symbol, description, options, min, max } = fieldMeta(schema)!;
  const control = controlOf(schema, options);
  if (hold === 'hidden') return null;
  const isLocked = hold === 'locked';
  const stops =
    !isLocked && reasonFor !== undefined && control.kind === 'number' && control.isWhole
      ? stopsOf(min, max)
      : [];
  return (
    <div
      className={`field ${isChanged ? 'is-changed' : ''} ${symbol === undefined ? '' : symbolClass(letters(symbol))}`}
    >
      <div className="field-head">
        <label className="field-label" htmlFor={id}>
          {title}
          {symbol === undefined ? null : <Letter of={letterOf(symbol)} />}
        </label>
        <Tip about={title}>{description}</Tip>
        <span className="field-default fine">
          {isLocked ? null : isChanged ? (
            <Action
              kind="link"
              text={say`back to ${show(initial)}`}
              onPress={() => set(initial)}
              aria-label={say`Set ${title} back to ${show(initial)}`}
            />
          ) : (
            say`default`
          )}
        </span>
      </div>
      <div className="row field-control">
        {isLocked ? (
          <input
            id={id}
            className={control.kind === 'number' ? 'box box-number' : 'box'}
            readOnly
            aria-describedby={why}
            value={show(value)}
          />
        ) : (
          <ControlOf id={id} title={title} control={control} value={value} onChange={set} />
        )}
        {stops.length > 0 ? (
          <Stops title={title} stops={stops} reasonFor={reasonFor!} value={value} onChange={set} />
        ) : null}
      </div>
      {isLocked ? <Locked id={why} /> : null}
      {filled === undefined ? null : <p className="hint">{filled}</p>}
      {refusal === null ? null : <p className="field-refusal" role="alert">{say`Not used: ${refusal}.`}</p>}
    </div>
  );
}

function ControlOf(props: {
  readonly id: string;
  readonly title: string;
  readonly control: Control;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
}): ReactNode {
  const { id, title, control, value, onChange } = props;
  switch (control.kind) {
    case 'switch':
      return (
        <Toggle id={id} label={title} isOn={value === true} onChange={onChange}>
          {value === true ? say`on` : say`off`}
        </Toggle>
      );
    case 'choice':
      return (
        <Picker
          label={title}
          isLabelHidden
          value={JSON.stringify(value)}
          items={[...(value === null ? [null] : []), ...control.options].map((option) => ({
            id: JSON.stringify(option),
            title: show(option),
          }))}
          onChange={(json) => onChange(JSON.parse(json))}
        />
      );
    case 'number':
      return (
        <TextBox
          id={id}
          value={value === null ? '' : String(value)}
          isNumber
          onCommit={(text) => onChange(text === '' ? null : Number(text))}
        />
      );
    case 'text':
      return (
        <TextBox
          id={id}
          value={String(value ?? '')}
          onCommit={(text) => onChange(text === '' ? null : text)}
        />
      );
    case 'list':
      return <ListBox id={id} control={control} value={value} onChange={onChange} />;
    case 'table':
      return <TableBox id={id} title={title} value={value} onChange={onChange} />;
    case 'json':
      return <TextBox id={id} value={JSON.stringify(value)} onCommit={(text) => onChange(parse(text))} />;
  }
}

/** JSON where it is JSON, else a list of the words. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return words(text);
  }
}

/** Settings that are rarely needed, folded away. */
export function Advanced({ children }: { readonly children: readonly ReactNode[] }) {
  const count = children.length;
  return <Fold summary={count === 1 ? say`1 more setting` : say`${count} more settings`}>{children}</Fold>;
}

/** Names or numbers that commas or spaces part. */
export const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** A text box that hands over its text when it is left or Enter is pressed. */
function TextBox({
  value,
  isNumber = false,
  onCommit,
  ...input
}: ComponentProps<'input'> & {
  readonly value: string;
  readonly isNumber?: boolean;
  readonly onCommit: (text: string) => void;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const commit = () => {
    if (text.trim() !== value) onCommit(text.trim());
  };
  return (
    <input
      className={isNumber ? 'box box-number' : 'box'}
      type="text"
      inputMode={isNumber ? 'decimal' : 'text'}
      spellCheck={false}
      autoComplete="off"
      {...input}
      value={text}
      onChange={(event) => setText(event.target.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        if (event.key === 'Escape') setText(value);
      }}
    />
  );
}

/** Names or numbers with commas between them; where one expression may stand for all, a box says which it is. */
function ListBox(props: {
  readonly id: string;
  readonly control: Extract<Control, { kind: 'list' }>;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
}) {
  const { id, control, value, onChange } = props;
  const isOne = typeof value === 'string';
  const text = Array.isArray(value) ? value.join(', ') : String(value ?? '');
  const commit = (typed: string, one: boolean): void => {
    const list = words(typed);
    if (typed === '') onChange(null);
    else if (one) onChange(typed);
    // What is no number is handed over as it is, so that the refusal can name it.
    else
      onChange(control.of === 'text' ? list : list.map((word) => (/^\d+$/.test(word) ? Number(word) : word)));
  };
  return (
    <>
      <TextBox id={id} value={text} onCommit={(typed) => commit(typed, isOne)} />
      {control.orOne ? (
        <Check
          isOn={isOne}
          isDisabled={text === ''}
          onChange={(isOn) => commit(isOn ? words(text).join('|') : text, isOn)}
        >{say`one expression`}</Check>
      ) : null}
    </>
  );
}

type Row = readonly [name: string, number: string];

const rowsOf = (value: unknown): Row[] =>
  Object.entries((value ?? {}) as Record<string, number>).map(([name, number]) => [name, String(number)]);

/** Numbers by module name or expression, a row each. */
function TableBox(props: {
  readonly id: string;
  readonly title: string;
  readonly value: unknown;
  readonly onChange: (value: Readonly<Record<string, number>>) => void;
}) {
  const { id, title, value, onChange } = props;
  const [rows, setRows] = useState(() => rowsOf(value));
  const outside = JSON.stringify(value ?? {});
  useEffect(() => setRows(rowsOf(JSON.parse(outside))), [outside]);
  const commit = (next: readonly Row[]): void => {
    setRows([...next]);
    const whole = next.filter(([name, number]) => name.trim() !== '' && number.trim() !== '');
    // A row that is being written is not a setting yet.
    if (whole.length < next.length) return;
    const table = Object.fromEntries(whole.map(([name, number]) => [name.trim(), Number(number)]));
    if (JSON.stringify(table) !== outside) onChange(table);
  };
  const change = (at: number, row: Row) => commit(rows.map((one, i) => (i === at ? row : one)));
  return (
    <div className="table-box">
      {rows.map(([name, number], i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place until it has a name.
        <div key={i} className="table-row">
          <TextBox
            {...(i === 0 ? { id } : {})}
            className="box mono"
            aria-label={say`${title}: module ${i + 1}`}
            placeholder={say`module or expression`}
            value={name}
            onCommit={(text) => change(i, [text, number])}
          />
          <TextBox
            aria-label={say`${title}: number ${i + 1}`}
            isNumber
            value={number}
            onCommit={(text) => change(i, [name, text])}
          />
          <IconButton
            icon="trash"
            label={say`Remove row ${i + 1} of ${title}`}
            onPress={() => commit(rows.filter((_, at) => at !== i))}
          />
        </div>
      ))}
      <Action
        kind="link"
        text={say`add a module`}
        {...(rows.length === 0 ? { id } : {})}
        aria-label={say`Add a row to ${title}`}
        onPress={() => setRows((old) => [...old, ['', '']])}
      />
    </div>
  );
}
