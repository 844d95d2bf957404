/**
 * Softmax cross-entropy, summed over the rows whose label counts: of logits; and of a frozen output layer, whose logits exist for a chunk of
 * rows at a time, become their own gradient in place, and are multiplied back at once. At 50,000 classes that saves hundreds of megabytes.
 */
import type { Dispatch, Emitter, OnnxWriter, Ref, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread } from './dispatch.ts';
import { binary } from './elementwise.ts';
import { type Gemm, gemmKernel } from './gemm.ts';
import { FLOAT, INT64 } from './onnx.ts';
import { logicalMatrix, type QuantFormat } from './quantised.ts';

export interface CrossEntropyAttrs {
  /** Rows with this label add nothing to the loss; neither do labels outside 0 … V−1. PyTorch's -100 by default. */
  readonly ignoreIndex: number;
}

const SHADER = 'crossEntropy.wgsl';
const WG = 64;
/** Up to this many classes one thread takes a whole row. */
const NARROW = 64;

export function crossEntropyDims(inputs: readonly TensorType[]): [rows: number, classes: number] {
  const [logits, labels] = inputs;
  if (logits?.shape.length !== 2 || labels?.dtype !== 'i32' || labels.shape.join() !== `${logits.shape[0]}`) {
    fail(
      'shape',
      `crossEntropy: logits [${logits?.shape}] and ${labels?.dtype} labels [${labels?.shape}] must be [N, V] and i32 [N].`,
    );
  }
  return [logits.shape[0]!, logits.shape[1]!];
}

/** In ONNX: labels that count as int64 [N], 0 for the others, and which do as float [N, 1]. */
function countedLabels(e: OnnxWriter, labels: string, classes: number, ignore: number, rows: number) {
  const wide = e.op('Cast', [labels], { to: INT64 });
  const inside = e.op('And', [
    e.op('GreaterOrEqual', [wide, e.ints([0], [])]),
    e.op('Less', [wide, e.ints([classes], [])]),
  ]);
  const counts = e.op('And', [inside, e.op('Not', [e.op('Equal', [wide, e.ints([ignore], [])])])]);
  return {
    label: e.op('Where', [counts, wide, e.ints([0], [])]),
    counts: e.reshape(e.op('Cast', [counts], { to: FLOAT }), [rows, 1]),
  };
}

/** logits f32 [N, V], labels i32 [N] → lossSum [1], lse [N] (log-sum-exp of each row, kept for the gradient). */
export const crossEntropyOp = defineOp<CrossEntropyAttrs>({
  name: 'crossEntropy',
  infer: (inputs) => {
    const [rows] = crossEntropyDims(inputs);
    return [
      { dtype: 'f32', shape: [1] },
      { dtype: 'f32', shape: [rows] },
    ];
  },
  gradient: (g, node, [dLoss, dLse]) => {
    if (dLse)
      fail('internal', 'crossEntropy: only the loss is differentiable, not the log-sum-exp beside it.');
    const [logits, labels] = node.inputs;
    if (!dLoss) return [null, null];
    return [g.emit(crossEntropyGradOp, [logits!, labels!, node.outputs[1]!, dLoss], node.attrs)[0]!, null];
  },
  kernel: ({ inputs, attrs }) => {
    const [rows, classes] = crossEntropyDims(inputs);
    const params = [rows, classes, attrs.ignoreIndex];
    const narrow = classes <= NARROW;
    return {
      scratchBytes: [4 * rows],
      dispatches: [
        {
          shader: SHADER,
          entry: narrow ? 'rows_narrow' : 'rows_wide',
          constants: { WG },
          params,
          bindings: [{ in: 0 }, { in: 1 }, { out: 1 }, { scratch: 0 }],
          workgroups: narrow ? perElement(rows, WG) : spread(rows),
        },
        {
          shader: SHADER,
          entry: 'total',
          constants: { WG: 256 },
          params,
          bindings: [{ scratch: 0 }, { out: 0 }],
          workgroups: [1, 1, 1],
        },
      ],
    };
  },
  onnx: (e, [logits, labels], { inputs, attrs }) => {
    const [rows, classes] = inputs[0]!.shape as [number, number];
    const { label, counts } = countedLabels(e, labels!, classes, attrs.ignoreIndex, rows);
    const logShares = e.op('LogSoftmax', [logits!], { axis: 1 });
    const picked = e.op('GatherElements', [logShares, e.reshape(label, [rows, 1])], { axis: 1 });
    const sum = e.reduce('ReduceSum', e.op('Mul', [picked, counts]), [0, 1]);
    return [
      e.reshape(e.op('Neg', [sum]), [1]),
      e.op('ReduceLogSumExp', [logits!, e.ints([1])], { keepdims: 0 }),
    ];
  },
});

