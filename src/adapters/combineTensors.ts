/**
 * Ways to make one tensor out of several of the same shape: weighted sums, after pruning by magnitude or at random, with or without an election of
 * signs. As PEFT's merge_utils does them, in double precision.
 *
 * Sources: Yadav et al., TIES-Merging, 2023 (arXiv:2306.01708); Yu et al., DARE, 2023 (arXiv:2311.03099).
 */
import { rng } from '../lib/rng.ts';

export const COMBINATIONS = ['linear', 'cat', 'ties', 'dare_linear', 'dare_ties', 'magnitude_prune'] as const;

/** PEFT's combination_type. */
export type Combination = (typeof COMBINATIONS)[number];

export interface TensorOptions {
  readonly type: Exclude<Combination, 'cat'>;
  /** Share of the numbers that pruning keeps, 0 to 1; at 1 nothing is pruned. */
  readonly density: number;
  /** Which sign wins where the tensors disagree: that of their sum, or that of most of them. */
  readonly majoritySign: 'total' | 'frequency';
  /** Of DARE's random choice. */
  readonly seed: number;
}

/** The largest numbers by magnitude, floor(density · count) of them; of equal ones the first. */
export function keepLargest(values: Float32Array, density: number): Float32Array {
  const kept = new Float32Array(values.length);
  const order = Uint32Array.from(values.keys());
  order.sort((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b);
  for (const i of order.subarray(0, Math.floor(density * values.length))) kept[i] = values[i]!;
  return kept;
}

/** Each number with probability `density`, divided by it, so that the expectation stays. */
export function keepRandom(
  values: Float32Array,
  density: number,
  seed: number,
  stream: number,
): Float32Array {
  const random = rng(seed, stream);
  return values.map((value) => (random.chance(density) ? value / density : 0));
}

/**
 * For every place the sum of the weighted numbers whose sign wins the vote, divided by how many they are. Signs are elected before the weights count; a
 * vote of nothing, or a draw, is for plus; zeros never win.
 */
export function electSigns(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  method: TensorOptions['majoritySign'],
): Float32Array {
  return (tensors[0] ?? new Float32Array(0)).map((_, i) => {
    let vote = 0;
    for (const tensor of tensors) vote += method === 'total' ? tensor[i]! : Math.sign(tensor[i]!);
    const sign = vote >= 0 ? 1 : -1;
    let sum = 0;
    let winners = 0;
    tensors.forEach((tensor, t) => {
      if (Math.sign(tensor[i]!) !== sign) return;
      sum += tensor[i]! * weights[t]!;
      winners++;
    });
    return sum / Math.max(winners, 1);
  });
}

function weightedSum(tensors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  return (tensors[0] ?? new Float32Array(0)).map((_, i) =>
    tensors.reduce((sum, tensor, t) => sum + tensor[i]! * weights[t]!, 0),
  );
}

/** @param stream tells this tensor from the others of the adapter, for DARE */
export function combineTensors(
  tensors: readonly Float32Array[],
  weights: readonly number[],
  { type, density, majoritySign, seed }: TensorOptions,
  stream: number,
): Float32Array {
  const whole = density >= 1;
  const pruned = tensors.map((tensor, t) => {
    if (whole || type === 'linear') return tensor;
    return type === 'ties' || type === 'magnitude_prune'
      ? keepLargest(tensor, density)
      : keepRandom(tensor, density, seed, stream * tensors.length + t);
  });
  return type === 'ties' || type === 'dare_ties'
    ? electSigns(pruned, weights, majoritySign)
    : weightedSum(pruned, weights);
}
