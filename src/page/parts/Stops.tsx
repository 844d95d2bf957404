/** Usual values to press, the illegal ones greyed: why is said where one of them is pointed at, focused or pressed. */
import { useState } from 'react';
import { say } from '../../common.ts';

export function Stops(props: {
  readonly title: string;
  readonly stops: readonly number[];
  /** Why a value is illegal now, or null. */
  readonly reasonFor: (value: number) => string | null;
  readonly value: unknown;
  readonly onChange: (value: number) => void;
}) {
  const { title, stops, reasonFor, value, onChange } = props;
  const [asked, setAsked] = useState<number | null>(null);
  const why = asked === null || !stops.includes(asked) ? null : reasonFor(asked);
  return (
    <>
      <fieldset
        className="stops"
        aria-label={say`Usual values of ${title}`}
        onPointerLeave={() => setAsked(null)}
        onBlur={() => setAsked(null)}
      >
        {stops.map((stop) => {
          const reason = reasonFor(stop);
          return (
            <button
              key={stop}
              type="button"
              className={`stop ${stop === value ? 'is-on' : ''}`}
              aria-pressed={stop === value}
              aria-disabled={reason !== null}
              title={reason ?? undefined}
              onPointerEnter={() => setAsked(stop)}
              onFocus={() => setAsked(stop)}
              onClick={() => {
                if (reason === null) onChange(stop);
              }}
            >
              {stop}
            </button>
          );
        })}
      </fieldset>
      {why === null ? null : (
        <span className="hint stop-reason" role="status">
          {asked}: {why}
        </span>
      )}
    </>
  );
}
