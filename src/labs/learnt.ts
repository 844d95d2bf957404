/** A product of butterfly factors that learns to turn one vector into another, by the ops and the optimiser that train BOFT: for the way back to the identity. */
import { rng } from '../lib/rng.ts';
import { butterfly } from '../ops/butterfly.ts';
import { cayley } from '../ops/cayley.ts';
import { scale } from '../ops/elementwise.ts';
import { view } from '../ops/moves.ts';
import type { Backend } from '../training/backend.ts';
import { openFit } from './fit.ts';
import { type FitPart, squaredDistances } from './fitGraph.ts';
import { freeNumbers, trianglesOf } from './fitShapes.ts';
import type { LabApi, LearnRequest } from './protocol.ts';

/** Its numbers begin small, so that no two factors begin alike. */
const FIRST = 0.05;

function partOf({ d, b, m, seed, from, to }: LearnRequest): FitPart {
  const random = rng(seed, 26);
  const number = d / b;
  return {
    first: Float32Array.from({ length: freeNumbers(d, { m, b }) }, () => FIRST * random.normal()),
    emit(g, numbers) {
      const skew = view(g, numbers, [m * number, trianglesOf(b)]);
      const blocks = view(g, cayley(g, skew, { b, kind: 'exact', terms: 0 }), [m, number, b, b]);
      const vector = (data: readonly number[], name: string) =>
        g.constant({ dtype: 'f32', shape: [1, 1, d] }, Float32Array.from(data), name);
      const turned = butterfly(g, vector(from, 'from'), blocks, { transpose: true });
      return { losses: squaredDistances(g, turned, vector(to, 'to')), shown: scale(g, numbers, { by: 1 }) };
    },
  };
}

/** The numbers of a part once it has learnt, which is what it shows. */
export async function learntNumbers(
  backend: Pick<Backend, 'open' | 'device'>,
  part: FitPart,
  steps: number,
): Promise<readonly number[]> {
  const fit = await openFit(backend, [part], { steps });
  try {
    await fit.advance(steps);
    return [...fit.shown(0)];
  } finally {
    await fit.close();
  }
}

export const createLearning =
  (backend: () => Promise<Pick<Backend, 'open' | 'device'>>): LabApi['learn'] =>
  async (request) =>
    learntNumbers(await backend(), partOf(request), request.steps);
