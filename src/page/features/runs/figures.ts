/** A run in figures, as they are kept, sorted, compared and drawn: each was measured or counted in the run itself. */
import { say } from '../../../common.ts';
import { type EngineName, type EvalMetric, isMoreBetter, type OpenReport } from '../../../protocol.ts';
import { type Series, secondsPerStep } from '../training/series.ts';

/** A held-out score and the step it was measured at. */
export interface Score {
  readonly step: number;
  readonly value: number;
}

export interface RunFigures {
  /** What was trained, and on what, by their own names. */
  readonly model: string;
  readonly data: string;
  readonly engine: EngineName;
  readonly machine: string;
  /** The peak learning rate, as the run itself decided it. */
  readonly rate: number;
  readonly steps: number;
  readonly totalSteps: number;
  /** Of the last step, as measured. */
  readonly loss: number | null;
  readonly metric: EvalMetric['metric'] | null;
  /** Held out: before training, the best, and the last. */
  readonly first: Score | null;
  readonly best: Score | null;
  readonly last: Score | null;
  /** Parameters that train: as stored, and as free. */
  readonly stored: number;
  readonly free: number;
  /** Null where too few steps were timed. */
  readonly secondsPerStep: number | null;
  /** Pauses left out. */
  readonly seconds: number;
  /** Of the GPU; where none computes, of WebAssembly's memory, which is measured apart when somebody asks. Null until then. */
  readonly peakBytes: number | null;
}

export const ENDS = ['running', 'paused', 'finished', 'stopped', 'failed'] as const;

export interface RunOutcome {
  readonly end: (typeof ENDS)[number];
  readonly figures: RunFigures;
  /** What the page's link holds of it: settings, padding, engine. */
  readonly link: string;
}

/** What the browser calls the device; Firefox keeps it to itself. */
export const deviceName = ({ description, vendor, architecture }: OpenReport['device']): string =>
  description || [vendor, architecture].filter(Boolean).join(' ') || say`unnamed adapter`;

const scoreOf = (metric: EvalMetric | undefined): Score | null =>
  metric === undefined ? null : { step: metric.step, value: metric.value };

/** The best of some scores, the earliest where several are. */
function bestOf(evals: readonly EvalMetric[]): Score | null {
  const sign = isMoreBetter(evals[0]?.metric ?? null) ? 1 : -1;
  let best: EvalMetric | undefined;
  for (const one of evals)
    if (Number.isFinite(one.value) && (best === undefined || sign * one.value > sign * best.value))
      best = one;
  return scoreOf(best);
}

/**
 * @param rate the peak learning rate of the run
 * @param since length of the series when training last began: the steps after it warm up and are not timed
 * @param before figures of the same run earlier, whose pace counts while this sitting has timed none
 */
export function figuresOf(
  series: Series,
  { model, data, device, counts, totalSteps }: OpenReport,
  rate: number,
  since: number,
  before: RunFigures | null = null,
): RunFigures {
  const { evals } = series;
  const seconds = series.column('seconds');
  return {
    model: model.name,
    data: data.name,
    engine: device.engine,
    machine: deviceName(device),
    rate,
    steps: series.column('step').at(-1) ?? 0,
    totalSteps,
    loss: series.column('loss').at(-1) ?? null,
    metric: evals[0]?.metric ?? null,
    first: scoreOf(evals[0]),
    best: bestOf(evals),
    last: scoreOf(evals.at(-1)),
    stored: counts.trainable.stored,
    free: counts.trainable.free,
    secondsPerStep: secondsPerStep(seconds, since) ?? before?.secondsPerStep ?? null,
    seconds: seconds.at(-1) ?? 0,
    peakBytes: counts.gpu?.peakBytes ?? before?.peakBytes ?? null,
  };
}
