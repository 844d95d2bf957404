/**
 * product: a matrix product with everything its epilogue can do: y = activate((alpha · op(a) op(b) ⊙ scale + bias) ⊙ gain + add) · slope(at);
 * with `second` the sum of two products, as a low-rank update makes it: op(a) op(b) + a2 op(b2) in place of the first.
 * The fuse pass makes it of products and what follows them, after differentiation, so it has no gradient. Kernel: gemm.ts.
 */

import { sameShape, sizeOf } from '../graph/shape.ts';
import type { TensorType } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { ALIGNED } from './dispatch.ts';
import { type Gemm, gemmKernel, type ProductVariant } from './gemm.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';
import type { Activation } from './scalar.ts';
import { type StackedMatmulAttrs, stackedLayout, stackedSizes } from './stackedMatmul.ts';

/** Operands beyond a and b (and the second pair), in the order of the inputs: scale, bias, gain [n]; add, slope as large as the result. */
export const EXTRAS = ['scale', 'bias', 'gain', 'add', 'slope'] as const;

export type Extra = (typeof EXTRAS)[number];

export interface ProductAttrs {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  readonly activation: Activation;
  /** The activation whose slope at the operand `slope` multiplies the result. */
  readonly slope: Activation;
  /** Operands present, in the order of {@link EXTRAS}. */
  readonly extras: readonly Extra[];
  /** Inputs 2 and 3 are a2 [..., k2] and b2 (f32), which lies as b does. With alpha 1, no transA, no scale, no keepRaw, no slope with a bias. */
  readonly second?: boolean;
  /**
   * With transB: columns of the result in so many groups, each of which reads its own k2 of the columns of a2 [..., groups · k2]; see {@link isGrouped}.
   * Default 1.
   */
  readonly groups?: number;
  /** Further outputs: the value before the activation, the product alone. */
  readonly keepPre: boolean;
  readonly keepRaw: boolean;
  /** A tuner's choice; absent: by shape class. */
  readonly variant?: ProductVariant;
  /** b is packed (u32). */
  readonly packed?: QuantFormat;
  /** a and b are stacks, as stackedMatmul has them, and the results lie beside each other: the columns of one. */
  readonly stack?: Pick<StackedMatmulAttrs, 'count' | 'a'>;
}

interface Sizes {
  /** Of one product of a stack. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Of the second pair; 0 where there is none. */
  readonly k2: number;
  readonly shape: readonly number[];
  /** Where the products of a stack lie. */
  readonly layout: Pick<Gemm, 'batch' | 'aStrides' | 'bStrides'> & Partial<Gemm>;
}

function stackSizes(inputs: readonly TensorType[], { transA, transB, second, stack }: ProductAttrs): Sizes {
  if (transA || second)
    fail('shape', say`product: a stack has no transposed first operand and no second pair.`);
  const attrs = { ...stack!, transA, transB, b: 'apart', c: 'beside' } as const;
  const sizes = stackedSizes(inputs, attrs);
  const { m, n, k } = sizes;
  return { m, n, k, k2: 0, shape: [m, stack!.count * n], layout: stackedLayout(sizes, attrs) };
}

export function productSizes(inputs: readonly TensorType[], attrs: ProductAttrs): Sizes {
  if (attrs.stack) return stackSizes(inputs, attrs);
  const a = inputs[0]!;
  const b = logicalMatrix(inputs[1]!, attrs.packed, 'product');
  const inner = attrs.transA ? a.shape[0]! : a.shape.at(-1)!;
  const leading = attrs.transA ? [a.shape[1]!] : a.shape.slice(0, -1);
  const [n, k] = attrs.transB ? [b.shape[0]!, b.shape[1]!] : [b.shape[1]!, b.shape[0]!];
  if (b.shape.length !== 2 || (attrs.transA && a.shape.length !== 2) || inner !== k) {
    fail('shape', say`product: [${a.shape}] does not go with [${b.shape}].`);
  }
  const m = sizeOf(leading);
  const k2 = attrs.second ? innerOfSecond(inputs, attrs, m, n) : 0;
  const layout = { batch: [], aStrides: [], bStrides: [] };
  return { m, n, k, k2, shape: [...leading, n], layout };
}

