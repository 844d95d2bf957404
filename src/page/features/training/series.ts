/**
 * A run's curve as append-only columns outside any UI state: raw values stay, smoothing is computed over all of them first and only
 * then thinned for drawing, so nothing already drawn changes when the run grows.
 */
import { say, whole } from '../../../common.ts';
import type { EvalMetric, OpenReport, StepMetric } from '../../../protocol.ts';

/** What is measured of every step. */
export const MEASURED = ['loss', 'learningRate', 'gradNorm', 'examples', 'tokens', 'seconds'] as const;
export const COLUMNS = ['step', ...MEASURED] as const;
type StepColumn = (typeof COLUMNS)[number];

export interface Series {
  readonly length: number;
  readonly evals: readonly EvalMetric[];
  /** Rises with every change. */
  readonly version: number;
  column(name: StepColumn): Float64Array;
  add(metric: StepMetric): void;
  addEval(metric: EvalMetric): void;
  subscribe(listener: () => void): () => void;
}

export function createSeries(): Series {
  let capacity = 256;
  let length = 0;
  let version = 0;
  const evals: EvalMetric[] = [];
  const data = Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(capacity)])) as Record<
    StepColumn,
    Float64Array
  >;
  const listeners = new Set<() => void>();
  const changed = () => {
    version++;
    for (const listener of listeners) listener();
  };
  return {
    get length() {
      return length;
    },
    get version() {
      return version;
    },
    evals,
    column: (name) => data[name].subarray(0, length),
    add(metric) {
      if (length === capacity) {
        capacity *= 2;
        for (const name of COLUMNS) {
          const wider = new Float64Array(capacity);
          wider.set(data[name]);
          data[name] = wider;
        }
      }
      for (const name of COLUMNS) data[name][length] = metric[name];
      length++;
      changed();
    },
    addEval(metric) {
      evals.push(metric);
      changed();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The rows of a curve, as the trainer sent them. */
export const metricsOf = ({ length, column }: Series): StepMetric[] =>
  Array.from(
    { length },
    (_, i) => Object.fromEntries(COLUMNS.map((name) => [name, column(name)[i]!])) as unknown as StepMetric,
  );

/**
 * De-biased exponential moving average: s_t = β s_{t−1} + (1−β) x_t, shown as s_t / (1 − β^t). A value that is not finite leaves the
 * average as it was.
 */
export function smooth(values: Float64Array, beta: number): Float64Array {
  const out = new Float64Array(values.length);
  let sum = 0;
  let weight = 0;
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    if (Number.isFinite(x)) {
      sum = beta * sum + (1 - beta) * x;
      weight = beta * weight + (1 - beta);
    }
    out[i] = weight > 0 ? sum / weight : Number.NaN;
  }
  return out;
}

/** {@link smooth} in a line, for whoever reads its numbers elsewhere. */
export const smoothFormula = (beta: number): string =>
  say`de-biased exponential moving average, s_t = β s_(t−1) + (1−β) x_t, given as s_t / (1−β^t), β = ${beta}`;

/** Points of curves that no chart draws. */
export interface Undrawn {
  /** No numbers, or infinite. */
  readonly broken: number;
  /** On a scale of powers: 0 or less. */
  readonly offScale: number;
}

/** Of a curve's losses, of its steps and on held-out examples. */
export function undrawn({ column, evals }: Series, isLog: boolean): Undrawn {
  let [broken, offScale] = [0, 0];
  const count = (value: number): void => {
    if (!Number.isFinite(value)) broken++;
    else if (isLog && value <= 0) offScale++;
  };
  column('loss').forEach(count);
  for (const { loss } of evals) count(loss);
  return { broken, offScale };
}

/** How many points of the losses the chart does not have, and why. */
export function undrawnText({ broken, offScale }: Undrawn): readonly string[] {
  const texts: string[] = [];
  if (offScale > 0)
    texts.push(
      offScale === 1
        ? say`1 point off scale: it is 0 or less, for which a log scale has no place.`
        : say`${whole(offScale)} points off scale: they are 0 or less, for which a log scale has no place.`,
    );
  if (broken > 0)
    texts.push(
      broken === 1
        ? say`1 point is not drawn: it is no number, or infinite.`
        : say`${whole(broken)} points are not drawn: they are no numbers, or infinite.`,
    );
  return texts;
}

/** Indices of at most `limit` points: the first, the last, and from every bucket between them its smallest and largest value, whatever stands between that is no number. */
export function thin(values: Float64Array, limit = 1500): number[] {
  const n = values.length;
  if (n <= limit) return Array.from({ length: n }, (_, i) => i);
  const buckets = Math.floor(limit / 2) - 1;
  const kept = [0];
  for (let k = 0; k < buckets; k++) {
    const start = 1 + Math.floor((k * (n - 2)) / buckets);
    const end = 1 + Math.floor(((k + 1) * (n - 2)) / buckets);
    let low = start;
    let high = start;
    for (let i = start; i < end; i++) {
      if (values[i]! < values[low]! || Number.isNaN(values[low]!)) low = i;
      if (values[i]! > values[high]! || Number.isNaN(values[high]!)) high = i;
    }
    kept.push(Math.min(low, high));
    if (low !== high) kept.push(Math.max(low, high));
  }
  kept.push(n - 1);
  return kept;
}

/** Seconds per step, the median of the last 20; null for the first 10 steps of this sitting, which pay for warming up. */
export function secondsPerStep(seconds: Float64Array, since = 0): number | null {
  const n = seconds.length;
  if (n - since <= 10) return null;
  const gaps: number[] = [];
  for (let i = Math.max(since + 1, n - 20); i < n; i++) gaps.push(seconds[i]! - seconds[i - 1]!);
  gaps.sort((a, b) => a - b);
  const middle = gaps.length >> 1;
  return gaps.length % 2 === 1 ? gaps[middle]! : (gaps[middle - 1]! + gaps[middle]!) / 2;
}

/** What a run counts its pace in: pictures one by one, texts in tokens. */
export const unitOf = (open: Pick<OpenReport, 'data'> | null): 'tokens' | 'examples' =>
  open === null || open.data.kind === 'image' ? 'examples' : 'tokens';

/** Steps that a pace is the mean of. */
const PACE_STEPS = 20;

/** Tokens or examples a second, over the last 20 steps before each; no number where no time has passed. Pauses and evaluations are no training time. */
export function pacesOf(
  { length, column }: Pick<Series, 'length' | 'column'>,
  unit: 'tokens' | 'examples',
): Float64Array {
  const [done, seconds] = [column(unit), column('seconds')];
  return Float64Array.from({ length }, (_, i) => {
    const from = Math.max(0, i - PACE_STEPS);
    const took = seconds[i]! - seconds[from]!;
    return took > 0 ? (done[i]! - done[from]!) / took : Number.NaN;
  });
}
