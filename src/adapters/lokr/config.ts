/** LoKr's settings: PEFT's fields, how a dimension is split, and which factors are stored whole. */

import { sizeOf } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { field, size } from '../fields.ts';
import { kaiming, lycorisFields, lycorisScale } from '../lycoris.ts';
import { patchOf } from '../rules.ts';
import type { Layer, TensorInit, TensorSpec } from '../types.ts';

export const schema = z.object({
  ...lycorisFields(
    () =>
      say`Rank of a factor that is stored as a product; a factor smaller than twice the rank is stored whole.`,
    // A rank beyond every factor is how "store all of it whole" is written.
    2 ** 31 - 1,
  ),
  decompose_both: field(z.boolean(), false, {
    title: () => say`Decompose both`,
    description: () => say`Stores the first factor as a product too, where that is smaller.`,
    group: 'main',
  }),
  decompose_factor: field(size(), -1, {
    title: () => say`Split at`,
    description: () =>
      say`Size of the first factor; -1 splits inputs and outputs into the two numbers nearest to their square root.`,
    symbol: 'f',
    group: 'main',
    min: -1,
    step: 1,
  }),
  rank_dropout_scale: field(z.boolean(), false, {
    title: () => say`Scale what is kept`,
    description: () => say`Divides the rows that rank dropout keeps by their share.`,
    group: 'advanced',
  }),
  init_weights: field(z.union([z.boolean(), z.literal('lycoris')]), true, {
    title: () => say`Initialisation`,
    description: () =>
      say`true: the first factor starts at zero; "lycoris": the second one does; false: both are random.`,
    group: 'advanced',
    options: [true, false, 'lycoris'],
  }),
});

export type LokrConfig = z.output<typeof schema>;

export function tensors(layer: Layer, config: LokrConfig): readonly TensorSpec[] {
  const { rank } = lycorisScale(layer, config);
  const { outL, outK, inM, inN, whole1, whole2 } = kroneckerShape(layer, rank, config);
  const { kernel, area } = patchOf(layer);
  const zeros: TensorInit = { kind: 'zeros' };
  const zeroFirst = config.init_weights === true;
  const zeroSecond = config.init_weights === 'lycoris';
  const tensor = (name: string, shape: readonly number[], isZero: boolean): TensorSpec => ({
    name,
    shape,

    init: isZero ? zeros : kaiming(sizeOf(shape.slice(1))),
  });
  const first = whole1
    ? [tensor('lokr_w1', [outL, inM], zeroFirst)]
    : [tensor('lokr_w1_a', [outL, rank], zeroFirst), tensor('lokr_w1_b', [rank, inM], false)];
  const second = whole2
    ? [tensor('lokr_w2', layer.kind === 'conv2d' ? [outK, inN / area, ...kernel] : [outK, inN], zeroSecond)]
    : [tensor('lokr_w2_a', [outK, rank], false), tensor('lokr_w2_b', [rank, inN], zeroSecond)];
  return [...first, ...second];
}

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
