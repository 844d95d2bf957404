/** What the butterfly lab fits, every shape that the inputs have room for, and what that comes to: which fits are exact, and what a butterfly saves. */
import { FIT_STEPS, type FitShape, freeNumbers, shapesOf, type TargetName } from '../../../labs.ts';
import { labWorker } from '../labWorker.ts';
import { type FitShown, matrixFits } from '../useFit.ts';

export interface Wanted {
  readonly target: TargetName;
  readonly d: number;
  readonly seed: number;
}

export type Fits = FitShown<Wanted, readonly FitShape[]>;

export const indexOfShape = (shapes: readonly FitShape[], { m, b }: FitShape): number =>
  shapes.findIndex((shape) => shape.m === m && shape.b === b);

/** Their parts are these shapes. */
export const BUTTERFLY_FITS = matrixFits(async (wanted: Wanted) => {
  const shapes = shapesOf(wanted.d);
  await labWorker().openFit({ ...wanted, shapes, steps: FIT_STEPS });
  return shapes as readonly FitShape[];
});

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
