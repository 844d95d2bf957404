/** Fills in the inputs of an export that follow from the others: masks, positions, types, the key-value cache. */
import { fail } from '../lib/errors.ts';
import type { ValueInfo } from './session.ts';
import type { FeedTensor } from './tensor.ts';

/** What a decoder has read before: its length, and the cache's tensors by input name. */
export interface Past {
  readonly length: number;
  readonly tensors: Readonly<Record<string, FeedTensor>>;
}

/** `input_ids`, `attention_mask` …, by the file's own name for the input. */
export type FeedNames = Readonly<Record<string, string>>;

const NOTHING: Past = { length: 0, tensors: {} };

/**
 * @param given what the caller knows, by input name; at least `input_ids` [batch, sequence] or `pixel_values`
 * @param past what comes before input_ids; the cache is empty unless given
 * @param names what inputs are for that the file calls otherwise
 * @throws PapilioError('unsupported-onnx') naming an input that follows from nothing here
 */
export function completeFeeds(
  inputs: readonly ValueInfo[],
  given: Readonly<Record<string, FeedTensor>>,
  past: Past = NOTHING,
  names: FeedNames = {},
): Record<string, FeedTensor> {
  const [batch = 1, sequence = 1] = given.input_ids?.dims ?? Object.values(given)[0]?.dims ?? [];
  const tokens = (columns: number, value: (column: number) => number): Omit<FeedTensor, 'dtype'> => ({
    dims: [batch, columns],
    data: Int32Array.from({ length: batch * columns }, (_, i) => value(i % columns)),
  });
  const feeds: Record<string, FeedTensor> = {};
  for (const { name, dtype, dims: declared } of inputs) {
    const feed = names[name] ?? name;
    const known = given[feed] ?? given[name] ?? past.tensors[name];
    if (known) feeds[name] = { ...known, dtype };
    else if (feed === 'attention_mask') feeds[name] = { dtype, ...tokens(past.length + sequence, () => 1) };
    else if (feed === 'position_ids') feeds[name] = { dtype, ...tokens(sequence, (i) => past.length + i) };
    else if (feed === 'token_type_ids') feeds[name] = { dtype, ...tokens(sequence, () => 0) };
    else if (name === 'use_cache_branch' || name === 'num_logits_to_keep') {
      const value = name === 'use_cache_branch' && past.length > 0 ? 1 : 0;
      feeds[name] = { dtype, dims: declared.length === 0 ? [] : [1], data: [value] };
    } else if (/^past/.test(name)) {
      feeds[name] = { dtype, dims: emptyCache(declared, batch), data: [] };
    } else fail('unsupported-onnx', `It is not known what to feed into the input ${name} of this model.`);
  }
  return feeds;
}

/** [batch, heads, past, head size], or GPT-2's [2, batch, heads, past, head size]: the first free dim is the batch, the other the past. */
function emptyCache(declared: readonly (number | string)[], batch: number): number[] {
  const first = declared.findIndex((dim) => typeof dim !== 'number');
  return declared.map((dim, axis) => (typeof dim === 'number' ? dim : axis === first ? batch : 0));
}
