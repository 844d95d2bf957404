/** What the small charts of a run have in common. */
import { say } from '../../../common.ts';

/** Opacity of a run that is drawn beside the current one. */
export const BESIDE = 0.45;

export const SIDE_HEIGHT = 146;

/** Where the figures of a chart are. */
export const inTable = (what: string): string => say`${what}, figures in the table of the curves`;

/** Axes of a small chart, whose heading says what they are. */
const PLAIN = { xTitle: '', yTitle: '', isLog: false } as const;
export const byStep = (y: string) => ({ ...PLAIN, names: { x: 'step', y } });

export function Empty({ text }: { readonly text: string }) {
  return (
    <div className="chart chart-empty" style={{ height: SIDE_HEIGHT }}>
      <p>{text}</p>
    </div>
  );
}
