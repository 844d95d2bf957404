/** matmul: C = alpha · op(A) op(B) over batch axes that broadcast; op transposes the last two axes. Kernel: gemm.ts. */
import { defineOp } from '../graph/defineOp.ts';
import { broadcastShapes, broadcastStrides, sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import type { GemmVariantName } from './gemm.ts';
import { gemmKernel } from './gemm.ts';
import { logicalMatrix, type QuantFormat, quantCase, unpackTensor } from './quantised.ts';
import { emptyTensor } from './reference.ts';
import { sumTo } from './sumTo.ts';
import { view } from './view.ts';

export interface MatmulAttrs {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  /** A tuner's choice; absent: by shape class. */
  readonly variant?: GemmVariantName;
  /** B is packed (u32); made by the fuse pass, after differentiation. */
  readonly packed?: QuantFormat;
}

interface MatmulSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: readonly number[];
  readonly aStrides: readonly number[];
  readonly bStrides: readonly number[];
}

function sizes(a: TensorType, b: TensorType, attrs: MatmulAttrs): MatmulSizes {
  if (a.shape.length < 2 || b.shape.length < 2) {
    fail('shape', `matmul: operands [${a.shape}] and [${b.shape}] must have two axes or more.`);
  }
  const [a0, a1] = a.shape.slice(-2) as [number, number];
  const [b0, b1] = b.shape.slice(-2) as [number, number];
  const [m, k] = attrs.transA ? [a1, a0] : [a0, a1];
  const [k2, n] = attrs.transB ? [b1, b0] : [b0, b1];
  if (k !== k2) {
    fail('shape', `matmul: inner sizes ${k} and ${k2} of [${a.shape}] and [${b.shape}] differ.`);
  }
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = broadcastShapes('matmul', aBatch, bBatch);
  return {
    m,
    n,
    k,
    batch,
    aStrides: broadcastStrides(aBatch, batch).map((s) => s * m * k),
    bStrides: broadcastStrides(bBatch, batch).map((s) => s * k * n),
  };
}

export const matmulOp = defineOp<MatmulAttrs>({
  name: 'matmul',
  infer([a, stored], attrs) {
    const b = logicalMatrix(stored!, attrs.packed, 'matmul');
    if (a!.dtype !== 'f32' || (b.dtype !== 'f32' && b.dtype !== 'f16')) {
      fail('shape', `matmul: takes f32 times f32 or f16, not ${a!.dtype} times ${b.dtype}.`);
    }
    const { m, n, batch } = sizes(a!, b, attrs);
    return [{ dtype: 'f32', shape: [...batch, m, n] }];
  },
  gradient(g, node, [dC], wants) {
    const [a, b] = node.inputs as [Value, Value];
    const { transA, transB, alpha } = node.attrs;
    const { n, k } = sizes(a, b, node.attrs);
    let dA: Value | null = null;
    let dB: Value | null = null;
    if (wants[0]) {
      dA = transA
        ? matmul(g, b, dC!, { transA: transB, transB: true, alpha })
        : matmul(g, dC!, b, { transB: !transB, alpha });
      dA = sumTo(g, dA, a.shape);
    }
    if (wants[1]) {
      // One matrix under a batch: the batch joins the rows, so that no gradient per batch entry is made.
      const flat = b.shape.length === 2 && !transA;
      const rows = sizeOf(a.shape) / k;
      const x = flat ? view(g, a, [rows, k]) : a;
      const d = flat ? view(g, dC!, [rows, n]) : dC!;
      dB = transB
        ? matmul(g, d, x, { transA: true, transB: transA, alpha })
        : matmul(g, x, d, { transA: !transA, alpha });
      dB = sumTo(g, dB, b.shape);
    }
    return [dA, dB];
  },
  kernel({ inputs, attrs }, caps) {
    const a = inputs[0]!;
    const b = logicalMatrix(inputs[1]!, attrs.packed, 'matmul');
    let { m, n, k, batch, aStrides, bStrides } = sizes(a, b, attrs);
    if (!attrs.transA && bStrides.every((s) => s === 0) && sizeOf(batch) * m * k === sizeOf(a.shape)) {
      m *= sizeOf(batch);
      batch = [];
      aStrides = [];
      bStrides = [];
    }
    return gemmKernel(
      {
        ...{ m, n, k, batch, aStrides, bStrides },
        transA: attrs.transA,
        transB: attrs.transB,
        alpha: attrs.alpha,
        bHalf: b.dtype === 'f16',
        bQuant: attrs.packed,
        a: { in: 0 },
        b: { in: 1 },
        c: { out: 0 },
        variant: attrs.variant,
      },
      caps,
    );
  },
  reference([a, stored], attrs) {
    const b = unpackTensor(stored!, attrs.packed, 'matmul');
    const { m, n, k, batch, aStrides, bStrides } = sizes(a!, b, attrs);
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
    ...(['direct4', 'direct8', 'direct16', 'tiled32', 'tiled64', 'tiled128'] as const).map((variant) => ({
      name: `variant ${variant}`,
      inputs: [
        { dtype: 'f32' as const, shape: [70, 37] },
        { dtype: 'f32' as const, shape: [66, 37] },
      ],
      attrs: { transA: false, transB: true, alpha: 1, variant },
      gradientInputs: [],
    })),
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

/** alpha · op(a) op(b): a [..., M, K], b [..., K, N] (each with its last two axes swapped where trans says so) → [..., M, N]. */
export const matmul = (g: Emitter, a: Value, b: Value, attrs: Partial<MatmulAttrs> = {}): Value =>
  g.emit(matmulOp, [a, b], { transA: false, transB: false, alpha: 1, ...attrs })[0]!;
