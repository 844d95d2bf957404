/** A run as it is kept, in the browser or in a file: what it was set to and came to, and its curve in a bounded number of points. */

import { say } from '../../../common.ts';
import { ENGINES, type EvalMetric, METRICS, type StepMetric } from '../../../protocol.ts';
import { z } from '../../../schema.ts';
import { decodeHash } from '../setup/link.ts';
import { newRun, type RunRecord } from '../training/runs.ts';
import { COLUMNS, createSeries, type Series, thin } from '../training/series.ts';
import { type Changed, changedSchema } from './changed.ts';
import { ENDS, type Score } from './figures.ts';

/** Points of a curve, and those of a run that many newer ones have come after. */
export const MOST_POINTS = 1500;
export const FEW_POINTS = 200;

export const NAME_LETTERS = 80;
export const NOTE_LETTERS = 2000;
/** A link of before a longer limit is longer than any: five thousand ticked modules fit in. */
const LINK_LETTERS = 2 ** 17;

const text = (most: number) => z.string().max(most);
/** JSON has no NaN: a number that is none is null. */
const measured = z.number().nullable();
const count = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const score = z.object({ step: count, value: measured }).nullable();

const figures = z.object({
  model: text(300),
  data: text(300),
  engine: z.enum(ENGINES),
  machine: text(300),
  rate: count,
  steps: count,
  totalSteps: count,
  loss: measured,
  metric: z.enum(METRICS).nullable(),
  first: score,
  best: score,
  last: score,
  stored: count,
  free: count,
  secondsPerStep: count.nullable(),
  seconds: count,
  peakBytes: count.nullable(),
});

export const keptRunSchema = z.object({
  key: z.string().regex(/^[a-z0-9-]{1,64}$/),
  name: z.string().trim().min(1).max(NAME_LETTERS),
  startedAt: z.number().min(0).max(8.64e15),
  end: z.enum(ENDS),
  link: text(LINK_LETTERS),
  changed: changedSchema,
  note: text(NOTE_LETTERS),
  sweep: text(NAME_LETTERS).nullable(),
  look: z.int().min(0).max(29),
  /** Of its curve. */
  points: z.int().min(0).max(MOST_POINTS),
  figures,
});

const column = z.array(measured).max(MOST_POINTS);

export const keptCurveSchema = z
  .object({
    columns: z.object(
      Object.fromEntries(COLUMNS.map((name) => [name, column])) as Record<
        (typeof COLUMNS)[number],
        typeof column
      >,
    ),
    evals: z
      .array(
        z.object({
          step: count,
          metric: z.enum(METRICS),
          value: measured,
          loss: measured,
          examples: count,
          words: count.optional(),
          others: z.record(z.string().max(40), z.number()).optional(),
        }),
      )
      .max(MOST_POINTS),
  })
  .refine(({ columns }) => new Set(Object.values(columns).map(({ length }) => length)).size === 1, {
    error: () => say`has columns of different lengths`,
  })
  .refine(({ columns: { step } }) => step.every((x, i) => x !== null && (i === 0 || x > step[i - 1]!)), {
    error: () => say`has steps out of order`,
  });

export type KeptRun = z.infer<typeof keptRunSchema>;
export type KeptCurve = z.infer<typeof keptCurveSchema>;

/** As float32 has them, and in a file without a tail of digits. */
const short = (x: number): number | null => (Number.isFinite(x) ? Number(x.toPrecision(9)) : null);
const read = (x: number | null): number => x ?? Number.NaN;

/** A curve in at most so many points: the lowest and highest loss of every stretch stay. */
export function curveOf(series: Series, most = MOST_POINTS): KeptCurve {
  const places = thin(series.column('loss'), most);
  const columns = Object.fromEntries(
    COLUMNS.map((name) => {
      const values = series.column(name);
      return [name, places.map((i) => short(values[i]!))];
    }),
  ) as KeptCurve['columns'];
  const { evals } = series;
  const kept = thin(
    Float64Array.from(evals, ({ value }) => value),
    most,
  ).map((i) => evals[i]!);
  return {
    columns,
    evals: kept.map((one) => ({ ...one, value: short(one.value), loss: short(one.loss) }) as EvalKept),
  };
}

type EvalKept = KeptCurve['evals'][number];

/** Fills an empty series with a kept curve. */
export function fillSeries(series: Series, { columns, evals }: KeptCurve): void {
  if (series.length > 0) return;
  columns.step.forEach((_, i) => {
    series.add(
      Object.fromEntries(COLUMNS.map((name) => [name, read(columns[name][i]!)])) as unknown as StepMetric,
    );
  });
  for (const one of evals)
    series.addEval({ ...one, value: read(one.value), loss: read(one.loss) } as EvalMetric);
}

/** The same curve in fewer points. */
export function thinned(curve: KeptCurve, most: number): KeptCurve {
  const series = createSeries();
  fillSeries(series, curve);
  return curveOf(series, most);
}

type ScoreKept = KeptRun['figures']['last'];

const scoreOf = (score: Score | null): ScoreKept => score && { ...score, value: short(score.value) };
const scoreIn = (score: ScoreKept): Score | null => score && { ...score, value: read(score.value) };

/** What is said of more is a count. */
const MOST_CHANGES = 100;

const keptChange = (changed: Changed): KeptRun['changed'] =>
  typeof changed === 'string'
    ? changed.slice(0, 1000)
    : { method: changed.method, changes: changed.changes.slice(0, MOST_CHANGES) };

/** A run as it is kept; null while it has come to nothing. */
export function keptOf(run: RunRecord, points: number): KeptRun | null {
  const { key, name, startedAt, note, sweep, look, changed, outcome } = run;
  if (outcome === null) return null;
  const { end, link, figures: of } = outcome;
  const cut = (words: string) => words.slice(0, 300);
  return {
    ...{ key, startedAt, note, sweep, look, points, end, link },
    name: name.slice(0, NAME_LETTERS),
    changed: keptChange(changed ?? ''),
    figures: {
      ...{ ...of, model: cut(of.model), data: cut(of.data), machine: cut(of.machine) },
      loss: of.loss === null ? null : short(of.loss),
      ...{ first: scoreOf(of.first), best: scoreOf(of.best), last: scoreOf(of.last) },
    },
  };
}

/** The run on the page, its curve still to be loaded. A run that was running when its page closed counts as stopped. */
export function recordOf(kept: KeptRun, id: number): RunRecord {
  const { key, name, startedAt, note, sweep, look, changed, link, figures: of } = kept;
  return {
    ...newRun(id, decodeHash(link).settings, look, name, key),
    ...{ startedAt, note, sweep, changed },
    outcome: {
      end: kept.end === 'running' ? 'stopped' : kept.end,
      link,
      figures: { ...of, first: scoreIn(of.first), best: scoreIn(of.best), last: scoreIn(of.last) },
    },
  };
}
