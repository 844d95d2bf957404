/**
 * product: a matrix product with everything its epilogue can do: y = activate((alpha · op(a) op(b) ⊙ scale + bias) ⊙ gain + add) · slope(at).
 * The fuse pass makes it of products and what follows them, after differentiation, so it has no gradient. Kernel: gemm.ts.
 */
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { TensorType } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { gemmKernel } from './gemm.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';
import type { Activation } from './scalar.ts';

/** Operands beyond a and b, in the order of the inputs: scale, bias, gain [n]; add, slope as large as the result. */
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
  /** Further outputs: the value before the activation, the product alone. */
  readonly keepPre: boolean;
  readonly keepRaw: boolean;
  /** b is packed (u32). */
  readonly packed?: QuantFormat;
}

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly shape: readonly number[];
}

export function productSizes(inputs: readonly TensorType[], attrs: ProductAttrs): Sizes {
  const a = inputs[0]!;
  const b = logicalMatrix(inputs[1]!, attrs.packed, 'product');
  const inner = attrs.transA ? a.shape[0]! : a.shape.at(-1)!;
  const leading = attrs.transA ? [a.shape[1]!] : a.shape.slice(0, -1);
  const [n, k] = attrs.transB ? [b.shape[0]!, b.shape[1]!] : [b.shape[1]!, b.shape[0]!];
  if (b.shape.length !== 2 || (attrs.transA && a.shape.length !== 2) || inner !== k) {
    fail('shape', `product: [${a.shape}] does not go with [${b.shape}].`);
  }
  return { m: sizeOf(leading), n, k, shape: [...leading, n] };
}

/** One number per column. */
export const ofColumns = (extra: Extra): boolean => extra === 'scale' || extra === 'bias' || extra === 'gain';

/** Position of an operand among the inputs, or undefined. */
export const extraPosition = (attrs: ProductAttrs, extra: Extra): number | undefined => {
  const at = attrs.extras.indexOf(extra);
  return at < 0 ? undefined : at + 2;
};

export const productOp = defineOp<ProductAttrs>({
  name: 'product',
  infer(inputs, attrs) {
    const { m, n, shape } = productSizes(inputs, attrs);
    if (inputs.length !== attrs.extras.length + 2)
      fail('shape', `product: ${inputs.length} operands, not ${attrs.extras.length + 2}.`);
    attrs.extras.forEach((extra, i) => {
      const t = inputs[i + 2]!;
      const fits = ofColumns(extra) ? sameShape(t.shape, [n]) : sizeOf(t.shape) === m * n;
      if (!fits) fail('shape', `product: ${extra} [${t.shape}] does not go with a result of [${shape}].`);
    });
    if (attrs.extras.includes('slope') && (attrs.extras.includes('scale') || attrs.activation !== 'none'))
      fail('shape', 'product: a slope goes with neither a scale nor an activation.');
    if (attrs.extras.includes('gain') && attrs.keepPre)
      fail('shape', 'product: with a gain, the value before the activation cannot be kept.');
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
    return gemmKernel(
      {
        ...productSizes(inputs, attrs),
        ...{ batch: [], aStrides: [], bStrides: [] },
        transA: attrs.transA,
        transB: attrs.transB,
        alpha: attrs.alpha,
        bHalf: inputs[1]!.dtype === 'f16',
        bQuant: attrs.packed,
        a: { in: 0 },
        b: { in: 1 },
        c: { out: 0 },
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
