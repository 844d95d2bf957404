/** The table of runs as values: what each column shows of a run, how rows are sorted, and how one differs from a baseline. */
import { say } from '../../../common.ts';
import { isMoreBetter } from '../../../protocol.ts';
import { brief, bytes, count, duration, fixed, percent, real, scoreText } from '../../format.ts';
import type { RunRecord } from '../training/runs.ts';
import type { RunFigures } from './figures.ts';

/** A run with its figures as they are now. */
export interface RunRow {
  readonly run: RunRecord;
  /** Null while it has come to nothing. */
  readonly figures: RunFigures | null;
}

export interface NumberColumn {
  /** In the language spoken. */
  title(): string;
  /** What it is sorted and compared by; null where it was not measured. */
  value(figures: RunFigures): number | null;
  text(figures: RunFigures): string;
  /** How it differs from another: "+3.2 points", "−50 %"; empty where that cannot be said. */
  difference(figures: RunFigures, from: RunFigures): string;
}

const signed = (x: number, text: string): string => `${x < 0 ? '−' : '+'}${text}`;

/** "−50 %", "the same". */
function relative(value: number | null, from: number | null): string {
  if (value === null || from === null || from === 0) return '';
  const share = value / from - 1;
  return Math.abs(share) < 5e-4 ? say`the same` : signed(share, percent(Math.abs(share)));
}

function ofScores(figures: RunFigures, from: RunFigures): string {
  const [a, b] = [figures, from].map(({ last }) => last?.value ?? Number.NaN) as [number, number];
  if (!Number.isFinite(a) || !Number.isFinite(b) || figures.metric !== from.metric) return '';
  if (a === b) return say`the same`;
  const by = Math.abs(a - b);
  return signed(a - b, figures.metric === 'accuracy' ? say`${fixed(by * 100, 1)} points` : real(by));
}

const column = (
  title: () => string,
  value: (figures: RunFigures) => number | null,
  text: (value: number, figures: RunFigures) => string,
): NumberColumn => ({
  title,
  value,
  text(figures) {
    const of = value(figures);
    return of === null ? '–' : text(of, figures);
  },
  difference: (figures, from) => relative(value(figures), value(from)),
});

export const QUALITY: NumberColumn = {
  ...column(
    () => say`Held out`,
    ({ last }) => last?.value ?? null,
    (value, { metric }) => scoreText({ metric: metric!, value }),
  ),
  difference: ofScores,
};
const PARAMETERS = column(
  () => say`Parameters`,
  ({ free }) => free,
  count,
);
const TIME = column(
  () => say`Time`,
  ({ seconds }) => seconds,
  duration,
);
const STEP = column(
  () => say`A step`,
  ({ secondsPerStep }) => secondsPerStep,
  brief,
);
const MEMORY: NumberColumn = {
  ...column(
    () => say`Memory`,
    ({ peakBytes }) => peakBytes,
    bytes,
  ),
  // Buffers of a GPU are not what WebAssembly's memory is.
  difference: (figures, from) =>
    figures.engine === from.engine ? relative(figures.peakBytes, from.peakBytes) : '',
};

export const NUMBER_COLUMNS: readonly NumberColumn[] = [QUALITY, PARAMETERS, TIME, STEP, MEMORY];

/** What quality is set against, in which unit. */
export const COSTS = {
  parameters: { title: () => say`free parameters`, of: PARAMETERS, unit: 1 },
  time: { title: () => say`seconds of training`, of: TIME, unit: 1 },
  memory: { title: () => say`MB of memory`, of: MEMORY, unit: 2 ** 20 },
} as const;

/** Of names and what changed; sorted by when a run began. */
export const RUN_COLUMN = (): string => say`Run, and what changed`;

/** Rows by a column, runs by when they began; what was not measured comes last either way. */
export function sorted(rows: readonly RunRow[], by: string, isDown: boolean): RunRow[] {
  const sign = isDown ? -1 : 1;
  const found = NUMBER_COLUMNS.find(({ title }) => title() === by);
  if (found === undefined) return [...rows].sort((a, b) => sign * (a.run.startedAt - b.run.startedAt));
  const figureOf = ({ figures }: RunRow): number | null => {
    const value = figures && found.value(figures);
    return value === null || !Number.isFinite(value) ? null : value;
  };
  return [...rows].sort((a, b) => {
    const [x, y] = [figureOf(a), figureOf(b)];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}

/** Runs whose scores can be set side by side with this one's: the same model, data and metric. */
export const isAlike = (a: RunFigures, b: RunFigures): boolean =>
  a.model === b.model && a.data === b.data && a.metric === b.metric;

/** Of the finished runs that fit and whose scores can be set side by side with these the latest, and what it came to. */
export function latestLike(
  figures: RunFigures,
  runs: readonly RunRecord[],
  fits: (run: RunRecord) => boolean,
): { readonly run: RunRecord; readonly figures: RunFigures } | null {
  let latest: ReturnType<typeof latestLike> = null;
  for (const run of runs) {
    const { outcome } = run;
    if (outcome?.end !== 'finished' || !isAlike(outcome.figures, figures) || !fits(run)) continue;
    if (latest === null || run.startedAt >= latest.run.startedAt) latest = { run, figures: outcome.figures };
  }
  return latest;
}

/** The best score of a run, where it is better than the last. */
export function bestText({ metric, best, last }: RunFigures): string | null {
  if (metric === null || best === null || last === null) return null;
  const sign = isMoreBetter(metric) ? 1 : -1;
  if (!(sign * best.value > sign * last.value)) return null;
  return say`best ${scoreText({ metric, value: best.value })}, step ${best.step}`;
}
