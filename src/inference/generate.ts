/** Text generation over any function that gives the next token's logits: the trainer's own forward pass or an onnxruntime session. */
import { fail } from '../lib/errors.ts';

export interface SampleOptions {
  /** 0 takes the likeliest token (the first of equals); larger is wilder. Default 0. */
  readonly temperature?: number;
  /** Only the k likeliest tokens may be drawn; 0 means all. Default 0. */
  readonly topK?: number;
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
  /** The longest input that the model takes; older tokens fall away on the left. Default unlimited. */
  readonly context?: number;
  /** Tokens that end the text; the one that ended it is not returned. */
  readonly stop?: ReadonlySet<number>;
}

/** Yields new tokens one by one until `maxNewTokens` or a stop token, as long as it is asked for more. Throws 'non-finite' when the logits hold a NaN. */
export async function* generate(options: GenerateOptions): AsyncGenerator<number, void> {
  const { ids, maxNewTokens, logits, context = Number.POSITIVE_INFINITY, stop } = options;
  if (ids.length === 0) fail('bad-argument', 'Generation needs a prompt of at least one token.');
  const text = [...ids];
  for (let made = 0; made < maxNewTokens; made++) {
    const window = text.length > context ? text.slice(text.length - context) : text;
    const token = sample(await logits(window), options);
    if (stop?.has(token)) return;
    text.push(token);
    yield token;
  }
}

/** Draws a token from logits [vocabulary]: temperature, then top-k, then top-p, as Hugging Face's samplers do. */
export function sample(logits: Float32Array, options: SampleOptions = {}): number {
  const { temperature = 0, topK = 0, topP = 1, rng } = options;
  if (temperature === 0) return likeliest(logits);
  if (!(temperature > 0)) fail('bad-argument', `The temperature must be 0 or more, not ${temperature}.`);
  if (!(topP > 0 && topP <= 1)) fail('bad-argument', `topP must be above 0 and at most 1, not ${topP}.`);
  if (!rng) fail('bad-argument', 'Sampling with a temperature needs a random number generator.');
  const top = logits[likeliest(logits)]!;
  // Sorting is stable, so equal logits keep the order of their token numbers and a seed always draws the same text.
  let candidates = Array.from(logits, (_, token) => token).sort((a, b) => logits[b]! - logits[a]!);
  if (topK > 0) candidates = candidates.slice(0, topK);
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
      fail('non-finite', 'The model answered with NaN instead of a probability for the next token.');
    if (value > logits[best]!) best = token;
  }
  return best;
}
