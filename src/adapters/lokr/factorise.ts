/** How LoKr splits a dimension, and which of its factors are stored whole. */
import { patchOf } from '../patches.ts';
import type { Layer } from '../types.ts';

/** PEFT's split of `dimension` near `factor`; -1 asks for the two closest divisors. */
export function factorise(dimension: number, factor: number): readonly [number, number] {
  // A factor that divides is taken as it is, even where that puts the larger number first.
  if (factor > 0 && dimension % factor === 0) return [factor, dimension / factor];
  const limit = factor === -1 ? dimension : factor;
  let m = 1;
  let n = dimension;
  while (m < n) {
    let next = m + 1;
    while (dimension % next !== 0) next++;
    const other = dimension / next;
    if (next > limit || next + other > dimension + 1) break;
    m = next;
    n = other;
  }
  return m > n ? [n, m] : [m, n];
}

/** ΔW [outL·outK, inM·inN] = w1 [outL, inM] ⊗ w2 [outK, inN]; a convolution's channels are split, and the kernel belongs to w2. */
export interface KroneckerShape {
  readonly outL: number;
  readonly outK: number;
  readonly inM: number;
  readonly inN: number;
  /** Whether the factor is stored whole, or else as a product of rank r. */
  readonly whole1: boolean;
  readonly whole2: boolean;
}

export function kroneckerShape(
  layer: Layer,
  rank: number,
  config: { readonly decompose_both: boolean; readonly decompose_factor: number },
): KroneckerShape {
  const { channels, area } = patchOf(layer);
  const [inM, inN] = factorise(channels, config.decompose_factor);
  const [outL, outK] = factorise(layer.out, config.decompose_factor);
  return {
    ...{ outL, outK, inM, inN: inN * area },
    whole1: !(config.decompose_both && rank < Math.max(outL, inM) / 2),
    whole2: !(rank < Math.max(outK, inN) / 2),
  };
}
