/** What differs between two runs as data, as it is kept: it is said in the language of whoever looks at it. */
import { z } from '../../../schema.ts';

/** A value in brief: a text as it is, the length of a long list, or nothing. */
const brief = z.union([z.string().max(400), z.number().min(0), z.null()]);

const change = z.object({
  /** `method`, `model`, `data`, `engine`, or a field: `config.r`, `training.seed`. */
  what: z.string().max(120),
  /** Left out where nothing is said of before: what the run is by itself. */
  from: brief.optional(),
  to: brief,
});

/** What a method's fields are called is of that method. Runs of earlier pages have words. */
export const changedSchema = z.union([
  z.string().max(1000),
  z.object({ method: z.string().max(40), changes: z.array(change).max(100).readonly() }),
]);

export type Brief = z.infer<typeof brief>;
export type Change = z.infer<typeof change>;
export type Changed = z.infer<typeof changedSchema>;
