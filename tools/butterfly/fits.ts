/** The fits of the butterfly lab as a record: what is fitted, by the lab's own calls on an engine, and what came out. */
import { type FitShape, freeNumbers, shapesOf } from '../../src/labs/fitShapes.ts';
import { createLabs } from '../../src/labs/labs.ts';
import { determinantOf } from '../../src/labs/matrices.ts';
import { FIT_STEPS, STARTS } from '../../src/labs/protocol.ts';
import { type TargetName, targetOf } from '../../src/labs/targets.ts';
import { singularValues } from '../../src/lib/singular.ts';
import type { EngineName } from '../../src/protocol.ts';
import type { Backend } from '../../src/trainer.ts';

interface FitTrial {
  readonly name: string;
  readonly target: TargetName;
  readonly d: number;
  /** Of target and first rotations; a target that is always the same has other first rotations. */
  readonly seeds: readonly number[];
  readonly shapes: readonly FitShape[];
  /** First rotations of each fit, of which the best counts. */
  readonly starts: number;
}

const upTo = (most: number, b: number): FitShape[] =>
  Array.from({ length: most }, (_, i) => ({ m: i + 1, b }));
const FIVE = [1, 2, 3, 4, 5];
const lab = (name: string, target: TargetName, d: number, seeds: readonly number[]): FitTrial => ({
  ...{ name, target, d, seeds },
  shapes: shapesOf(d),
  starts: STARTS,
});

/** The shapes of the paper's figure 5 last, on a quarter of its inputs and on as many: with one start, and fewer targets. */
export const FIT_TRIALS: readonly FitTrial[] = [
  lab('butterfly-random', 'random', 32, FIVE),
  lab('butterfly-hadamard-16', 'hadamard', 16, [1, 2, 3]),
  lab('butterfly-hadamard-32', 'hadamard', 32, [1, 2, 3]),
  lab('butterfly-fourier-16', 'fourier', 16, [1, 2, 3]),
  lab('butterfly-fourier-32', 'fourier', 32, [1, 2, 3]),
  lab('butterfly-permutation', 'permutation', 16, FIVE),
  {
    ...{ name: 'butterfly-128', target: 'random', d: 128, seeds: [1, 2, 3], starts: 1 },
    shapes: [...upTo(7, 2), ...upTo(6, 4), ...upTo(4, 16)],
  },
  {
    ...{ name: 'butterfly-512', target: 'random', d: 512, seeds: [1], starts: 1 },
    shapes: [...upTo(9, 2), ...upTo(8, 4), ...upTo(6, 16)],
  },
];

export interface FittedShape extends FitShape {
  readonly numbers: number;
  /** ‖M − target‖ / ‖target‖ of the best start, by seed. */
  readonly errors: readonly number[];
  /** Of one block-diagonal factor: the least that there is, in closed form, by seed. */
  readonly least?: readonly number[];
}

export interface FitRecord extends Omit<FitTrial, 'shapes'> {
  readonly steps: number;
  readonly shapes: readonly FittedShape[];
  readonly engine: EngineName;
  readonly runtime: string;
  readonly date: string;
}

/**
 * The error of the nearest block-diagonal rotation: of each block of the target the singular values add up, the smallest with the other sign where the
 * block turns space inside out.
 */
export async function leastError(target: Float64Array, d: number, b: number): Promise<number> {
  let along = 0;
  for (let at = 0; at < d; at += b) {
    const block = Float64Array.from(
      { length: b * b },
      (_, i) => target[(at + Math.floor(i / b)) * d + at + (i % b)]!,
    );
    const { values } = await singularValues(block, b, b, async () => {});
    along += values.reduce((sum, v) => sum + v, 0) - (determinantOf(block, b) < 0 ? 2 * values.at(-1)! : 0);
  }
  return Math.sqrt(Math.max(0, 2 - (2 * along) / d));
}

const AT_ONCE = 20;
/** Digits that a record keeps. */
const kept = (value: number): number => Number(value.toPrecision(6));

/** @param news hears of each seed as it begins */
export async function runFits(
  { shapes, ...trial }: FitTrial,
  backend: Backend,
  runtime: string,
  news: (text: string) => void,
  steps = FIT_STEPS,
): Promise<FitRecord> {
  const { target, d, seeds, starts } = trial;
  const labs = createLabs(async () => backend);
  const errors: (readonly number[])[] = [];
  for (const seed of seeds) {
    news(`${trial.name}, seed ${seed}\n`);
    await labs.openFit({ target, d, seed, shapes, steps, starts });
    let answer = await labs.advance(AT_ONCE);
    while (answer.step < steps) answer = await labs.advance(AT_ONCE);
    errors.push(answer.best);
  }
  const targets = seeds.map((seed) => targetOf(target, d, seed));
  const leastOf = (b: number) => Promise.all(targets.map(async (one) => kept(await leastError(one, d, b))));
  return {
    ...trial,
    steps,
    shapes: await Promise.all(
      shapes.map(async (shape, i) => ({
        ...shape,
        numbers: freeNumbers(d, shape),
        errors: errors.map((best) => kept(best[i]!)),
        ...(shape.m === 1 ? { least: await leastOf(shape.b) } : {}),
      })),
    ),
    engine: backend.info.engine,
    runtime,
    date: new Date().toISOString().slice(0, 10),
  };
}
