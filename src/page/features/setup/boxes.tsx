/** Boxes of settings: a text or number, a list of names or one expression, a table of numbers by name. */
import { useEffect, useState } from 'react';
import { Button } from 'react-aria-components';
import type { Control } from '../../../app/controls.ts';
import { Icon } from '../../parts/Icon.tsx';

export const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** A text box that hands over its text when it is left or Enter is pressed, and while it is a different valid number. */
export function TextBox(props: {
  readonly id: string;
  readonly value: string;
  readonly isNumber?: boolean;
  readonly onCommit: (text: string) => void;
}) {
  const { id, value, isNumber = false, onCommit } = props;
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const commit = () => {
    if (text.trim() !== value) onCommit(text.trim());
  };
  return (
    <input
      id={id}
      className={isNumber ? 'box box-number' : 'box'}
      type="text"
      inputMode={isNumber ? 'decimal' : 'text'}
      spellCheck={false}
      autoComplete="off"
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
export function ListBox(props: {
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
        <label className="check">
          <input
            type="checkbox"
            checked={isOne}
            disabled={text === ''}
            onChange={(event) =>
              commit(event.target.checked ? words(text).join('|') : text, event.target.checked)
            }
          />
          one expression
        </label>
      ) : null}
    </>
  );
}

type Row = readonly [name: string, number: string];

const rowsOf = (value: unknown): Row[] =>
  Object.entries((value ?? {}) as Record<string, number>).map(([name, number]) => [name, String(number)]);

/** Numbers by module name or expression, a row each. */
export function TableBox(props: {
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
  const change = (at: number, row: Row) => setRows((old) => old.map((one, i) => (i === at ? row : one)));
  return (
    <div className="table-box">
      {rows.map(([name, number], i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place until it has a name.
        <div key={i} className="table-row">
          <input
            {...(i === 0 ? { id } : {})}
            className="box mono"
            aria-label={`${title}: module ${i + 1}`}
            placeholder="module or expression"
            spellCheck={false}
            value={name}
            onChange={(event) => change(i, [event.target.value, number])}
            onBlur={() => commit(rows)}
          />
          <input
            className="box box-number"
            aria-label={`${title}: number ${i + 1}`}
            inputMode="decimal"
            value={number}
            onChange={(event) => change(i, [name, event.target.value])}
            onBlur={() => commit(rows)}
            onKeyDown={(event) => {
              if (event.key === 'Enter') commit(rows);
            }}
          />
          <Button
            className="icon-button"
            aria-label={`Remove row ${i + 1} of ${title}`}
            onPress={() => commit(rows.filter((_, at) => at !== i))}
          >
            <Icon name="trash" />
          </Button>
        </div>
      ))}
      <Button
        {...(rows.length === 0 ? { id } : {})}
        className="text-button"
        aria-label={`Add a row to ${title}`}
        onPress={() => setRows((old) => [...old, ['', '']])}
      >
        add a module
      </Button>
    </div>
  );
}
