/** The float64 references and test cases of butterfly.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import { butterflyPermutation } from '../lib/butterfly.ts';
import { butterflyGradLayout, butterflyGradOp, butterflyLayout, butterflyOp } from './butterfly.ts';
import { type ButterflySizes, gradOperands } from './butterflyKernels.ts';
import { scalarFunction } from './scalar.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

const own = { transpose: false, stack: 'own' } as const;

/** Gradients in so many numbers are held against their own reference alone. */
const apart = { gradientInputs: [] } as const;

defineCheck(butterflyOp, {
  reference: (inputs, attrs) => {
    const { size, output, xStack } = butterflyLayout(inputs, attrs);
    const { rows, d, stack } = size;
    const factors = factorsOf(size, inputs[1]!.data, inputs[2]?.data ?? null);
    const data = new Float64Array(sizeOf(output));
    for (let t = 0; t < stack; t++) {
      for (let n = 0; n < rows; n++) {
        const at = t * xStack + n * d;
        const y = applyAll(factors, t, inputs[0]!.data.subarray(at, at + d), attrs.transpose);
        const to = (attrs.stack === 'sum' ? 0 : t * rows * d) + n * d;
        for (let k = 0; k < d; k++) data[to + k]! += y[k]!;
      }
    }
    return [{ dtype: 'f32', shape: output, data }];
  },
  cases: [
    { name: 'plain blocks', inputs: [f32(2, 3, 12), f32(1, 3, 4, 4)], attrs: own },
    {
      name: 'odd blocks, transposed',
      inputs: [f32(5, 9), f32(1, 3, 3, 3)],
      attrs: { ...own, transpose: true },
    },
    { name: 'one shared block', inputs: [f32(5, 12), f32(1, 1, 4, 4)], attrs: own },
    {
      name: 'one shared block, transposed',
      inputs: [f32(3, 12), f32(1, 1, 3, 3)],
      attrs: { ...own, transpose: true },
    },
    { name: 'two factors', inputs: [f32(5, 16), f32(2, 4, 4, 4)], attrs: own },
    {
      name: 'two factors, transposed',
      inputs: [f32(6, 24), f32(2, 6, 4, 4)],
      attrs: { ...own, transpose: true },
    },
    { name: 'four factors of pairs', inputs: [f32(3, 16), f32(4, 8, 2, 2)], attrs: own },
    {
      name: 'three factors of b 6',
      inputs: [f32(2, 24), f32(3, 4, 6, 6)],
      attrs: { ...own, transpose: true },
    },
    {
      name: 'dropped blocks',
      inputs: [f32(3, 16), f32(2, 4, 4, 4), { ...f32(2, 4), data: [1, 1, 1, 1, 0, 1, 0, 1] }],
      attrs: own,
      gradientInputs: [0, 1],
    },
    { name: 'a stack', inputs: [f32(3, 5, 8), f32(3, 2, 4, 2, 2)], attrs: own },
    {
      name: 'a stack over one x',
      inputs: [f32(5, 8), f32(3, 2, 2, 4, 4)],
      attrs: { transpose: false, stack: 'share' },
    },
    {
      name: 'a stack over one x, transposed',
      inputs: [f32(3, 8), f32(2, 1, 2, 4, 4)],
      attrs: { transpose: true, stack: 'share' },
    },
    {
      name: 'summed over the stack',
      inputs: [f32(2, 5, 8), f32(2, 2, 2, 4, 4)],
      attrs: { transpose: false, stack: 'sum' },
    },
    {
      name: 'summed over the stack, transposed',
      inputs: [f32(2, 5, 8), f32(2, 2, 4, 2, 2)],
      attrs: { transpose: true, stack: 'sum' },
    },
    { name: 'wide rows', inputs: [f32(2, 200), f32(2, 50, 4, 4)], attrs: own },
    {
      name: 'superblocks beyond registers',
      inputs: [f32(6, 48), f32(2, 2, 4, 12, 12)],
      attrs: { transpose: false, stack: 'share' },
    },
    { name: 'many rows', inputs: [f32(210, 8), f32(1, 2, 4, 4)], attrs: own },
    { name: 'two factors of b 8', inputs: [f32(5, 32), f32(2, 4, 8, 8)], attrs: own },
    {
      name: 'three factors of b 4, transposed, stacked, one row',
      inputs: [f32(2, 1, 16), f32(2, 3, 4, 4, 4)],
      attrs: { ...own, transpose: true },
    },
    {
      name: 'five factors of pairs over one x',
      inputs: [f32(3, 32), f32(2, 5, 16, 2, 2)],
      attrs: { transpose: false, stack: 'share' },
    },
    { name: 'a product for each of two blocks', inputs: [f32(5, 32), f32(1, 2, 16, 16)], attrs: own },
    {
      name: 'a product for each of two blocks, transposed, one row',
      inputs: [f32(1, 34), f32(1, 2, 17, 17)],
      attrs: { ...own, transpose: true },
    },
    {
      name: 'a product for each block of 32, odd rows',
      inputs: [f32(3, 23, 96), f32(1, 3, 32, 32)],
      attrs: own,
      ...apart,
    },
    {
      name: 'a product for each block of 24, stacked over one x',
      inputs: [f32(7, 72), f32(3, 1, 3, 24, 24)],
      attrs: { transpose: false, stack: 'share' },
      ...apart,
    },
    {
      name: 'a product for each block of 18, summed over the stack, transposed',
      inputs: [f32(2, 9, 36), f32(2, 1, 2, 18, 18)],
      attrs: { transpose: true, stack: 'sum' },
      ...apart,
    },
    {
      name: 'products of one block for all, a stack',
      inputs: [f32(2, 5, 48), f32(2, 1, 1, 16, 16)],
      attrs: { ...own, transpose: true },
      ...apart,
    },
    { name: 'one block over the whole row', inputs: [f32(19, 68), f32(1, 1, 68, 68)], attrs: own, ...apart },
    {
      name: 'dropped blocks of 16',
      inputs: [f32(3, 48), f32(1, 3, 16, 16), { ...f32(1, 3), data: [1, 0, 1] }],
      attrs: own,
      gradientInputs: [],
    },
  ],
});

