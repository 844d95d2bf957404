/** The loss of a task, emitted onto an adapted graph and summed over what counts: cross-entropy of labels, or squared error of numbers. */
import type { Builder } from '../graph/builder.ts';
import { sizeOf } from '../graph/shape.ts';
import type { TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { crossEntropy, linearCrossEntropy } from '../ops/crossEntropy.ts';
import { binary, reduce } from '../ops/elementwise.ts';
import { storedParameter } from '../ops/fuse/stored.ts';
import { slice, view } from '../ops/moves.ts';

export type LossKind = 'cross-entropy' | 'squared-error';

/** The input that a loss compares logits [..., C] with: i32 [...], or for numbers f32 [2, B], values above weights (0 = no example). */
export function labelsType(logits: Value, kind: LossKind = 'cross-entropy'): TensorType {
  return kind === 'cross-entropy'
    ? { dtype: 'i32', shape: logits.shape.slice(0, -1) }
    : { dtype: 'f32', shape: [2, logits.shape[0]!] };
}

/** Above this many logits a frozen output layer is fused into the loss, chunk by chunk, and its logits are never whole. */
const WHOLE_LOGITS = 1 << 22;

/** The frozen, bias-free layer whose product `logits` is, seen through reshapes. */
function frozenHead(logits: Value): { readonly x: Value; readonly W: Value } | null {
  let value = logits;
  while (value.producer?.op.name === 'view') value = value.producer.inputs[0]!;
  const node = value.producer;
  if (node?.op.name !== 'linear' || node.inputs.length !== 2) return null;
  const [x, W] = node.inputs;
  return storedParameter(W!) ? { x: x!, W: W! } : null;
}

/**
 * Sum over valid labels of −log softmax(logits)[label], or over examples of (output − value)².
 * @param logits [..., classes]; [B, 1] for the squared error
 * @param labels as {@link labelsType} has it; −100 is ignored
 * @param options.withGradient false where nothing will be differentiated, which saves the fused loss half its work
 * @returns [1]
 */
export function emitLossSum(
  g: Builder,
  logits: Value,
  labels: Value,
  options: { readonly kind?: LossKind | undefined; readonly withGradient: boolean } = { withGradient: true },
): Value {
  if (options.kind === 'squared-error') return squaredErrorSum(g, logits, labels);
  const classes = logits.shape.at(-1)!;
  const rows = sizeOf(logits.shape) / classes;
  const flatLabels = view(g, labels, [rows]);
  const head = sizeOf(logits.shape) > WHOLE_LOGITS ? frozenHead(logits) : null;
  if (head) {
    const x = view(g, head.x, [rows, head.x.shape.at(-1)!]);
    return linearCrossEntropy(g, x, head.W, flatLabels, options).loss;
  }
  return crossEntropy(g, view(g, logits, [rows, classes]), flatLabels).loss;
}

function squaredErrorSum(g: Builder, logits: Value, labels: Value): Value {
  const batch = logits.shape[0]!;
  if (sizeOf(logits.shape) !== batch)
    fail('shape', `The squared error needs one output per example, not [${logits.shape}].`);
  const row = (k: number): Value =>
    view(g, slice(g, labels, { starts: [k, 0], ends: [k + 1, batch], steps: [1, 1] }), [batch]);
  const error = binary(g, view(g, logits, [batch]), row(0), { fn: 'sub' });
  const counted = binary(g, binary(g, error, error, { fn: 'mul' }), row(1), { fn: 'mul' });
  return view(g, reduce(g, counted, { fn: 'sum', axes: [0] }), [1]);
}
