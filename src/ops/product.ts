/**
 * product: a matrix product with everything its epilogue can do: y = activate((alpha · op(a) op(b) ⊙ scale + bias) ⊙ gain + add) · slope(at).
 * The fuse pass makes it of products and what follows them, after differentiation, so it has no gradient. Kernel: gemm.ts.
 */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { OpCase, Tensor, TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { gemmKernel } from './gemm.ts';
import { logicalMatrix, type QuantFormat, quantCase, unpackTensor } from './quantised.ts';
import { emptyTensor } from './reference.ts';
import type { Activation } from './scalar.ts';
import { scalarFunction } from './scalar.ts';

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

function sizesOf(inputs: readonly TensorType[], attrs: ProductAttrs): Sizes {
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
const ofColumns = (extra: Extra): boolean => extra === 'scale' || extra === 'bias' || extra === 'gain';

/** Position of an operand among the inputs, or undefined. */
const position = (attrs: ProductAttrs, extra: Extra): number | undefined => {
  const at = attrs.extras.indexOf(extra);
  return at < 0 ? undefined : at + 2;
};

const plain: ProductAttrs = {
  transA: false,
  transB: true,
  alpha: 1,
  activation: 'none',
  slope: 'none',
  extras: [],
  keepPre: false,
  keepRaw: false,
};

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

function productCase(
  name: string,
  a: number[],
  n: number,
  extras: readonly Extra[],
  attrs: Partial<ProductAttrs>,
): OpCase<ProductAttrs> {
  const all = { ...plain, ...attrs, extras };
  const k = a.at(-1)!;
  const result = [...a.slice(0, -1), n];
  const operands = extras.map((extra) => (ofColumns(extra) ? f32(n) : f32(...result)));
  return { name, inputs: [f32(...a), all.transB ? f32(n, k) : f32(k, n), ...operands], attrs: all };
}

function packedCase(name: string, packed: QuantFormat): OpCase<ProductAttrs> {
  const whole = productCase(name, [7, packed.columns], 12, ['scale', 'bias', 'add'], {
    activation: 'gelu',
    keepPre: true,
    keepRaw: true,
  });
  return {
    ...whole,
    inputs: whole.inputs.with(1, quantCase(12, packed)),
    attrs: { ...whole.attrs, packed },
  };
}

export const productOp = defineOp<ProductAttrs>({
  name: 'product',
  infer(inputs, attrs) {
    const { m, n, shape } = sizesOf(inputs, attrs);
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
      const at = position(attrs, extra);
      return at === undefined ? undefined : { in: at };
    };
    const slope = ref('slope');
    return gemmKernel(
      {
        ...sizesOf(inputs, attrs),
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
  reference(inputs, attrs) {
    const { m, n, k, shape } = sizesOf(inputs, attrs);
    const [a, b] = [inputs[0]!.data, unpackTensor(inputs[1]!, attrs.packed, 'product').data];
    const operand = (extra: Extra) => inputs[position(attrs, extra) ?? -1]?.data;
    const [scale, bias, gain, add, at] = EXTRAS.map(operand);
    const { value } = scalarFunction(attrs.activation);
    const slope = scalarFunction(attrs.slope).slope!;
    const [am, ak] = attrs.transA ? [1, m] : [k, 1];
    const [bk, bn] = attrs.transB ? [1, k] : [n, 1];
    const [y, pre, raw] = [0, 1, 2].map(() => emptyTensor('f32', shape)) as [Tensor, Tensor, Tensor];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let v = 0;
        for (let l = 0; l < k; l++) v += a[i * am + l * ak]! * b[l * bk + j * bn]!;
        v *= attrs.alpha;
        const here = i * n + j;
        raw.data[here] = v;
        if (scale) v *= scale[j]!;
        if (bias) v += bias[j]!;
        if (gain) v *= gain[j]!;
        if (add) v += add[here]!;
        pre.data[here] = v;
        v = value(v);
        if (at) v *= slope(at[here]!);
        y.data[here] = v;
      }
    }
    return [y, ...(attrs.keepPre ? [pre] : []), ...(attrs.keepRaw ? [raw] : [])];
  },
  cases: [
    productCase('scaled, biased, bent, all kept', [5, 8], 12, ['scale', 'bias'], {
      activation: 'gelu',
      keepPre: true,
      keepRaw: true,
    }),
    productCase('scaled, odd', [2, 3, 7], 5, ['scale'], { keepRaw: true, alpha: 0.5 }),
    productCase('gain after the bias', [5, 8], 8, ['scale', 'bias', 'gain', 'add'], { activation: 'gelu' }),
    productCase('gain, split, odd', [6, 600], 7, ['bias', 'gain'], { keepRaw: true }),
    productCase('added to', [7, 9], 6, ['bias', 'add'], {}),
    productCase('all in front of a sum', [5, 7], 7, ['scale', 'bias', 'add'], { activation: 'silu' }),
    productCase('times a slope', [6, 9], 8, ['slope'], { slope: 'gelu', transB: false }),
    productCase('times a slope, added to, odd', [5, 6], 7, ['add', 'slope'], {
      slope: 'silu',
      transB: false,
    }),
    productCase('tiles', [70, 64], 68, ['add'], { alpha: 2 }),
    productCase('split', [6, 600], 12, ['scale', 'bias', 'add'], {
      activation: 'relu',
      keepPre: true,
      keepRaw: true,
    }),
    productCase('split, odd', [6, 600], 7, ['add', 'slope'], { slope: 'geluTanh', transB: false }),
    packedCase('packed, everything', { bits: 4, columns: 40, block: 16, zeros: 'bytes' }),
    packedCase('packed, 8 bits, floats', { bits: 8, columns: 40, block: 40, zeros: 'floats' }),
    {
      name: 'transposed, added to',
      inputs: [f32(9, 5), f32(9, 7), f32(5, 7)],
      attrs: { ...plain, transA: true, transB: false, extras: ['add'] },
    },
  ],
});