defineCheck(butterflyGradOp, {
  reference: (inputs, attrs) => {
    const { size, xStack, gStack, dX } = butterflyGradLayout(inputs, attrs);
    const { rows, d, stack } = size;
    const { mask, slopeAt } = gradOperands(inputs, attrs);
    const factors = factorsOf(size, inputs[1]!.data, mask?.data ?? null);
    const sum = new Float64Array(inputs[1]!.data.length);
    const dx = new Float64Array(sizeOf(dX));
    for (let t = 0; t < stack; t++) {
      for (let n = 0; n < rows; n++) {
        const xAt = t * xStack + n * d;
        const gAt = t * gStack + n * d;
        const g = inputs[2]!.data.subarray(gAt, gAt + d);
        addBlockGradient(factors, t, inputs[0]!.data.subarray(xAt, xAt + d), g, sum);
        applyAll(factors, t, g, true).forEach((v, k) => {
          dx[xAt + k]! += v;
        });
      }
    }
    const { slope } = scalarFunction(attrs.slope);
    slopeAt?.data.forEach((v, k) => {
      dx[k]! *= slope!(v);
    });
    const dBlocks = { dtype: 'f32' as const, shape: inputs[1]!.shape, data: sum };
    return attrs.wantX ? [dBlocks, { dtype: 'f32', shape: dX, data: dx }] : [dBlocks];
  },
  cases: [
    {
      name: 'three factors, many rows, dropped blocks',
      inputs: [f32(130, 16), f32(3, 8, 2, 2), f32(130, 16), { ...f32(3, 8), data: [1, 0, 1, 1, 1] }],
      attrs: { wantX: true, shared: 'none', slope: 'none' },
    },
    {
      name: 'superblocks beyond registers, three factors',
      inputs: [f32(3, 24), f32(3, 4, 6, 6), f32(3, 24)],
      attrs: { wantX: true, shared: 'none', slope: 'none' },
    },
    {
      name: 'two factors of b 4, odd rows, with a slope',
      inputs: [f32(3, 7, 24), f32(2, 6, 4, 4), f32(3, 7, 24), f32(3, 7, 24)],
      attrs: { wantX: true, shared: 'none', slope: 'gelu' },
    },
    {
      name: 'five factors of pairs, dropped blocks, with a slope',
      inputs: [f32(1, 32), f32(5, 16, 2, 2), f32(1, 32), { ...f32(5, 16), data: [1, 0, 1] }, f32(1, 32)],
      attrs: { wantX: true, shared: 'none', slope: 'silu' },
    },
    {
      name: 'three factors of b 4, shared x with a slope, many rows',
      inputs: [f32(75, 32), f32(3, 3, 8, 4, 4), f32(3, 75, 32), f32(75, 32)],
      attrs: { wantX: true, shared: 'x', slope: 'relu' },
    },
    {
      name: 'four factors of b 4, shared upstream',
      inputs: [f32(2, 5, 32), f32(2, 4, 8, 4, 4), f32(5, 32)],
      attrs: { wantX: true, shared: 'upstream', slope: 'none' },
    },
    {
      name: 'two factors of b 8, dropped blocks, with a slope',
      inputs: [
        f32(33, 32),
        f32(2, 4, 8, 8),
        f32(33, 32),
        { ...f32(2, 4), data: [1, 1, 0, 1, 1, 0, 1, 1] },
        f32(33, 32),
      ],
      attrs: { wantX: true, shared: 'none', slope: 'geluTanh' },
    },
    {
      name: 'products of blocks of 16, few rows',
      inputs: [f32(3, 48), f32(1, 3, 16, 16), f32(3, 48)],
      attrs: { wantX: true, shared: 'none', slope: 'none' },
    },
    {
      name: 'products of blocks of 32, many rows, with a slope',
      inputs: [f32(2, 523, 96), f32(1, 3, 32, 32), f32(2, 523, 96), f32(2, 523, 96)],
      attrs: { wantX: true, shared: 'none', slope: 'gelu' },
    },
    {
      name: 'products of blocks of 20, shared x, many rows',
      inputs: [f32(1031, 40), f32(3, 1, 2, 20, 20), f32(3, 1031, 40)],
      attrs: { wantX: true, shared: 'x', slope: 'none' },
    },
    {
      name: 'products of blocks of 18, shared upstream',
      inputs: [f32(2, 37, 36), f32(2, 1, 2, 18, 18), f32(37, 36)],
      attrs: { wantX: true, shared: 'upstream', slope: 'none' },
    },
    {
      name: 'products of one block for all, with a slope, many rows',
      inputs: [f32(130, 80), f32(1, 1, 16, 16), f32(130, 80), f32(130, 80)],
      attrs: { wantX: true, shared: 'none', slope: 'relu' },
    },
    {
      name: 'products of one block for all, a stack over one x',
      inputs: [f32(70, 51), f32(2, 1, 1, 17, 17), f32(2, 70, 51)],
      attrs: { wantX: true, shared: 'x', slope: 'none' },
    },
    {
      name: 'products of blocks of 64, no gradient in x',
      inputs: [f32(41, 128), f32(1, 2, 64, 64), f32(41, 128)],
      attrs: { wantX: false, shared: 'none', slope: 'none' },
    },
    {
      name: 'dropped blocks of 16',
      inputs: [f32(5, 48), f32(1, 3, 16, 16), f32(5, 48), { ...f32(1, 3), data: [1, 0, 1] }],
      attrs: { wantX: true, shared: 'none', slope: 'none' },
    },
    {
      name: 'two factors of pairs, no gradient in x',
      inputs: [f32(66, 12), f32(2, 6, 2, 2), f32(66, 12)],
      attrs: { wantX: false, shared: 'none', slope: 'none' },
    },
    {
      name: 'one shared block of b 8 on many rows',
      inputs: [f32(70, 24), f32(1, 1, 8, 8), f32(70, 24)],
      attrs: { wantX: true, shared: 'none', slope: 'none' },
    },
    {
      name: 'shared block and shared x',
      inputs: [f32(70, 12), f32(2, 1, 1, 6, 6), f32(2, 70, 12)],
      attrs: { wantX: true, shared: 'x', slope: 'none' },
    },
  ],
});

