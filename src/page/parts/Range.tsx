/** A slider. */
import { memo, type ReactNode } from 'react';
import { Label, Slider, SliderOutput, SliderThumb, SliderTrack } from 'react-aria-components';

/** A slider with its label and value; not drawn anew while nothing of it changes. */
export const Range = memo(function Range(props: {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly tip?: ReactNode;
  readonly format?: (value: number) => string;
  readonly isDisabled?: boolean;
  /** The id of what says more of it. */
  readonly describedBy?: string | undefined;
  readonly onChange: (value: number) => void;
}) {
  const {
    label,
    value,
    min,
    max,
    step,
    tip,
    format = String,
    isDisabled = false,
    describedBy,
    onChange,
  } = props;
  const fill = max > min ? ((value - min) / (max - min)) * 100 : 0;
  return (
    <Slider
      className="range"
      value={value}
      minValue={min}
      maxValue={max}
      step={step}
      isDisabled={isDisabled || max <= min}
      onChange={(next) => onChange(next as number)}
    >
      <span className="range-label">
        <Label>{label}</Label>
        {tip}
      </span>
      <SliderTrack className="range-track">
        <span className="range-fill" style={{ width: `${fill}%` }} />
        <SliderThumb
          className="range-thumb"
          {...(describedBy === undefined ? {} : { 'aria-describedby': describedBy })}
        />
      </SliderTrack>
      <SliderOutput className="range-value">{() => format(value)}</SliderOutput>
    </Slider>
  );
});
