/** One setting: label with symbol and explanation, the control its schema asks for, its default, and the way back to it. */
import { type ReactNode, useState } from 'react';
import { Button, Switch } from 'react-aria-components';
import type { Control } from '../../../app/controls.ts';
import { sameValue } from '../../../app/settings.ts';
import { Icon } from '../../parts/Icon.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { Tip } from '../../parts/Tip.tsx';
import { ListBox, TableBox, TextBox, words } from './boxes.tsx';

export interface FieldProps {
  readonly id: string;
  readonly title: string;
  readonly symbol?: string | undefined;
  readonly description: string;
  readonly control: Control;
  readonly value: unknown;
  readonly initial: unknown;
  /** What fills the value in where it is left open. */
  readonly filled?: string | undefined;
  /** Values to offer beside the box, with the reason why one is illegal now. */
  readonly stops?: readonly { readonly value: number; readonly reason: string | null }[];
  /** Sets the value; returns why it is refused, or null. */
  readonly onChange: (value: unknown) => string | null;
}

const show = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value === null
      ? 'none'
      : typeof value === 'boolean'
        ? value
          ? 'on'
          : 'off'
        : JSON.stringify(value);

export function Field(props: FieldProps) {
  const { id, title, symbol, description, control, value, initial, filled, stops = [], onChange } = props;
  const [refusal, setRefusal] = useState<string | null>(null);
  const set = (next: unknown) => setRefusal(onChange(next));
  const isChanged = !sameValue(value, initial);
  return (
    <div className={`field ${isChanged ? 'is-changed' : ''}`}>
      <div className="field-head">
        <label className="field-label" htmlFor={id}>
          {title}
          {symbol === undefined ? null : <i className="symbol">{symbol}</i>}
        </label>
        <Tip about={title}>{description}</Tip>
        <span className="field-default">
          {isChanged ? (
            <Button
              className="text-button"
              onPress={() => set(initial)}
              aria-label={`Set ${title} back to ${show(initial)}`}
            >
              back to {show(initial)}
            </Button>
          ) : (
            'default'
          )}
        </span>
      </div>
      <div className="field-control">
        <ControlOf id={id} title={title} control={control} value={value} onChange={set} />
        {stops.length > 0 ? <Stops title={title} stops={stops} value={value} onChange={set} /> : null}
      </div>
      {filled === undefined ? null : <p className="hint">{filled}</p>}
      {refusal === null ? null : (
        <p className="field-refusal" role="alert">
          Not used: {refusal}.
        </p>
      )}
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
        <Switch id={id} className="switch" aria-label={title} isSelected={value === true} onChange={onChange}>
          <span className="switch-track" />
          {value === true ? 'on' : 'off'}
        </Switch>
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

function Stops(props: {
  readonly title: string;
  readonly stops: NonNullable<FieldProps['stops']>;
  readonly value: unknown;
  readonly onChange: (value: number) => void;
}) {
  const { title, stops, value, onChange } = props;
  return (
    <fieldset className="stops" aria-label={`Usual values of ${title}`}>
      {stops.map((stop) => (
        <button
          key={stop.value}
          type="button"
          className={`stop ${stop.value === value ? 'is-on' : ''}`}
          aria-pressed={stop.value === value}
          aria-disabled={stop.reason !== null}
          title={stop.reason ?? undefined}
          onClick={() => {
            if (stop.reason === null) onChange(stop.value);
          }}
        >
          {stop.value}
        </button>
      ))}
    </fieldset>
  );
}

/** A button that folds the rarely needed away. */
export function Advanced({ children, count }: { readonly children: ReactNode; readonly count: number }) {
  return (
    <details className="advanced">
      <summary>
        <Icon name="chevron" /> {count} more {count === 1 ? 'setting' : 'settings'}
      </summary>
      {children}
    </details>
  );
}
