/** Softmax cross-entropy, summed over the rows whose label counts; the loss of language models and classifiers. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
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
