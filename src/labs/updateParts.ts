/**
 * What the spectral lab fits: one target by LoRA and by FourierFT, with the ops that train both, at several budgets; beside each what is left at least, in
 * closed form.
 */
import { rng } from '../lib/rng.ts';
import { leftOfRank, singularValues } from '../lib/singular.ts';
import { scale } from '../ops/elementwise.ts';
import { matmul } from '../ops/matmul.ts';
import { view } from '../ops/moves.ts';
import { frequencyInputs, sparseIdft } from '../ops/sparseIdft.ts';
import { type FitPart, squaredDistances } from './fitGraph.ts';
import { energyWithin, placesOf, type Waves, wavesOf } from './frequencies.ts';
import type { Matrix } from './matrices.ts';
import { numbersOf, UPDATE_PIECES, UPDATE_SIZE } from './updatePieces.ts';

const d = UPDATE_SIZE;

export interface UpdatePlan {
  readonly parts: readonly FitPart[];
  readonly waves: Waves;
  /** Frequencies of each piece, row · d + column; none of LoRA's. */
  readonly places: readonly (readonly number[])[];
  /** ‖ΔW − target‖ / ‖target‖ that each piece leaves at least. */
  readonly floors: readonly number[];
}

/** @param placeSeed PEFT's `random_loc_seed` */
export async function planUpdates(target: Matrix, seed: number, placeSeed: number): Promise<UpdatePlan> {
  const waves = wavesOf(target, d);
  const whole = target.reduce((sum, v) => sum + v * v, 0);
  const { values } = await singularValues(target, d, d, async () => {});
  const places = UPDATE_PIECES.map(({ method, rank }) =>
    method === 'lora' ? [] : placesOf(method, waves, d, numbersOf(rank), placeSeed),
  );
  // Eckart and Young: the best matrix of a rank leaves the singular values beyond it.
  const floors = UPDATE_PIECES.map(({ method, rank }, i) =>
    method === 'lora'
      ? leftOfRank(values, rank, Math.sqrt(whole))
      : Math.sqrt(Math.max(0, whole - energyWithin(waves, d, places[i]!)) / whole),
  );
  const wanted = Float32Array.from(target);
  const parts = UPDATE_PIECES.map(({ method, rank }, i) =>
    method === 'lora' ? loraPart(wanted, rank, seed) : fourierPart(wanted, places[i]!),
  );
  return { parts, waves, places, floors };
}

/**
 * ΔW = B A, B [d, rank] at zero as LoRA begins.
 * @param shows ΔW, or the numbers of A and then of B
 */
export function loraPart(
  target: Float32Array,
  rank: number,
  seed: number,
  shows: 'update' | 'numbers' = 'update',
): FitPart {
  const random = rng(seed, 3).fork(rank);
  const first = new Float32Array(numbersOf(rank));
  for (let k = 0; k < rank * d; k++) first[k] = random.normal() / Math.sqrt(d);
  return {
    first,
    emit(g, numbers) {
      const [A, B] = [view(g, numbers, [rank, d]), view(g, numbers, [d, rank], rank * d)];
      const update = view(g, matmul(g, B, A), [1, d, d]);
      const wanted = g.constant({ dtype: 'f32', shape: [1, d, d] }, target, 'target');
      const shown = shows === 'update' ? update : scale(g, numbers, { by: 1 });
      return { losses: squaredDistances(g, update, wanted), shown };
    },
  };
}

/** ΔW from coefficients that begin at zero; at this scaling a coefficient is the height of its wave. */
function fourierPart(target: Float32Array, places: readonly number[]): FitPart {
  return {
    first: new Float32Array(places.length),
    emit(g, numbers) {
      const frequencies = frequencyInputs(
        g,
        Int32Array.from(places, (at) => Math.floor(at / d)),
        Int32Array.from(places, (at) => at % d),
        { out: d, in: d, scaling: d * d },
      );
      const update = sparseIdft(g, view(g, numbers, [1, places.length]), frequencies);
      const wanted = g.constant({ dtype: 'f32', shape: [1, d, d] }, target, 'target');
      return { losses: squaredDistances(g, update, wanted), shown: update };
    },
  };
}
