/** What single graphs answer for a picture: neurons turned by a product of butterfly factors, and the sum of waves that is FourierFT's ΔW. */
import { createBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { butterfly } from '../ops/butterfly.ts';
import { cayley } from '../ops/cayley.ts';
import { view } from '../ops/moves.ts';
import { frequencyInputs, sparseIdft } from '../ops/sparseIdft.ts';
import { freeNumbers, trianglesOf } from './fitShapes.ts';
import { identityOf, transposedOf } from './matrices.ts';
import type { LabApi, TurnRequest } from './protocol.ts';
import type { RunBoth } from './runs.ts';

// Neurons turned, by the ops that merge OFT and BOFT into a weight; m = 1 is OFT's block-diagonal rotation.

const SKEW = 'skew';
const VECTORS = 'vectors';
const COLUMNS = 'columns';
const TURNED = 'turned';

/** Outputs {@link COLUMNS}, R's columns as rows [d, d], and {@link TURNED} [n, d]. */
function turnGraph({ d, b, m }: TurnRequest, n: number): Graph {
  const g = createBuilder();
  const number = d / b;
  const skew = g.input(SKEW, { dtype: 'f32', shape: [m * number, trianglesOf(b)] });
  const blocks = view(g, cayley(g, skew, { b, kind: 'exact', terms: 0 }), [m, number, b, b]);
  const identity = g.constant({ dtype: 'f32', shape: [d, d] }, Float32Array.from(identityOf(d)), 'identity');
  const vectors = g.input(VECTORS, { dtype: 'f32', shape: [n, d] });
  return g.finish({
    [COLUMNS]: butterfly(g, identity, blocks, { transpose: true }),
    [TURNED]: butterfly(g, vectors, blocks, { transpose: true }),
  });
}

export const createTurns =
  (run: RunBoth): LabApi['turn'] =>
  async (request) => {
    const { d, b, m, skew, vectors } = request;
    const n = vectors.length / d;
    if (skew.length !== freeNumbers(d, { m, b }) || n < 1 || !Number.isInteger(n))
      fail(
        'bad-argument',
        `${skew.length} skew numbers and ${vectors.length} of vectors are not ${m} factors of blocks of ${b} for ${d} inputs.`,
      );
    const key = JSON.stringify(['turn', d, b, m, n]);
    const { [COLUMNS]: columns, [TURNED]: turned } = await run(key, () => turnGraph(request, n), {
      [SKEW]: skew,
      [VECTORS]: vectors,
    });
    const upright = (values: readonly number[]) => [...transposedOf(values, d)];
    return {
      rotation: { engine: upright(columns!.engine), reference: upright(columns!.reference) },
      turned: turned!,
    };
  };

// The inverse transform.

const COEFFICIENTS = 'coefficients';
const UPDATE = 'update';

export const createInverse =
  (run: RunBoth): LabApi['inverse'] =>
  async ({ d, places, coefficients }) => {
    const n = places.length;
    const answer = await run(
      JSON.stringify(['inverse', d, places]),
      () => {
        const g = createBuilder();
        const spectrum = g.input(COEFFICIENTS, { dtype: 'f32', shape: [1, n] });
        const frequencies = frequencyInputs(
          g,
          Int32Array.from(places, (at) => Math.floor(at / d)),
          Int32Array.from(places, (at) => at % d),
          // A coefficient is the height of its wave.
          { out: d, in: d, scaling: d * d },
        );
        return g.finish({ [UPDATE]: view(g, sparseIdft(g, spectrum, frequencies), [d, d]) });
      },
      { [COEFFICIENTS]: coefficients },
    );
    return answer[UPDATE]!;
  };