interface Factors {
  readonly size: ButterflySizes;
  readonly blocks: Float64Array;
  readonly keep: Float64Array | null;
  readonly permutations: readonly Uint32Array[];
}

const factorsOf = (size: ButterflySizes, blocks: Float64Array, keep: Float64Array | null): Factors => ({
  size,
  blocks,
  keep,
  permutations: Array.from({ length: size.m }, (_, f) => butterflyPermutation(size.d, size.b, f)),
});

/** Entry (e, f) of block c of a factor. */
function entryOf({ size, blocks, keep }: Factors, stack: number, factor: number) {
  const { d, b, m, stored } = size;
  const num = d / b;
  return (c: number, e: number, f: number): number => {
    if (keep && keep[(stack * m + factor) * num + c] === 0) return e === f ? 1 : 0;
    return blocks[(((stack * m + factor) * stored + (stored === 1 ? 0 : c)) * b + e) * b + f]!;
  };
}

/** One row times factor B, or its transpose. */
function applyFactor(
  factors: Factors,
  stack: number,
  factor: number,
  row: Float64Array,
  transposed: boolean,
): Float64Array {
  const { d, b } = factors.size;
  const perm = factors.permutations[factor]!;
  const at = entryOf(factors, stack, factor);
  const u = new Float64Array(d);
  row.forEach((x, k) => {
    u[perm[k]!] = x;
  });
  const v = new Float64Array(d);
  for (let c = 0; c < d / b; c++) {
    for (let e = 0; e < b; e++) {
      for (let f = 0; f < b; f++) v[c * b + f]! += u[c * b + e]! * (transposed ? at(c, f, e) : at(c, e, f));
    }
  }
  return Float64Array.from(perm, (p) => v[p]!);
}

