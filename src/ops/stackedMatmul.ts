/**
 * stackedMatmul: several products of one shape at once, C_i = op(A_i) op(B_i): the matrices of an operand lie `apart`, one after the other
 * [count, rows, columns], or `beside` each other, as columns of one matrix [rows, count · columns]. Layers that read one activation, and their
 * adapters, are computed so. Kernel: gemm.ts.
 */

import type { Emitter, OnnxWriter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { type Gemm, gemmKernel } from './gemm.ts';
import { matmul as matmulOnnx, swapped } from './onnx.ts';

export type Lies = 'apart' | 'beside';

export interface StackedMatmulAttrs {
  readonly count: number;
  readonly transA: boolean;
  readonly transB: boolean;
  /** How the matrices of A, B and C lie. */
  readonly a: Lies;
  readonly b: Lies;
  readonly c: Lies;
}

/** Rows and columns of one matrix of an operand. */
function matrixOf({ shape }: TensorType, lies: Lies, count: number): [rows: number, columns: number] {
  if (lies === 'apart' && shape.length === 3 && shape[0] === count) return [shape[1]!, shape[2]!];
  if (lies === 'beside' && shape.length === 2 && shape[1]! % count === 0)
    return [shape[0]!, shape[1]! / count];
  return fail('shape', say`stackedMatmul: [${shape}] are no ${count} matrices ${lies}.`);
}

/** Elements from a row to the next, and from a matrix to the next. */
export const stepsOf = (
  lies: Lies,
  count: number,
  rows: number,
  columns: number,
): [row: number, matrix: number] =>
  lies === 'apart' ? [columns, rows * columns] : [count * columns, columns];

interface Sizes {
  readonly a: [number, number];
  readonly b: [number, number];
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

export function stackedSizes([x, y]: readonly TensorType[], attrs: StackedMatmulAttrs): Sizes {
  const { count, transA, transB } = attrs;
  const a = matrixOf(x!, attrs.a, count);
  const b = matrixOf(y!, attrs.b, count);
  const [m, k] = transA ? [a[1], a[0]] : a;
  const [k2, n] = transB ? [b[1], b[0]] : b;
  if (k !== k2)
    fail('shape', say`stackedMatmul: inner sizes ${k} and ${k2} of [${x!.shape}] and [${y!.shape}] differ.`);
  return { a, b, m, n, k };
}

/** What gemm.ts needs to know of where the matrices lie. */
export function stackedLayout(
  { a, b, m, n }: Sizes,
  attrs: StackedMatmulAttrs,
): Partial<Gemm> & Pick<Gemm, 'batch' | 'aStrides' | 'bStrides'> {
  const { count } = attrs;
  const [lda, aStep] = stepsOf(attrs.a, count, ...a);
  const [ldb, bStep] = stepsOf(attrs.b, count, ...b);
  const [ldc, cStep] = stepsOf(attrs.c, count, m, n);
  return { batch: [count], aStrides: [aStep], bStrides: [bStep], cStrides: [cStep], lda, ldb, ldc };
}

/** The matrices of an operand one after the other, in ONNX. */
function apartOnnx(
  e: OnnxWriter,
  x: string,
  lies: Lies,
  count: number,
  [rows, columns]: [number, number],
): string {
  return lies === 'apart' ? x : e.transpose(e.reshape(x, [rows, count, columns]), [1, 0, 2]);
}

export const stackedMatmulOp = defineOp<StackedMatmulAttrs>({
  name: 'stackedMatmul',
  infer(inputs, attrs) {
    if (inputs.some(({ dtype }) => dtype !== 'f32')) fail('shape', say`stackedMatmul: takes f32.`);
    const { m, n } = stackedSizes(inputs, attrs);
    const { count, c } = attrs;
    return [{ dtype: 'f32', shape: c === 'apart' ? [count, m, n] : [m, count * n] }];
  },
  gradient(g, node, [dC], wants) {
    const [x, y] = node.inputs as [Value, Value];
    const { count, transA, transB, a, b, c } = node.attrs;
    const emit = (left: Value, right: Value, attrs: Omit<StackedMatmulAttrs, 'count'>): Value =>
      stackedMatmul(g, left, right, { count, ...attrs });
    const dA = (): Value =>
      transA
        ? emit(y, dC!, { transA: transB, transB: true, a: b, b: c, c: a })
        : emit(dC!, y, { transA: false, transB: !transB, a: c, b, c: a });
    const dB = (): Value =>
      transB
        ? emit(dC!, x, { transA: true, transB: transA, a: c, b: a, c: b })
        : emit(x, dC!, { transA: !transA, transB: false, a, b: c, c: b });
    return [wants[0] ? dA() : null, wants[1] ? dB() : null];
  },
  kernel({ inputs, attrs }, caps) {
    const sizes = stackedSizes(inputs, attrs);
    const { m, n, k } = sizes;
    return gemmKernel(
      {
        ...{ m, n, k, ...stackedLayout(sizes, attrs) },
        ...{ transA: attrs.transA, transB: attrs.transB, alpha: 1, bHalf: false },
        ...{ a: { in: 0 }, b: { in: 1 }, c: { out: 0 } },
      },
      caps,
    );
  },
  onnx(e, [x, y], { inputs, outputs, attrs }) {
    const { count, transA, transB, c } = attrs;
    const { a, b } = stackedSizes(inputs, attrs);
    const left = apartOnnx(e, x!, attrs.a, count, a);
    const right = apartOnnx(e, y!, attrs.b, count, b);
    const product = matmulOnnx(e, transA ? swapped(e, left, 3) : left, transB ? swapped(e, right, 3) : right);
    const { shape } = outputs[0]!;
    return [c === 'apart' ? product : e.reshape(e.transpose(product, [1, 0, 2]), shape)];
  },
});

export const stackedMatmul = (g: Emitter, a: Value, b: Value, attrs: StackedMatmulAttrs): Value =>
  g.emit(stackedMatmulOp, [a, b], attrs)[0]!;

/** Whether C has one row for all, so that what follows a product can join it. */
export const isRowOfProducts = ({ b, c, transA }: StackedMatmulAttrs): boolean =>
  b === 'apart' && c === 'beside' && !transA;
