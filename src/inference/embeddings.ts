/** Texts as vectors, by an encoder's onnxruntime session: the mean of its last hidden states over the text's tokens, at length 1. */
import { fail } from '../lib/errors.ts';
import { completeFeeds, type FeedNames, type TextShape, textFeeds } from './feeds.ts';
import type { OrtSession } from './session.ts';

/** Outputs that hold hidden states [batch, sequence, width] or one vector for each text [batch, width], the best first. */
const HIDDEN = [
  'sentence_embedding',
  'text_embeds',
  'last_hidden_state',
  'hidden_states',
  'encoder_hidden_states',
];

/**
 * The unit vector [width] of a text.
 * @param ids tokens with the special ones that the model expects, at least one
 * @throws PapilioError('unsupported-onnx') for a model without hidden states among its outputs
 */
export async function embed(
  session: OrtSession,
  ids: readonly number[],
  names: FeedNames = {},
  shape: TextShape = { exactly: null, padId: 0 },
): Promise<Float32Array> {
  const output =
    HIDDEN.find((name) => session.outputNames.includes(name)) ??
    fail(
      'unsupported-onnx',
      `The model gives ${session.outputNames.join(', ')} and no hidden states, so it makes no embeddings; export it for feature extraction.`,
    );
  if (ids.length === 0) fail('bad-argument', 'An embedding needs a text of at least one token.');
  const given = textFeeds({ ids: Int32Array.from(ids) }, shape);
  const { dims, data } = (
    await session.run(completeFeeds(session.inputs, given, undefined, names), [output])
  )[output]!;
  const width = dims.at(-1)!;
  const mean = new Float32Array(width);
  // Padding does not count.
  const counted = dims.length === 3 ? Math.min(ids.length, dims[1]!) * width : width;
  for (let i = 0; i < counted; i++) mean[i % width]! += data[i]!;
  const length = Math.hypot(...mean);
  if (!(length > 0)) fail('non-finite', 'The model answered with a vector that has no length.');
  return mean.map((v) => v / length);
}

/** Cosine of the angle between two unit vectors. */
export function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * b[i]!, 0);
}
