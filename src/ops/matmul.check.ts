/** The float64 reference and test cases of matmul.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import { type GemmVariantName, gemmVariants } from './gemmVariants.ts';
import { matmulOp, matmulSizes } from './matmul.ts';
import { emptyTensor, quantCase, unpackTensor } from './reference.ts';
import { skinnyForms } from './skinny.ts';

defineCheck(matmulOp, {
  reference([a, stored], attrs) {
    const b = unpackTensor(stored!, attrs.packed, 'matmul');
    const { m, n, k, batch, aStrides, bStrides } = matmulSizes(a!, b, attrs);
    const out = emptyTensor('f32', [...batch, m, n]);
    const [am, ak] = attrs.transA ? [1, m] : [k, 1];
    const [bk, bn] = attrs.transB ? [1, k] : [n, 1];
    const batches = sizeOf(batch);
    for (let z = 0; z < batches; z++) {
      let rest = z;
      let aBase = 0;
      let bBase = 0;
      for (let axis = batch.length - 1; axis >= 0; axis--) {
        const at = rest % batch[axis]!;
        rest = (rest - at) / batch[axis]!;
        aBase += at * aStrides[axis]!;
        bBase += at * bStrides[axis]!;
      }
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) {
            sum += a!.data[aBase + i * am + l * ak]! * b.data[bBase + l * bk + j * bn]!;
          }
          out.data[(z * m + i) * n + j] = attrs.alpha * sum;
        }
      }
    }
    return [out];
  },
  cases: [
    ...matmulCase('odd', [5, 7], [7, 3]),
    ...matmulCase('tile and a bit', [33, 21], [21, 37]),
    ...matmulCase('multiples of four', [36, 64], [64, 40]),
    ...matmulCase('column', [9, 6], [6, 1]),
    ...matmulCase('row', [1, 6], [6, 9]),
    ...matmulCase('depth one', [4, 1], [1, 8]),
    {
      name: 'batch broadcast both ways',
      inputs: [
        { dtype: 'f32', shape: [3, 1, 4, 5] },
        { dtype: 'f32', shape: [2, 5, 3] },
      ],
      attrs: { transA: false, transB: false, alpha: 1 },
    },
    {
      name: 'batch times one matrix, transposed, scaled',
      inputs: [
        { dtype: 'f32', shape: [2, 3, 4, 8] },
        { dtype: 'f32', shape: [6, 8] },
      ],
      attrs: { transA: false, transB: true, alpha: 0.25 },
    },
    {
      name: 'batched, A transposed under a broadcast B',
      inputs: [
        { dtype: 'f32', shape: [3, 8, 4] },
        { dtype: 'f32', shape: [8, 5] },
      ],
      attrs: { transA: true, transB: false, alpha: 1 },
    },
    {
      name: 'many rows, k split',
      inputs: [
        { dtype: 'f32', shape: [515, 12] },
        { dtype: 'f32', shape: [515, 9] },
      ],
      attrs: { transA: true, transB: false, alpha: 1 },
      gradientInputs: [],
    },
    ...(Object.keys(gemmVariants) as GemmVariantName[]).map((variant) => ({
      name: `variant ${variant}`,
      inputs: [
        { dtype: 'f32' as const, shape: [70, 37] },
        { dtype: 'f32' as const, shape: [66, 37] },
      ],
      attrs: { transA: false, transB: true, alpha: 1, variant },
      gradientInputs: [],
    })),
    ...[1, 5, 8, 24, 32].flatMap(skinnyCases),
    {
      name: 'f16 weights',
      inputs: [
        { dtype: 'f32', shape: [5, 8] },
        { dtype: 'f16', shape: [8, 12] },
      ],
      attrs: { transA: false, transB: false, alpha: 1 },
      gradientInputs: [0],
    },
    {
      name: 'f16 weights, odd',
      inputs: [
        { dtype: 'f32', shape: [5, 7] },
        { dtype: 'f16', shape: [9, 7] },
      ],
      attrs: { transA: false, transB: true, alpha: 1 },
      gradientInputs: [0],
    },
    ...(
      [
        { bits: 4, columns: 64, block: 32, zeros: 'middle' },
        { bits: 4, columns: 37, block: 16, zeros: 'bytes' },
        { bits: 8, columns: 18, block: 20, zeros: 'floats' },
      ] as const
    ).map((packed) => ({
      name: `packed B, ${packed.bits} bits, ${packed.zeros}`,
      inputs: [{ dtype: 'f32' as const, shape: [2, 5, 20] }, quantCase(20, packed)],
      attrs: { transA: false, transB: false, alpha: 0.5, packed },
      gradientInputs: [],
    })),
  ],
});

/** The same product spelled in the three layouts that training uses. */
function matmulCase(name: string, a: [number, number], b: [number, number]) {
  const operand = ([rows, columns]: [number, number], transposed: boolean) => ({
    dtype: 'f32' as const,
    shape: transposed ? [columns, rows] : [rows, columns],
  });
  const layouts: [string, boolean, boolean][] = [
    ['NN', false, false],
    ['NT', false, true],
    ['TN', true, false],
  ];
  return layouts.map(([layout, transA, transB]) => ({
    name: `${name} ${layout}`,
    inputs: [operand(a, transA), operand(b, transB)],
    attrs: { transA, transB, alpha: 1 },
    ...(a[0] * b[1] > 800 ? { gradientInputs: [] } : {}),
  }));
}

/** What a low-rank update of rank r multiplies: forwards, backwards, and the gradients of its factors; odd sizes where r is odd. */
function skinnyCases(r: number) {
  const tokens = r % 2 ? 67 : 130;
  const width = r % 2 ? 131 : 136;
  const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
  const product = (name: string, a: number[], b: number[], transA: boolean, transB: boolean) =>
    skinnyForms.map((variant) => ({
      name: `rank ${r}, ${name}, ${variant}`,
      inputs: [f32(...a), f32(...b)],
      attrs: { transA, transB, alpha: 2, variant },
      gradientInputs: [],
    }));
  return [
    ...product('x Aᵀ', [tokens, width], [r, width], false, true),
    ...product('dY B', [tokens, width], [width, r], false, false),
    ...product('dYᵀ low', [tokens, width], [tokens, r], true, false),
    ...product('dLowᵀ x', [tokens, r], [tokens, width], true, false),
  ];
}
