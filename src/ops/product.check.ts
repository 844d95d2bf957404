/** The float64 reference and test cases of product.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import {
  EXTRAS,
  type Extra,
  extraPosition,
  ofColumns,
  type ProductAttrs,
  productOp,
  productSizes,
} from './product.ts';
import type { QuantFormat } from './quantised.ts';
import { emptyTensor, quantCase, unpackTensor } from './reference.ts';
import { scalarFunction } from './scalar.ts';
import { type Lies, stepsOf } from './stackedMatmul.ts';

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

/** Cut as on a GPU, where a workgroup takes two or three splits of a sum and adds them up. */
const folded = { variant: 'tiled32x32' } as const;

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

/** A product with a second pair of rank r. */
function updatedCase(
  name: string,
  a: number[],
  n: number,
  r: number,
  extras: readonly Extra[],
  attrs: Partial<ProductAttrs> = {},
): OpCase<ProductAttrs> {
  const one = productCase(name, a, n, extras, { ...attrs, second: true });
  const pair = [f32(...a.slice(0, -1), r), one.attrs.transB ? f32(n, r) : f32(r, n)];
  return { ...one, inputs: [...one.inputs.slice(0, 2), ...pair, ...one.inputs.slice(2)] };
}

/** The same with groups of columns. */
function groupedCase(
  name: string,
  a: number[],
  n: number,
  [r, groups]: readonly [number, number],
  attrs: Partial<ProductAttrs> = {},
): OpCase<ProductAttrs> {
  const one = updatedCase(name, a, n, r, ['bias', 'add'], { ...attrs, groups });
  const pair = [f32(...a.slice(0, -1), groups * r), f32(groups, n / groups, r)];
  return { ...one, inputs: [...one.inputs.slice(0, 2), ...pair, ...one.inputs.slice(4)] };
}

