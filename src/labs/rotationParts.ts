/** What the butterfly lab fits: for every shape (m, b) and every start one product of m butterfly factors of Cayley rotations, with the ops that BOFT trains with. */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import { butterfly } from '../ops/butterfly.ts';
import { cayley } from '../ops/cayley.ts';
import { view } from '../ops/moves.ts';
import { type FitPart, squaredDistances } from './fitGraph.ts';
import { type FitShape, freeNumbers, trianglesOf } from './fitShapes.ts';
import { identityOf } from './matrices.ts';

export interface RotationTask {
  readonly d: number;
  readonly shapes: readonly FitShape[];
  /** [d, d], row by row. */
  readonly target: Float64Array;
  /** Fits of the target from different first rotations: descent can end beside the best. */
  readonly starts: number;
  readonly seed: number;
}

export function rotationParts({ d, shapes, target, starts, seed }: RotationTask): FitPart[] {
  return shapes.map((shape, i): FitPart => {
    // Small random rotations, so that no two factors begin alike.
    const random = rng(seed, 2).fork(i);
    const first = Float32Array.from({ length: starts * freeNumbers(d, shape) }, () => 0.3 * random.normal());
    return {
      first,
      emit(g, numbers) {
        const products = emitProducts(g, { ...shape, d }, numbers, starts);
        const wanted = g.constant({ dtype: 'f32', shape: [1, d, d] }, Float32Array.from(target), 'target');
        return { losses: squaredDistances(g, products, wanted), shown: products };
      },
    };
  });
}

/** The matrix of each start, [starts, d, d], from packed skew numbers. */
function emitProducts(
  g: Builder,
  { d, b, m }: FitShape & { readonly d: number },
  q: Value,
  starts: number,
): Value {
  const number = d / b;
  const rotations = cayley(g, view(g, q, [starts * m * number, trianglesOf(b)]), {
    b,
    kind: 'exact',
    terms: 0,
  });
  const identity = g.constant({ dtype: 'f32', shape: [d, d] }, Float32Array.from(identityOf(d)), 'identity');
  return butterfly(g, identity, view(g, rotations, [starts, m, number, b, b]), { stack: 'share' });
}
