/** The last comparison of methods, kept beside the runs: minutes of training outlive a reload, as far as they had come. */
import type { StoreApi } from 'zustand/vanilla';
import { METHODS, type MethodId } from '../../../methods.ts';
import { METRICS } from '../../../protocol.ts';
import { z } from '../../../schema.ts';
import type { RunBook } from '../runs/book.ts';
import type { MethodComparisonView } from './methodComparison.ts';

const KEPT_AS = 'methods';

const text = z.string().max(2000);
/** A score may be no number. */
const measured = z.number().or(z.nan());
const method = z.enum(Object.keys(METHODS) as [MethodId, ...MethodId[]]);
const metric = z.enum(METRICS);
const score = z.object({
  ...{ step: z.number(), metric, value: measured, loss: measured },
  ...{ examples: z.number(), words: z.number().optional() },
});

const row = z.object({
  method,
  settings: z.record(z.string(), z.array(z.number())),
  config: z.record(z.string(), z.unknown()),
  learningRate: z.number(),
  adapter: z.number(),
  trainable: z.object({ stored: z.number(), free: z.number() }),
  ...{ metric, before: measured, after: measured },
  ...{ examples: z.number(), words: z.number().optional() },
  own: z.object({ data: text, head: z.enum(['base', 'trained']), before: score, after: score }).nullable(),
  steps: z.number(),
  secondsPerStep: z.number().nullable(),
  peakBytes: z.number().nullable(),
  dispatchesPerStep: z.number().nullable(),
});

const schema = z.object({
  about: z.object({ model: text, data: text, budget: z.number() }),
  rows: z.array(row).min(1).max(Object.keys(METHODS).length),
  refused: z.array(z.object({ method, reason: text })).max(Object.keys(METHODS).length),
  /** Null where the page was left before it had ended. */
  ended: z.object({ ranOn: text, isWhole: z.boolean() }).nullable(),
  at: z.number(),
});

/** What of a view is worth keeping; null while there is no row. */
const worthKeeping = ({ about, rows, refused, report }: MethodComparisonView, at: number) =>
  about === null || rows.length === 0
    ? null
    : {
        ...{ about, rows, at },
        refused: refused.map(({ method, reason }) => ({ method, reason })),
        ended: report && { ranOn: report.ranOn, isWhole: report.isWhole },
      };

/** Shows what was kept, unless there is something newer, and keeps every row from now on as it comes. What cannot be read is left out. */
export async function keepComparison(
  view: StoreApi<MethodComparisonView>,
  book: Pick<RunBook, 'keptNote' | 'keepNote'>,
  now: () => number = Date.now,
): Promise<void> {
  const { data } = schema.safeParse(await book.keptNote(KEPT_AS));
  const { busy, rows } = view.getState();
  if (data !== undefined && busy === null && rows.length === 0) {
    const { about, refused, ended, at } = data;
    // A count that was not kept is left out, not undefined.
    const kept = data.rows as MethodComparisonView['rows'];
    view.setState({ about, refused, rows: kept, report: ended && { ...ended, rows: kept }, keptAt: at });
  }
  view.subscribe((after, before) => {
    if (after.rows === before.rows && after.refused === before.refused && after.report === before.report)
      return;
    const kept = worthKeeping(after, now());
    if (kept !== null) void book.keepNote(KEPT_AS, kept);
  });
}
