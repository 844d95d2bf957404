/**
 * Softmax cross-entropy of a frozen output layer, summed over the rows whose label counts. Its logits exist for a chunk of rows at a time,
 * become their own gradient in place, and are multiplied back at once: at 50,000 classes that saves hundreds of megabytes.
 */

import type { Dispatch, Emitter, OnnxForm, Ref, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { countedLabels, crossEntropyParams } from './crossEntropy.ts';
import { ALIGNED, spread } from './dispatch.ts';
import { binary } from './elementwise.ts';
import { type Gemm, gemmKernel } from './gemm.ts';
import { matmul } from './onnx.ts';
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

/** Bytes of logits at a time; more where long rows would otherwise make chunks of few. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const MOST_CHUNK_BYTES = 300 * 1024 * 1024;
/** A chunk's products read the whole weight: chunks are of so many rows at least, and few. Logits then grow with the batch, as what a step keeps does. */
const LONG_CHUNK = 512;
const FEW_CHUNKS = 3;

/** Numbers from a row of logits to the next. */
const rowStride = (classes: number): number => Math.ceil(classes / 4) * 4;

/** A number of rows as a multiple of {@link ALIGNED}, at least one. */
const aligned = (rows: number): number => Math.max(ALIGNED, rows - (rows % ALIGNED));

/** Rows of logits at a time, by shapes alone: the sums of dX, which a product cuts by its rows, add up in the same order everywhere. */
function chunkRowsFor(rows: number, classes: number): number {
  const within = (bytes: number): number => Math.floor(bytes / (4 * rowStride(classes)));
  const wanted = Math.max(LONG_CHUNK, Math.ceil(rows / FEW_CHUNKS / ALIGNED) * ALIGNED);
  return aligned(Math.max(within(CHUNK_BYTES), Math.min(wanted, within(MOST_CHUNK_BYTES))));
}

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
      say`linearCrossEntropy: x [${x!.shape}], W [${w.shape}], labels [${labels!.shape}] must be [N, D], [V, D], [N].`,
    );
  }
  return [rows, width, w.shape[0]!];
}

/** Rows of logits at a time in ONNX, where their softmax is a matrix of its own. */
const ONNX_CHUNK = 128;

/** With P the softmax of a chunk's logits: loss lse − logit of the label, dX = P W − W[label]. */
const lossOnnx: OnnxForm<LinearCrossEntropyAttrs> = (e, [x, w, labels], { inputs, attrs }) => {
  const [rows, , classes] = dims(inputs, undefined);
  const losses: string[] = [];
  const gradients: string[] = [];
  for (let first = 0; first < rows; first += ONNX_CHUNK) {
    const here = Math.min(ONNX_CHUNK, rows - first);
    const part = (name: string): string =>
      here === rows ? name : e.op('Slice', [name, e.ints([first]), e.ints([first + here]), e.ints([0])]);
    const { label, counts } = countedLabels(e, part(labels!), classes, attrs.ignoreIndex, here);
    const logits = e.op('Gemm', [part(x!), w!], { transB: 1 });
    const picked = e.op('GatherElements', [logits, e.reshape(label, [here, 1])], { axis: 1 });
    const off = e.op('Sub', [e.op('ReduceLogSumExp', [logits, e.ints([1])], { keepdims: 1 }), picked]);
    losses.push(e.reshape(e.reduce('ReduceSum', e.op('Mul', [off, counts]), [0, 1]), [1]));
    if (!attrs.withGradient) continue;
    const shares = matmul(e, e.op('Softmax', [logits], { axis: 1 }), w!);
    const own = e.op('Gather', [w!, label], { axis: 0 });
    gradients.push(e.op('Mul', [e.op('Sub', [shares, own]), counts]));
  }
  const loss = losses.length === 1 ? losses[0]! : e.op('Sum', losses);
  if (!attrs.withGradient) return [loss];
  return [loss, gradients.length === 1 ? gradients[0]! : e.op('Concat', gradients, { axis: 0 })];
};

/** x f32 [N, D], W f32 or f16 [V, D] (frozen), labels i32 [N] → lossSum [1], and dX [N, D] for a loss gradient of 1. */
export const linearCrossEntropyOp = defineOp<LinearCrossEntropyAttrs>({
  name: 'linearCrossEntropy',
  infer: (inputs, { chunkRows, withGradient, packed }) => {
    const [rows, width] = dims(inputs, packed);
    if (chunkRows % ALIGNED !== 0)
      fail('shape', say`linearCrossEntropy: ${chunkRows} rows are no multiple of ${ALIGNED}.`);
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
    // Rows of logits begin at vectors of four, so that both products read and write them so.
    const stride = rowStride(classes);
    // A device that binds less takes a chunk in pieces, each cut along k as the chunk is.
    const piece = Math.min(chunk, aligned(Math.floor(caps.maxStorageBindingBytes / (4 * stride))));
    // 0: partial sums of the products, 1: logits of a chunk, 2: loss of every row.
    const logits: Ref = { scratch: 1 };
    let splitBytes = 4;
    const dispatches: Dispatch[] = [];
    const multiply = (
      product: Pick<Gemm, 'm' | 'n' | 'k' | 'transB' | 'a' | 'c' | 'lda' | 'ldc' | 'cRoom' | 'splitAs'>,
    ): void => {
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
    const lossOf = (first: number, here: number, splitAs: number): void => {
      const part = (ref: Ref, columns: number): Ref =>
        here === rows ? ref : { ...ref, offsetBytes: 4 * first * columns, sizeBytes: 4 * here * columns };
      multiply({
        ...{ m: here, n: classes, k: width, transB: true, splitAs },
        ...{ a: part({ in: 0 }, width), c: logits, ldc: stride, cRoom: true },
      });
      dispatches.push({
        shader: 'linearCrossEntropy.wgsl',
        entry: 'rows_in_place',
        constants: { WG: 256 },
        params: [here, classes, attrs.ignoreIndex, stride / 4, attrs.withGradient ? 1 : 0],
        bindings: [logits, part({ in: 2 }, 1), part({ scratch: 2 }, 1)],
        workgroups: spread(here),
      });
      if (attrs.withGradient) {
        multiply({
          ...{ m: here, n: width, k: classes, transB: false, splitAs },
          ...{ a: logits, lda: stride, c: part({ out: 1 }, width) },
        });
      }
    };
    for (let first = 0; first < rows; first += chunk) {
      const end = Math.min(first + chunk, rows);
      for (let from = first; from < end; from += piece)
        lossOf(from, Math.min(piece, end - from), end - first);
    }
    dispatches.push({
      shader: 'crossEntropy.wgsl',
      entry: 'total',
      constants: { WG: 256 },
      params: crossEntropyParams(rows, classes, attrs),
      bindings: [{ scratch: 2 }, { out: 0 }],
      workgroups: [1, 1, 1],
    });
    return { scratchBytes: [splitBytes, 4 * piece * stride, 4 * rows], dispatches };
  },
  onnx: lossOnnx,
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
  const attrs = {
    ignoreIndex: options.ignoreIndex ?? -100,
    withGradient: options.withGradient ?? true,
    chunkRows: chunkRowsFor(x.shape[0]!, weight.shape[0]!),
  };
  return { loss: g.emit<LinearCrossEntropyAttrs>(linearCrossEntropyOp, [x, weight, labels], attrs)[0]! };
}
