/** Softmax cross-entropy of logits, summed over the rows whose label counts. */

import type { Emitter, OnnxWriter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { divisor, perElement, spread } from './dispatch.ts';
import { FLOAT, INT64 } from './onnx.ts';

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
      say`crossEntropy: logits [${logits?.shape ?? ''}] and ${labels?.dtype ?? ''} labels [${labels?.shape ?? ''}] must be [N, V] and i32 [N].`,
    );
  }
  return [logits.shape[0]!, logits.shape[1]!];
}

/** `Params` of the shader. */
export const crossEntropyParams = (rows: number, classes: number, { ignoreIndex }: CrossEntropyAttrs) => [
  ...[rows, classes, ignoreIndex, 0],
  ...divisor(classes),
];

/** In ONNX: labels that count as int64 [N], 0 for the others, and which do as float [N, 1]. */
export function countedLabels(e: OnnxWriter, labels: string, classes: number, ignore: number, rows: number) {
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
    const params = crossEntropyParams(rows, classes, attrs);
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
          params: crossEntropyParams(rows, classes, attrs),
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
