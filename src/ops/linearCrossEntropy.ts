/**
 * A frozen output layer and its cross-entropy in one: the logits exist for a chunk of rows at a time, become their own gradient in
 * place, and are multiplied back at once. At 50,000 classes that saves hundreds of megabytes.
 */
import { defineOp } from '../graph/defineOp.ts';
import type { Dispatch, Emitter, Ref, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { spread } from './dispatch.ts';
import { binary } from './elementwise.ts';
import { type Gemm, gemmKernel } from './gemm.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';

export interface LinearCrossEntropyAttrs {
  readonly ignoreIndex: number;
  /** Rows of logits at a time, a multiple of 64 (parts of buffers start at multiples of 256 bytes). */
  readonly chunkRows: number;
  /** Whether dX is wanted; evaluation saves that product. */
  readonly withGradient: boolean;
  /** W is packed (u32); made by the fuse pass. */
  readonly packed?: QuantFormat;
}

const WG = 64;

/** Bytes of logits at a time. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const ALIGNED_ROWS = 64;

function dims(
  [x, stored, labels]: readonly TensorType[],
  packed: QuantFormat | undefined,
): [rows: number, width: number, classes: number] {
  const w = logicalMatrix(stored!, packed, 'linearCrossEntropy');
  const [rows, width] = x!.shape as [number, number];
  if (
    x!.shape.length !== 2 ||
    w.shape.length !== 2 ||
    w.shape[1] !== width ||
    labels!.shape.join() !== `${rows}`
  ) {
    fail(
      'shape',
      `linearCrossEntropy: x [${x!.shape}], W [${w.shape}], labels [${labels!.shape}] must be [N, D], [V, D], [N].`,
    );
  }
  return [rows, width, w.shape[0]!];
}

/** x f32 [N, D], W f32 or f16 [V, D] (frozen), labels i32 [N] → lossSum [1], and dX [N, D] for a loss gradient of 1. */
export const linearCrossEntropyOp = defineOp<LinearCrossEntropyAttrs>({
  name: 'linearCrossEntropy',
  infer: (inputs, { chunkRows, withGradient, packed }) => {
    const [rows, width] = dims(inputs, packed);
    if (chunkRows % ALIGNED_ROWS !== 0)
      fail('shape', `linearCrossEntropy: ${chunkRows} rows are no multiple of ${ALIGNED_ROWS}.`);
    const loss = { dtype: 'f32' as const, shape: [1] };
    return withGradient ? [loss, { dtype: 'f32', shape: [rows, width] }] : [loss];
  },
  gradient: (g, node, [dLoss], [wantX, wantW]) => {
    if (wantW)
      fail('internal', 'linearCrossEntropy: the output layer must be frozen; use linear and crossEntropy.');
    const dX = node.outputs[1];
    if (!dX) fail('internal', 'linearCrossEntropy was built without its gradient.');
    return [dLoss && wantX ? binary(g, dX, dLoss, { fn: 'mul' }) : null, null, null];
  },
  kernel: ({ inputs, attrs }, caps) => {
    const [rows, width, classes] = dims(inputs, attrs.packed);
    const chunk = Math.min(rows, attrs.chunkRows);
    // 0: partial sums of the products, 1: logits of a chunk, 2: loss of every row.
    const logits: Ref = { scratch: 1 };
    let splitBytes = 4;
    const dispatches: Dispatch[] = [];
    const multiply = (product: Pick<Gemm, 'm' | 'n' | 'k' | 'transB' | 'a' | 'c'>): void => {
      const kernel = gemmKernel(
        {
          ...product,
          batch: [],
          aStrides: [],
          bStrides: [],
          transA: false,
          alpha: 1,
          bHalf: inputs[1]!.dtype === 'f16',
          bQuant: attrs.packed,
          b: { in: 1 },
        },
        caps,
      );
      splitBytes = Math.max(splitBytes, ...(kernel.scratchBytes ?? []));
      dispatches.push(...kernel.dispatches);
    };
    for (let first = 0; first < rows; first += chunk) {
      const here = Math.min(chunk, rows - first);
      const part = (ref: Ref, columns: number): Ref =>
        here === rows ? ref : { ...ref, offsetBytes: 4 * first * columns, sizeBytes: 4 * here * columns };
      multiply({ m: here, n: classes, k: width, transB: true, a: part({ in: 0 }, width), c: logits });
      dispatches.push({
        shader: 'linearCrossEntropy.wgsl',
        entry: 'rows_in_place',
        constants: { WG },
        params: [here, classes, attrs.ignoreIndex],
        bindings: [logits, part({ in: 2 }, 1), part({ scratch: 2 }, 1)],
        workgroups: spread(here),
      });
      if (attrs.withGradient) {
        multiply({ m: here, n: width, k: classes, transB: false, a: logits, c: part({ out: 1 }, width) });
      }
    }
    dispatches.push({
      shader: 'crossEntropy.wgsl',
      entry: 'total',
      constants: { WG: 256 },
      params: [rows, classes, attrs.ignoreIndex],
      bindings: [{ scratch: 2 }, { out: 0 }],
      workgroups: [1, 1, 1],
    });
    return { scratchBytes: [splitBytes, 4 * chunk * classes, 4 * rows], dispatches };
  },
});

/**
 * The loss of a frozen layer's logits, summed over the rows whose label counts.
 * @param x [N, D] @param weight frozen [V, D] @param labels i32 [N]; −100 is ignored
 */
export function linearCrossEntropy(
  g: Emitter,
  x: Value,
  weight: Value,
  labels: Value,
  options: { readonly ignoreIndex?: number; readonly withGradient?: boolean } = {},
): { readonly loss: Value } {
  const fits = Math.floor(CHUNK_BYTES / (4 * weight.shape[0]!));
  const attrs = {
    ignoreIndex: options.ignoreIndex ?? -100,
    withGradient: options.withGradient ?? true,
    chunkRows: Math.max(ALIGNED_ROWS, fits - (fits % ALIGNED_ROWS)),
  };
  return { loss: g.emit<LinearCrossEntropyAttrs>(linearCrossEntropyOp, [x, weight, labels], attrs)[0]! };
}
