/** The loss of a task, emitted onto an adapted graph: cross-entropy summed over the labels that count. */
import type { Builder } from '../graph/builder.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Value } from '../graph/types.ts';
import { crossEntropy } from '../ops/crossEntropy.ts';
import { linearCrossEntropy } from '../ops/linearCrossEntropy.ts';
import { view } from '../ops/view.ts';

/** Above this many logits a frozen output layer is fused into the loss, chunk by chunk, and its logits are never whole. */
const WHOLE_LOGITS = 1 << 22;

/** The frozen, bias-free layer whose product `logits` is, seen through reshapes. */
function frozenHead(logits: Value): { readonly x: Value; readonly W: Value } | null {
  let value = logits;
  while (value.producer?.op.name === 'view') value = value.producer.inputs[0]!;
  const node = value.producer;
  if (node?.op.name !== 'linear' || node.inputs.length !== 2) return null;
  const [x, W] = node.inputs;
  return W!.role === 'parameter' ? { x: x!, W: W! } : null;
}

/**
 * Sum over valid labels of −log softmax(logits)[label].
 * @param logits [..., classes]
 * @param labels i32, one per row of logits; −100 is ignored
 * @param options.withGradient false where nothing will be differentiated, which saves the fused loss half its work
 * @returns [1]
 */
export function emitLossSum(
  g: Builder,
  logits: Value,
  labels: Value,
  options: { readonly withGradient: boolean } = { withGradient: true },
): Value {
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