/** logits [N, V], labels i32 [N], lse [N], dLoss [1] → dLogits [N, V]. */
export const crossEntropyGradOp = defineOp<CrossEntropyAttrs>({
  name: 'crossEntropyGrad',
  infer: (inputs) => [{ dtype: 'f32', shape: crossEntropyDims(inputs) }],
  gradient: null,
  kernel: ({ inputs, attrs }) => {
    const [rows, classes] = crossEntropyDims(inputs);
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'backward',
          constants: { WG },
          params: [rows, classes, attrs.ignoreIndex],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }, { out: 0 }],
          workgroups: perElement(rows * classes, WG),
        },
      ],
    };
  },
  onnx: (e, [logits, labels, , dLoss], { inputs, attrs }) => {
    const [rows, classes] = inputs[0]!.shape as [number, number];
    const { label, counts } = countedLabels(e, labels!, classes, attrs.ignoreIndex, rows);
    const target = e.op('OneHot', [label, e.ints([classes], []), e.tensor('float32', [2], [0, 1])], {
      axis: 1,
    });
    const off = e.op('Sub', [e.op('Softmax', [logits!], { axis: 1 }), target]);
    return [e.op('Mul', [off, e.op('Mul', [counts, e.reshape(dLoss!, [1, 1])])])];
  },
});

/** @returns the loss summed over valid rows [1] (divide by their number for PyTorch's mean), and each row's log-sum-exp [N]. */
export function crossEntropy(
  g: Emitter,
  logits: Value,
  labels: Value,
  ignoreIndex = -100,
): { readonly loss: Value; readonly lse: Value } {
  const [loss, lse] = g.emit(crossEntropyOp, [logits, labels], { ignoreIndex });
  return { loss: loss!, lse: lse! };
}

export interface LinearCrossEntropyAttrs {
  readonly ignoreIndex: number;
  /** Rows of logits at a time, a multiple of 64 (parts of buffers start at multiples of 256 bytes). */
  readonly chunkRows: number;
  /** Whether dX is wanted; evaluation saves that product. */
  readonly withGradient: boolean;
  /** W is packed (u32); made by the fuse pass. */
  readonly packed?: QuantFormat;
}

/** Bytes of logits at a time; more, within what every device binds, where long rows would otherwise make chunks of few. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const MOST_CHUNK_BYTES = 100 * 1024 * 1024;
/** A chunk's products read the whole weight, so that it should be of so many rows at least. */
const LONG_CHUNK = 512;
const ALIGNED_ROWS = 64;

/** Numbers from a row of logits to the next. */
const rowStride = (classes: number): number => Math.ceil(classes / 4) * 4;

/** Rows of logits at a time, by the number of classes alone: the loss adds up in the same order everywhere. */
function chunkRowsFor(classes: number): number {
  const within = (bytes: number): number => Math.floor(bytes / (4 * rowStride(classes)));
  const rows = Math.max(within(CHUNK_BYTES), Math.min(LONG_CHUNK, within(MOST_CHUNK_BYTES)));
  return Math.max(ALIGNED_ROWS, rows - (rows % ALIGNED_ROWS));
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
    // Rows of logits begin at vectors of four, so that both products read and write them so.
    const stride = rowStride(classes);
    // 0: partial sums of the products, 1: logits of a chunk, 2: loss of every row.
    const logits: Ref = { scratch: 1 };
    let splitBytes = 4;
    const dispatches: Dispatch[] = [];
    const multiply = (
      product: Pick<Gemm, 'm' | 'n' | 'k' | 'transB' | 'a' | 'c' | 'lda' | 'ldc' | 'cRoom'>,
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
    for (let first = 0; first < rows; first += chunk) {
      const here = Math.min(chunk, rows - first);
      const part = (ref: Ref, columns: number): Ref =>
        here === rows ? ref : { ...ref, offsetBytes: 4 * first * columns, sizeBytes: 4 * here * columns };
      multiply({
        ...{ m: here, n: classes, k: width, transB: true },
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
          ...{ m: here, n: width, k: classes, transB: false },
          ...{ a: logits, lda: stride, c: part({ out: 1 }, width) },
        });
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
    return { scratchBytes: [splitBytes, 4 * chunk * stride, 4 * rows], dispatches };
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
  const attrs = {
    ignoreIndex: options.ignoreIndex ?? -100,
    withGradient: options.withGradient ?? true,
    chunkRows: chunkRowsFor(weight.shape[0]!),
  };
  return { loss: g.emit<LinearCrossEntropyAttrs>(linearCrossEntropyOp, [x, weight, labels], attrs)[0]! };
}
