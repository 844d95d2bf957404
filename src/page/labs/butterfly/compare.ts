/** What the fits come to, beside each other: which of them are exact, and what a butterfly saves. */
import { type FitShape, freeNumbers } from '../../../labs.ts';

export interface Row extends FitShape {
  readonly numbers: number;
  readonly error: number;
}

/** Below this a fit has found its target, as far as so many steps in 32 bits go. */
const EXACT = 1e-3;

export const isExact = ({ error }: Row): boolean => error < EXACT;

export const rowsOf = (d: number, shapes: readonly FitShape[], best: readonly number[]): Row[] =>
  shapes.map((shape, i) => ({ ...shape, numbers: freeNumbers(d, shape), error: best[i]! }));

export interface Pair {
  readonly block: Row;
  readonly butterfly: Row;
}

/** The block-diagonal rotation, short of a full one, and the butterfly of no more numbers by which the butterfly is ahead most; null without any. */
export function mostTelling(rows: readonly Row[], d: number): Pair | null {
  let found: Pair | null = null;
  for (const block of rows)
    for (const butterfly of rows) {
      if (block.m > 1 || block.b === d || butterfly.m === 1 || butterfly.numbers > block.numbers) continue;
      if (found === null || block.error - butterfly.error > found.block.error - found.butterfly.error)
        found = { block, butterfly };
    }
  return found;
}
