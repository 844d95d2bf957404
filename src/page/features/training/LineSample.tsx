/** A run's line, as it is drawn in the charts. */
import { lineOf } from './runs.ts';

const DASH_ARRAYS = {
  solid: '',
  dash: '6 4',
  dot: '1.500 3',
  dashdot: '6 3 1.500 3',
  longdash: '10 4',
} as const;

export function LineSample({ look }: { readonly look: number }) {
  const { color, dash } = lineOf(look);
  return (
    <svg className="line-sample" width="22" height="8" aria-hidden="true">
      <line
        x1="1"
        y1="4"
        x2="21"
        y2="4"
        style={{ stroke: `var(${color})` }}
        strokeWidth="2.5"
        strokeDasharray={DASH_ARRAYS[dash]}
      />
    </svg>
  );
}
