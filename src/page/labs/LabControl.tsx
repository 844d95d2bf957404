/** One control of a lab by its name: a slider or a choice, marked with its symbol, locked or left out as the link has it. */
import { type ReactNode, useId } from 'react';
import { say } from '../../common.ts';
import { Segments } from '../parts/Controls.tsx';
import { Range } from '../parts/Range.tsx';
import { useLab } from './useLab.ts';

export function LabControl(props: {
  readonly name: string;
  readonly label: string;
  /** Words for the values of a choice. */
  readonly titleOf?: (value: string) => string;
  /** The values that are offered now; all unless said. */
  readonly among?: readonly string[];
  readonly format?: (value: number) => string;
  /** Where the end depends on something else. */
  readonly max?: number;
  readonly hint?: ReactNode;
}) {
  const { name, label, titleOf = String, among, format, hint } = props;
  const lab = useLab();
  const why = useId();
  const control = lab.controls.find((one) => one.name === name);
  if (control === undefined || lab.hidden.includes(name)) return null;
  const isLocked = lab.locked.includes(name);
  const held = isLocked ? { isDisabled: true, describedBy: why } : {};
  const className = `lab-control ${control.symbol === undefined ? '' : `sym-${control.symbol}`}`;
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
            value={lab.text(name)}
            items={(among ?? control.values).map((id) => ({ id, title: titleOf(id) }))}
            {...held}
            onChange={(value) => lab.set(name, value)}
          />
        </div>
      )}
      {hint === undefined ? null : <p className="hint">{hint}</p>}
      {isLocked ? (
        <p id={why} className="hint">
          {say`Locked by whoever made this link.`}
        </p>
      ) : null}
    </div>
  );
}