function innerOfSecond([, , a, b]: readonly TensorType[], attrs: ProductAttrs, m: number, n: number): number {
  const { alpha, transA, transB, extras, keepRaw, groups = 1 } = attrs;
  const k = a!.shape.at(-1)! / groups;
  const lies = groups > 1 ? [groups, n / groups, k] : transB ? [n, k] : [k, n];
  if (sizeOf(a!.shape) !== m * groups * k || !sameShape(b!.shape, lies))
    fail('shape', say`product: a second pair of [${a!.shape}] and [${b!.shape}] makes no [${m}, ${n}].`);
  if (groups > 1 && !(transB && isGrouped(n, groups)))
    fail('shape', say`product: ${groups} groups of ${n} columns are no multiples of ${ALIGNED}.`);
  const has = (extra: Extra) => extras.includes(extra);
  if (alpha !== 1 || transA || keepRaw || has('scale') || (has('slope') && has('bias')))
    fail(
      'shape',
      say`product: a second pair goes with none of alpha, transA, scale, keepRaw, nor slope with bias.`,
    );
  return k;
}

/** Whether columns can be so many groups with an update each: a tile has columns of one only. */
export const isGrouped = (columns: number, groups: number): boolean => columns % (groups * ALIGNED) === 0;

/** One number per column. */
export const ofColumns = (extra: Extra): boolean => extra === 'scale' || extra === 'bias' || extra === 'gain';

/** Operands before the extras. */
const pairsOf = ({ second }: ProductAttrs): number => (second ? 4 : 2);

/** Position of an operand among the inputs, or undefined. */
export const extraPosition = (attrs: ProductAttrs, extra: Extra): number | undefined => {
  const at = attrs.extras.indexOf(extra);
  return at < 0 ? undefined : at + pairsOf(attrs);
};

export const productOp = defineOp<ProductAttrs>({
  name: 'product',
  infer(inputs, attrs) {
    const { shape } = productSizes(inputs, attrs);
    const pairs = pairsOf(attrs);
    if (inputs.length !== attrs.extras.length + pairs)
      fail('shape', say`product: ${inputs.length} operands, not ${attrs.extras.length + pairs}.`);
    attrs.extras.forEach((extra, i) => {
      const t = inputs[i + pairs]!;
      const fits = ofColumns(extra) ? sameShape(t.shape, shape.slice(-1)) : sizeOf(t.shape) === sizeOf(shape);
      if (!fits) fail('shape', say`product: ${extra} [${t.shape}] does not go with a result of [${shape}].`);
    });
    if (attrs.extras.includes('slope') && (attrs.extras.includes('scale') || attrs.activation !== 'none'))
      fail('shape', say`product: a slope goes with neither a scale nor an activation.`);
    if (attrs.extras.includes('gain') && attrs.keepPre)
      fail('shape', say`product: with a gain, the value before the activation cannot be kept.`);
    const y = { dtype: 'f32', shape } as const;
    return [y, ...(attrs.keepPre ? [y] : []), ...(attrs.keepRaw ? [y] : [])];
  },
  gradient: null,
  kernel({ inputs, attrs }, caps) {
    const ref = (extra: Extra) => {
      const at = extraPosition(attrs, extra);
      return at === undefined ? undefined : { in: at };
    };
    const slope = ref('slope');
    const { m, n, k, k2, layout } = productSizes(inputs, attrs);
    return gemmKernel(
      {
        ...{ m, n, k, ...layout },
        second: attrs.second ? { k: k2, groups: attrs.groups ?? 1, a: { in: 2 }, b: { in: 3 } } : undefined,
        transA: attrs.transA,
        transB: attrs.transB,
        alpha: attrs.alpha,
        bHalf: inputs[1]!.dtype === 'f16',
        bQuant: attrs.packed,
        a: { in: 0 },
        b: { in: 1 },
        c: { out: 0 },
        variant: attrs.variant,
        epilogue: {
          scale: ref('scale'),
          bias: ref('bias'),
          gain: ref('gain'),
          pre: attrs.keepPre ? { out: 1 } : undefined,
          raw: attrs.keepRaw ? { out: attrs.keepPre ? 2 : 1 } : undefined,
          activation: attrs.activation,
          slope: slope && { at: slope, of: attrs.slope },
          add: ref('add'),
        },
      },
      caps,
    );
  },
});