function stackCase(
  name: string,
  a: number[],
  b: [number, number, number],
  extras: readonly Extra[],
  lies: Lies,
): OpCase<ProductAttrs> {
  const [count, n] = b;
  const result = [lies === 'apart' ? a[1]! : a[0]!, count * n];
  const operands = extras.map((extra) => (ofColumns(extra) ? f32(count * n) : f32(...result)));
  const attrs = { ...plain, extras, keepRaw: true, stack: { count, a: lies } };
  return { name, inputs: [f32(...a), f32(...b), ...operands], attrs };
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

function packedUpdateCase(name: string, packed: QuantFormat): OpCase<ProductAttrs> {
  const whole = updatedCase(name, [7, packed.columns], 12, 8, ['bias', 'add']);
  return {
    ...whole,
    inputs: whole.inputs.with(1, quantCase(12, packed)),
    attrs: { ...whole.attrs, packed },
  };
}

defineCheck(productOp, {
  reference(inputs, attrs) {
    const { m, n, k, k2, shape } = productSizes(inputs, attrs);
    const [a, b] = [inputs[0]!.data, unpackTensor(inputs[1]!, attrs.packed, 'product').data];
    const operand = (extra: Extra) => inputs[extraPosition(attrs, extra) ?? -1]?.data;
    const [scale, bias, gain, add, at] = EXTRAS.map(operand);
    const { value } = scalarFunction(attrs.activation);
    const slope = scalarFunction(attrs.slope).slope!;
    const { count, a: aLies } = attrs.stack ?? { count: 1, a: 'apart' as const };
    const width = count * n;
    const [aRow, aStep] = attrs.transA ? [m, m * k] : stepsOf(aLies, count, m, k);
    const [am, ak] = attrs.transA ? [1, aRow] : [aRow, 1];
    const [bk, bn] = attrs.transB ? [1, k] : [n, 1];
    const [a2, b2] = attrs.second ? inputs.slice(2).map(({ data }) => data) : [];
    const [bk2, bn2] = attrs.transB ? [1, k2] : [n, 1];
    const { groups = 1 } = attrs;
    const [y, pre, raw] = [0, 1, 2].map(() => emptyTensor('f32', shape)) as [Tensor, Tensor, Tensor];
    for (let i = 0; i < m; i++) {
      for (let column = 0; column < width; column++) {
        const [z, j] = [Math.floor(column / n), column % n];
        let v = 0;
        for (let l = 0; l < k; l++) v += a[z * aStep + i * am + l * ak]! * b[z * n * k + l * bk + j * bn]!;
        const group = Math.floor((j * groups) / n);
        for (let l = 0; l < k2; l++) v += a2![(i * groups + group) * k2 + l]! * b2![l * bk2 + j * bn2]!;
        v *= attrs.alpha;
        const here = i * width + column;
        raw.data[here] = v;
        if (scale) v *= scale[column]!;
        if (bias) v += bias[column]!;
        if (gain) v *= gain[column]!;
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
    updatedCase('with an update of rank 8', [5, 32], 12, 8, ['bias', 'add']),
    updatedCase('with an update of rank 1, bent', [2, 3, 9], 7, 1, ['bias'], {
      activation: 'gelu',
      keepPre: true,
    }),
    updatedCase('with an update of rank 5, backwards', [6, 21], 8, 5, ['add', 'slope'], {
      slope: 'gelu',
      transB: false,
    }),
    updatedCase('with an update of rank 24, tiles', [70, 64], 68, 24, ['gain', 'add']),
    updatedCase('with an update of rank 32, tiles, backwards', [71, 37], 66, 32, [], { transB: false }),
    updatedCase('with an update of rank 8, split', [6, 600], 12, 8, ['bias', 'add'], { activation: 'relu' }),
    updatedCase('with an update of rank 3, split, odd', [6, 600], 7, 3, ['add'], { transB: false }),
    ...(['tiled32x32', 'tiled128x64', 'direct4', 'direct16'] as const).map((variant) =>
      groupedCase(`with an update of rank 8 for each of three groups, ${variant}`, [70, 32], 192, [8, 3], {
        variant,
      }),
    ),
    groupedCase('with an update of rank 5 for each of two groups, split', [6, 600], 128, [5, 2]),
    groupedCase('with an update of rank 5 for each of two groups, folded', [40, 600], 128, [5, 2], folded),
    productCase('folded, scaled, biased, bent, all kept', [40, 600], 36, ['scale', 'bias', 'add'], {
      ...{ activation: 'gelu', keepPre: true, keepRaw: true },
      ...folded,
    }),
    productCase('three folds, odd, times a slope', [37, 801], 35, ['add', 'slope'], {
      ...{ slope: 'gelu', transB: false },
      ...folded,
    }),
    updatedCase('with an update of rank 24, folded', [40, 520], 36, 24, ['bias', 'gain', 'add'], folded),
    updatedCase('with an update of rank 5, folded, odd, backwards', [33, 777], 70, 5, ['add', 'slope'], {
      ...{ slope: 'silu', transB: false },
      ...folded,
    }),
    packedUpdateCase('packed, with an update', { bits: 4, columns: 40, block: 16, zeros: 'bytes' }),
    packedCase('packed, everything', { bits: 4, columns: 40, block: 16, zeros: 'bytes' }),
    packedCase('packed, 8 bits, floats', { bits: 8, columns: 40, block: 40, zeros: 'floats' }),
    stackCase('a stack, scaled, biased, kept', [3, 9, 8], [3, 12, 8], ['scale', 'bias', 'add'], 'apart'),
    stackCase('a stack of odd sizes', [2, 5, 7], [2, 5, 7], ['scale', 'bias', 'gain'], 'apart'),
    stackCase('a stack of columns, split', [6, 3 * 600], [3, 8, 600], ['bias', 'gain', 'add'], 'beside'),
    {
      name: 'transposed, added to',
      inputs: [f32(9, 5), f32(9, 7), f32(5, 7)],
      attrs: { ...plain, transA: true, transB: false, extras: ['add'] },
    },
  ],
});
