/** Softmax cross-entropy, summed over the rows whose label counts; the loss of language models and classifiers. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, Tensor, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, spread } from './dispatch.ts';

export interface CrossEntropyAttrs {
  /** Rows with this label add nothing to the loss; neither do labels outside 0 … V−1. PyTorch's -100 by default. */
  readonly ignoreIndex: number;
}

const SHADER = 'crossEntropy.wgsl';
const WG = 64;
/** Up to this many classes one thread takes a whole row. */
const NARROW = 64;

function dims(inputs: readonly TensorType[]): [rows: number, classes: number] {
  const [logits, labels] = inputs;
  if (logits?.shape.length !== 2 || labels?.dtype !== 'i32' || labels.shape.join() !== `${logits.shape[0]}`) {
    fail(
      'shape',
      `crossEntropy: logits [${logits?.shape}] and ${labels?.dtype} labels [${labels?.shape}] must be [N, V] and i32 [N].`,
    );
  }
  return [logits.shape[0]!, logits.shape[1]!];
}

const counts = (label: number, classes: number, ignoreIndex: number): boolean =>
  label !== ignoreIndex && label >= 0 && label < classes;

/** logits f32 [N, V], labels i32 [N] → lossSum [1], lse [N] (log-sum-exp of each row, kept for the gradient). */
export const crossEntropyOp = defineOp<CrossEntropyAttrs>({
  name: 'crossEntropy',
  infer: (inputs) => {
    const [rows] = dims(inputs);
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
    const [rows, classes] = dims(inputs);
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
  reference: ([logits, labels], { ignoreIndex }) => {
    const [rows, classes] = dims([logits!, labels!]);
    const lse = new Float64Array(rows);
    let loss = 0;
    for (let n = 0; n < rows; n++) {
      const row = logits!.data.subarray(n * classes, (n + 1) * classes);
      const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
      lse[n] = max + Math.log(row.reduce((s, x) => s + Math.exp(x - max), 0));
      const label = labels!.data[n]!;
      if (counts(label, classes, ignoreIndex)) loss += lse[n]! - row[label]!;
    }
    return [
      { dtype: 'f32', shape: [1], data: Float64Array.of(loss) },
      { dtype: 'f32', shape: [rows], data: lse },
    ];
  },
  cases: [
    {
      name: 'few classes, ignored and illegal labels',
      inputs: [
        { dtype: 'f32', shape: [5, 7] },
        { dtype: 'i32', shape: [5], data: [3, -100, 6, 7, 0] },
      ],
      attrs: { ignoreIndex: -100 },
    },
    {
      name: 'many classes, large logits, ignored label inside the range',
      inputs: [
        { dtype: 'f32', shape: [3, 131], range: [-30, 30] },
        { dtype: 'i32', shape: [3], data: [130, 2, 1] },
      ],
      attrs: { ignoreIndex: 2 },
    },
    {
      name: 'no valid row',
      inputs: [
        { dtype: 'f32', shape: [2, 3] },
        { dtype: 'i32', shape: [2], data: [-100, -100] },
      ],
      attrs: { ignoreIndex: -100 },
    },
  ],
});

/** logits [N, V], labels i32 [N], lse [N], dLoss [1] → dLogits [N, V]. */
export const crossEntropyGradOp = defineOp<CrossEntropyAttrs>({
  name: 'crossEntropyGrad',
  infer: (inputs) => [{ dtype: 'f32', shape: dims(inputs) }],
  gradient: null,
  kernel: ({ inputs, attrs }) => {
    const [rows, classes] = dims(inputs);
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
  reference: ([logits, labels, lse, dLoss], { ignoreIndex }) => {
    const [rows, classes] = dims([logits!, labels!]);
    const data = new Float64Array(rows * classes);
    for (let n = 0; n < rows; n++) {
      const label = labels!.data[n]!;
      if (!counts(label, classes, ignoreIndex)) continue;
      for (let v = 0; v < classes; v++) {
        const i = n * classes + v;
        data[i] = dLoss!.data[0]! * (Math.exp(logits!.data[i]! - lse!.data[n]!) - (v === label ? 1 : 0));
      }
    }
    return [{ dtype: 'f32', shape: [rows, classes], data } satisfies Tensor];
  },
  cases: [
    {
      name: 'ignored rows have no gradient',
      inputs: [
        { dtype: 'f32', shape: [4, 9] },
        { dtype: 'i32', shape: [4], data: [8, -100, 0, 3] },
        { dtype: 'f32', shape: [4], range: [2, 3] },
        { dtype: 'f32', shape: [1], data: [0.25] },
      ],
      attrs: { ignoreIndex: -100 },
    },
  ],
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
