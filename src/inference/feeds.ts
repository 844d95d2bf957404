/** Fills in the inputs of an export that follow from the others: masks, positions, types, an empty key-value cache. */
import { fail } from '../lib/errors.ts';
import type { ValueInfo } from './session.ts';
import type { FeedTensor } from './tensor.ts';

/**
 * @param given what the caller knows, by input name; at least `input_ids` [batch, sequence] or `pixel_values`
 * @throws PapilioError('unsupported-onnx') naming an input that follows from nothing here
 */
export function completeFeeds(
  inputs: readonly ValueInfo[],
  given: Readonly<Record<string, FeedTensor>>,
): Record<string, FeedTensor> {
  const [batch = 1, sequence = 1] = given.input_ids?.dims ?? Object.values(given)[0]?.dims ?? [];
  const dims = [batch, sequence];
  const tokens = (value: (i: number) => number): ArrayLike<number> =>
    Int32Array.from({ length: batch * sequence }, (_, i) => value(i));
  const feeds: Record<string, FeedTensor> = {};
  for (const { name, dtype, dims: declared } of inputs) {
    const known = given[name];
    if (known) feeds[name] = { ...known, dtype };
    else if (name === 'attention_mask') feeds[name] = { dtype, dims, data: tokens(() => 1) };
    else if (name === 'position_ids') feeds[name] = { dtype, dims, data: tokens((i) => i % sequence) };
    else if (name === 'token_type_ids') feeds[name] = { dtype, dims, data: tokens(() => 0) };
    else if (name === 'use_cache_branch' || name === 'num_logits_to_keep') {
      feeds[name] = { dtype, dims: declared.length === 0 ? [] : [1], data: [0] };
    } else if (/^past/.test(name)) {
      // [batch, heads, past, head size]: batch is the first free dim, and the cache is empty.
      const cache = declared.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? batch : 0));
      feeds[name] = { dtype, dims: cache, data: [] };
    } else fail('unsupported-onnx', `It is not known what to feed into the input ${name} of this model.`);
  }
  return feeds;
}
