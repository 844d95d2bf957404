/**
 * The figures of a run as files keep them: schemas for what comes back, so that a cell of the curve is a number or a name from a fixed set
 * whatever the file says.
 */
import { z } from 'zod';
import type { EvalMetric, StepMetric } from './protocol.ts';

const whole = z.int().min(0);

const stepSchema = z.object({
  step: whole.min(1),
  loss: z.number(),
  learningRate: z.number(),
  gradNorm: z.number(),
  examples: whole,
  tokens: whole,
  seconds: z.number().min(0),
}) satisfies z.ZodType<StepMetric>;

/** JSON has no infinity: {@link withNonFinite} writes its name, older files have null. */
const score = z.union([
  z.number(),
  z.enum(['Infinity', '-Infinity', 'NaN']).transform(Number),
  z.null().transform(() => Number.NaN),
]);

const evalSchema = z.object({
  step: whole,
  metric: z.enum(['accuracy', 'perplexity', 'pseudo-perplexity', 'rmse']),
  value: score,
  words: whole.optional(),
  others: z
    .object({
      macroF1: score.optional(),
      accuracy: score.optional(),
      r2: score.optional(),
      pearson: score.optional(),
    })
    .optional(),
  loss: score,
  examples: whole,
});

/** A number that JSON cannot hold, by its name; for JSON.stringify. */
export const withNonFinite = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;

/** What does not fit a schema: `steps.3.loss: expected number`. Never longer than a line. */
export function issueOf({ issues }: z.ZodError, ...at: readonly (string | number)[]): string {
  const { path, message } = issues[0]!;
  const where = [...at, ...path].map(String).join('.');
  const what = message.replace(/^Invalid input: /, '');
  return `${where === '' ? '' : `${where}: `}${what}`.slice(0, 200);
}

/** The first entry that does not fit ends it, so that a list of a million wrong entries costs one. */
function listOf<T>(list: readonly unknown[], schema: z.ZodType<T>, name: string): T[] {
  return list.map((entry, i) => {
    const parsed = schema.safeParse(entry);
    if (!parsed.success) throw new UnfitRecord(issueOf(parsed.error, name, i));
    return parsed.data;
  });
}

/** The message says which field is what; the reader of a file makes a sentence of it. */
export class UnfitRecord extends Error {}

/** @throws UnfitRecord */
export const stepsOf = (list: readonly unknown[]): StepMetric[] => listOf(list, stepSchema, 'steps');

/** @throws UnfitRecord */
export const evalsOf = (list: readonly unknown[], name = 'evals'): EvalMetric[] =>
  listOf(list, evalSchema as z.ZodType<EvalMetric>, name);
