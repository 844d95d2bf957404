/**
 * A decoder's onnxruntime session as a function from tokens to the next token's logits, whatever side inputs its export has. Exports
 * with a key-value cache keep it from call to call, so that a new token costs one position and not the whole text.
 */

import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { completeFeeds, type FeedNames, type Past, type TextShape, textFeeds } from './feeds.ts';
import type { FeedTensor, OrtSession } from './session.ts';

/** Output that gives the cache of a `past…` input: `past_key_values.0.key` is followed by `present.0.key`, `past_0` by `present_0`. */
function presentOf(past: string, outputs: readonly string[]): string | null {
  const names = [past.replace(/^past_key_values/, 'present'), past.replace(/^past/, 'present')];
  return names.find((name) => outputs.includes(name)) ?? null;
}

/**
 * `logits(ids)` for {@link generate}: feeds input_ids, and attention_mask, position_ids, token_type_ids and the key-value cache where
 * the model asks for them. Text that continues what was asked before costs its new tokens only; any other starts afresh.
 * A file of one length is fed padded texts, which may be no longer.
 * Throws 'unsupported-onnx' naming an input that it does not know.
 */
export function nextTokenLogits(
  session: OrtSession,
  names: FeedNames = {},
  shape: TextShape = { exactly: null, padId: 0 },
): (ids: readonly number[]) => Promise<Float32Array> {
  const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
  const caches = session.inputNames
    .filter((name) => /^past/.test(name))
    .map((past) => ({ past, present: presentOf(past, session.outputNames) }));
  const isCached = caches.length > 0 && caches.every(({ present }) => present !== null);
  const isPadded = shape.exactly !== null && !isCached;
  const wanted = [output, ...(isCached ? caches.map(({ present }) => present!) : [])];
  let read: readonly number[] = [];
  let tensors: Past['tensors'] = {};

  return async (ids) => {
    const continues = isCached && read.length < ids.length && read.every((id, i) => id === ids[i]);
    const past: Past =
      continues && read.length > 0 ? { length: read.length, tensors } : { length: 0, tensors: {} };
    const fresh = ids.slice(past.length);
    const given: Readonly<Record<string, FeedTensor>> = isPadded
      ? textFeeds({ ids: Int32Array.from(fresh) }, shape)
      : { input_ids: { dtype: 'int64', dims: [1, fresh.length], data: fresh } };
    const results = await session.run(completeFeeds(session.inputs, given, past, names), wanted);
    if (isCached) {
      tensors = Object.fromEntries(caches.map((c) => [c.past, results[c.present!]!]));
      read = [...ids];
    }
    const logits = results[output]!;
    const vocabulary = logits.dims.at(-1)!;
    const rows = logits.dims.length === 3 ? logits.dims[1]! : 1;
    const end = (isPadded && rows > 1 ? Math.min(fresh.length, rows) : rows) * vocabulary;
    return Float32Array.from(logits.data.subarray(end - vocabulary, end));
  };
}

// Text generation over any function that gives the next token's logits: the trainer's own forward pass or an onnxruntime session.

export interface SampleOptions {
  /** 0 takes the likeliest token (the first of equals); larger is wilder. Default 0. */
  readonly temperature?: number;
  /** Only the fewest tokens whose probabilities reach this sum, 0 < p ≤ 1. Default 1. */
  readonly topP?: number;
  /** Uniform numbers in [0, 1); needed when the temperature is above 0. */
  readonly rng?: { uniform(): number };
}

export interface GenerateOptions extends SampleOptions {
  /** Prompt, at least one token. */
  readonly ids: readonly number[];
  readonly maxNewTokens: number;
  /** Logits [vocabulary] of the token that follows `ids`. */
  readonly logits: (ids: readonly number[]) => Float32Array | Promise<Float32Array>;
  /** Tokens that end the text; the one that ended it is not returned. */
  readonly stop?: ReadonlySet<number>;
}

/** Yields new tokens one by one until `maxNewTokens` or a stop token, as long as it is asked for more. Throws 'non-finite' when the logits hold a NaN. */
export async function* generate(options: GenerateOptions): AsyncGenerator<number, void> {
  const { ids, maxNewTokens, logits, stop } = options;
  if (ids.length === 0) fail('bad-argument', say`Generation needs a prompt of at least one token.`);
  const text = [...ids];
  for (let made = 0; made < maxNewTokens; made++) {
    const token = sample(await logits(text), options);
    if (stop?.has(token)) return;
    text.push(token);
    yield token;
  }
}

/** Draws a token from logits [vocabulary]: temperature, then top-p, as Hugging Face's samplers do. */
export function sample(logits: Float32Array, options: SampleOptions = {}): number {
  const { temperature = 0, topP = 1, rng } = options;
  if (temperature === 0) return likeliest(logits);
  if (!(temperature > 0)) fail('bad-argument', say`The temperature must be 0 or more, not ${temperature}.`);
  if (!(topP > 0 && topP <= 1)) fail('bad-argument', say`topP must be above 0 and at most 1, not ${topP}.`);
  if (!rng) fail('bad-argument', say`Sampling with a temperature needs a random number generator.`);
  const top = logits[likeliest(logits)]!;
  // Sorting is stable, so equal logits keep the order of their token numbers and a seed always draws the same text.
  const candidates = Array.from(logits, (_, token) => token).sort((a, b) => logits[b]! - logits[a]!);
  const weights = candidates.map((token) => Math.exp((logits[token]! - top) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let kept = 0;
  let mass = 0;
  while (kept < weights.length && (kept === 0 || mass < topP * total)) mass += weights[kept++]!;
  let left = rng.uniform() * mass;
  for (let i = 0; i < kept; i++) {
    left -= weights[i]!;
    if (left < 0) return candidates[i]!;
  }
  return candidates[kept - 1]!;
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 0; token < logits.length; token++) {
    const value = logits[token]!;
    if (Number.isNaN(value))
      fail('non-finite', say`The model answered with NaN instead of a probability for the next token.`);
    if (value > logits[best]!) best = token;
  }
  return best;
}

// Texts as vectors, by an encoder's onnxruntime session: the mean of its last hidden states over the text's tokens, at length 1.

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
      say`The model gives ${session.outputNames.join(', ')} and no hidden states, so it makes no embeddings; export it for feature extraction.`,
    );
  if (ids.length === 0) fail('bad-argument', say`An embedding needs a text of at least one token.`);
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
  if (!(length > 0)) fail('non-finite', say`The model answered with a vector that has no length.`);
  return mean.map((v) => v / length);
}

/** Cosine of the angle between two unit vectors. */
export function cosine(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, v, i) => sum + v * b[i]!, 0);
}
