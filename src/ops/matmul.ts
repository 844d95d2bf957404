/** matmul: C = alpha · op(A) op(B) over batch axes that broadcast; op transposes the last two axes. Kernel: gemm.ts. */

import { broadcastShapes, broadcastStrides, sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { sumTo } from './elementwise.ts';
import { type Gemm, gemmKernel, type ProductVariant } from './gemm.ts';
import { view } from './moves.ts';
import { swapped, times } from './onnx.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';

export interface MatmulAttrs {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  /** A tuner's choice; absent: by shape class. */
  readonly variant?: ProductVariant;
  /** B is packed (u32); made by the fuse pass, after differentiation. */
  readonly packed?: QuantFormat;
}

type MatmulSizes = Pick<Gemm, 'm' | 'n' | 'k' | 'batch' | 'aStrides' | 'bStrides'>;

export function matmulSizes(a: TensorType, b: TensorType, attrs: MatmulAttrs): MatmulSizes {
  if (a.shape.length < 2 || b.shape.length < 2) {
    fail('shape', say`matmul: operands [${a.shape}] and [${b.shape}] must have two axes or more.`);
  }
  const [a0, a1] = a.shape.slice(-2) as [number, number];
  const [b0, b1] = b.shape.slice(-2) as [number, number];
  const [m, k] = attrs.transA ? [a1, a0] : [a0, a1];
  const [k2, n] = attrs.transB ? [b1, b0] : [b0, b1];
  if (k !== k2) {
    fail('shape', say`matmul: inner sizes ${k} and ${k2} of [${a.shape}] and [${b.shape}] differ.`);
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
      fail('shape', say`matmul: takes f32 times f32 or f16, not ${a!.dtype} times ${b.dtype}.`);
    }
    const { m, n, batch } = matmulSizes(a!, b, attrs);
    return [{ dtype: 'f32', shape: [...batch, m, n] }];
  },
  gradient(g, node, [dC], wants) {
    const [a, b] = node.inputs as [Value, Value];
    const { transA, transB, alpha } = node.attrs;
    const { n, k } = matmulSizes(a, b, node.attrs);
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
    let { m, n, k, batch, aStrides, bStrides } = matmulSizes(a, b, attrs);
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
  onnx(e, [a, b], { inputs, attrs: { transA, transB, alpha } }) {
    const [aRank, bRank] = inputs.map((v) => v.shape.length) as [number, number];
    if (aRank === 2 && bRank === 2) {
      const attributes = { transA: Number(transA), transB: Number(transB) };
      return [e.op('Gemm', [a!, b!], { ...attributes, alpha: { kind: 'float', value: alpha } })];
    }
    const product = e.op('MatMul', [
      transA ? swapped(e, a!, aRank) : a!,
      transB ? swapped(e, b!, bRank) : b!,
    ]);
    return [alpha === 1 ? product : times(e, product, alpha)];
  },
});

/** alpha · op(a) op(b): a [..., M, K], b [..., K, N] (each with its last two axes swapped where trans says so) → [..., M, N]. */
export const matmul = (g: Emitter, a: Value, b: Value, attrs: Partial<MatmulAttrs> = {}): Value =>
  g.emit(matmulOp, [a, b], { transA: false, transB: false, alpha: 1, ...attrs })[0]!;