/** One row times the product of all factors, or its transpose. */
function applyAll(factors: Factors, stack: number, row: Float64Array, transposed: boolean): Float64Array {
  let y = row;
  for (let s = 0; s < factors.size.m; s++) {
    y = applyFactor(factors, stack, transposed ? s : factors.size.m - 1 - s, y, transposed);
  }
  return y;
}

/** Adds one row's part of the blocks' gradient to `sum` [stack, m, stored, b, b]. */
function addBlockGradient(
  factors: Factors,
  stack: number,
  x: Float64Array,
  g: Float64Array,
  sum: Float64Array,
): void {
  const { d, b, m, stored } = factors.size;
  const before: Float64Array[] = new Array(m);
  let row = x;
  for (let f = m - 1; f >= 0; f--) {
    before[f] = row;
    row = applyFactor(factors, stack, f, row, false);
  }
  let grad = g;
  for (let f = 0; f < m; f++) {
    const perm = factors.permutations[f]!;
    const u = new Float64Array(d);
    const w = new Float64Array(d);
    perm.forEach((p, k) => {
      u[p] = before[f]![k]!;
      w[p] = grad[k]!;
    });
    for (let c = 0; c < d / b; c++) {
      if (factors.keep && factors.keep[((stack * m + f) * d) / b + c] === 0) continue;
      const to = ((stack * m + f) * stored + (stored === 1 ? 0 : c)) * b * b;
      for (let e = 0; e < b; e++) {
        for (let k = 0; k < b; k++) sum[to + e * b + k]! += u[c * b + e]! * w[c * b + k]!;
      }
    }
    grad = applyFactor(factors, stack, f, grad, true);
  }
}
