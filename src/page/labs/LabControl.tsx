/** One control of a lab by its name: a slider or a choice, marked with its symbol, locked or left out as the link has it. */
import { type ReactNode, useEffect, useId } from 'react';
import { Segments } from '../parts/Controls.tsx';
import { Locked } from '../parts/Locked.tsx';
import { Range } from '../parts/Range.tsx';
import { useLab } from './useLab.ts';

/** Letters of all values together from which a choice has a row to itself. */
const WIDE = 34;

export function LabControl(props: {
  readonly name: string;
  readonly label: string;
  /** Words for the values of a choice. */
  readonly titleOf?: (value: string) => string;
  /** Why a value cannot be chosen now, or null; it is grey then, and the reason stands below. */
  readonly refuse?: (value: string) => string | null;
  /** What stands for a value that is refused. */
  readonly instead?: string;
  readonly format?: (value: number) => string;
  /** Where the end depends on something else. */
  readonly max?: number;
  readonly hint?: ReactNode;
}) {
  const { name, label, titleOf = String, refuse = () => null, instead, format, hint } = props;
  const lab = useLab();
  const why = useId();
  const control = lab.controls.find((one) => one.name === name);
  const { drawn } = lab;
  useEffect(() => {
    drawn.add(name);
    return () => {
      drawn.delete(name);
    };
  }, [drawn, name]);
  if (control === undefined || lab.hidden.includes(name)) return null;
  const isLocked = lab.locked.includes(name);
  const held = isLocked ? { isDisabled: true, describedBy: why } : {};
  const chosen = lab.text(name);
  const reasons =
    control.kind === 'choice' ? control.values.map(refuse).filter((reason) => reason !== null) : [];
  const isWide = control.kind === 'choice' && control.values.map(titleOf).join('').length > WIDE;
  const className = [
    'lab-control',
    ...(control.symbol === undefined ? [] : [`sym-${control.symbol}`]),
    ...(isWide ? ['is-wide'] : []),
  ].join(' ');
  return (
    <div className={className} data-testid={`control-${name}`} data-locked={isLocked || undefined}>
      {control.kind === 'number' ? (
        <Range
          label={label}
          value={Math.min(lab.number(name), props.max ?? control.max)}
          {...{ min: control.min, max: props.max ?? control.max, step: control.step }}
          {...(format === undefined ? {} : { format })}
          {...held}
          onChange={(value) => lab.set(name, value)}
        />
      ) : (
        <div className="lab-choice">
          <span className="range-label">{label}</span>
          <Segments
            label={label}
            value={refuse(chosen) === null ? chosen : (instead ?? chosen)}
            items={control.values.map((id) => ({
              ...{ id, title: titleOf(id), isDisabled: refuse(id) !== null },
            }))}
            {...held}
            onChange={(value) => lab.set(name, value)}
          />
        </div>
      )}
      {hint === undefined ? null : <p className="hint">{hint}</p>}
      {[...new Set(reasons)].map((reason) => (
        <p key={reason} className="hint">
          {reason}
        </p>
      ))}
      {isLocked ? <Locked id={why} /> : null}
    </div>
  );
}
