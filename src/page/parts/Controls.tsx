/** The controls that features share: boxes with labels, switches, folds and explanations. */
import type { ComponentProps, ReactNode } from 'react';
import { Radio, RadioGroup, Switch } from 'react-aria-components';
import { Icon } from './Icon.tsx';

/** A switch with words beside it. */
export function Toggle(props: {
  readonly id?: string;
  readonly label?: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ReactNode;
}) {
  const { id, label, isOn, onChange, children } = props;
  return (
    <Switch
      className="switch"
      isSelected={isOn}
      onChange={onChange}
      {...(id === undefined ? {} : { id })}
      {...(label === undefined ? {} : { 'aria-label': label })}
    >
      <span className="switch-track" />
      {children}
    </Switch>
  );
}

/** A few choices side by side, each with an optional second line; one that cannot be chosen now is grey. */
export function Segments<T extends string>(props: {
  readonly label: string;
  readonly value: T;
  readonly items: readonly {
    readonly id: T;
    readonly title: string;
    readonly detail?: string | undefined;
    readonly isDisabled?: boolean;
  }[];
  readonly isDisabled?: boolean;
  /** The id of what says more of it. */
  readonly describedBy?: string | undefined;
  readonly onChange: (id: T) => void;
}) {
  const { label, value, items, isDisabled = false, describedBy, onChange } = props;
  return (
    <RadioGroup
      className="segments"
      aria-label={label}
      value={value}
      isDisabled={isDisabled}
      onChange={(id) => onChange(id as T)}
      {...(describedBy === undefined ? {} : { 'aria-describedby': describedBy })}
    >
      {items.map(({ id, title, detail, isDisabled: isRefused = false }) => (
        <Radio
          key={id}
          value={id}
          className={isRefused ? 'segment is-refused' : 'segment'}
          isDisabled={isRefused}
        >
          {title}
          {detail === undefined ? null : <small className="segment-size tabular">{detail}</small>}
        </Radio>
      ))}
    </RadioGroup>
  );
}

/** A box for one line with its label above it and, where there is one, a word below; children come last. */
export function TextField({
  label,
  hint,
  isNumber = false,
  className = 'field',
  onText,
  children,
  ...input
}: Omit<ComponentProps<'input'>, 'onChange'> & {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly isNumber?: boolean;
  readonly onText: (text: string) => void;
}) {
  return (
    <label className={className}>
      <span className="field-label">{label}</span>
      <input
        className={isNumber ? 'box box-number' : 'box'}
        {...input}
        onChange={(event) => onText(event.target.value)}
      />
      {hint === undefined ? null : <span className="hint">{hint}</span>}
      {children}
    </label>
  );
}

/** A box that is ticked or not, with its words. */
export function Check(props: {
  readonly isOn: boolean;
  readonly isDisabled?: boolean;
  readonly className?: string;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ReactNode;
}) {
  const { isOn, isDisabled = false, className = 'check', onChange, children } = props;
  return (
    <label className={className}>
      <input
        type="checkbox"
        checked={isOn}
        disabled={isDisabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      {children}
    </label>
  );
}

/** What is rarely needed, folded away under a line that says what it is. */
export function Fold(props: {
  readonly summary: ReactNode;
  readonly isOpen?: boolean;
  readonly children: ReactNode;
}) {
  return (
    <details className="fold advanced" open={props.isOpen}>
      <summary>
        <Icon name="chevron" /> {props.summary}
      </summary>
      {props.children}
    </details>
  );
}
