/** A decoder's onnxruntime session as a function from tokens to the next token's logits, whatever side inputs its export has. */
import { fail } from '../lib/errors.ts';
import type { OrtSession, ValueInfo } from './session.ts';
import type { FeedTensor } from './tensor.ts';

/**
 * `logits(ids)` for {@link generate}: feeds input_ids, and attention_mask, position_ids, token_type_ids and an empty key-value
 * cache where the model asks for them. Throws 'unsupported-onnx' naming an input that it does not know.
 */
export function nextTokenLogits(session: OrtSession): (ids: readonly number[]) => Promise<Float32Array> {
  const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
  return async (ids) => {
    const feeds: Record<string, FeedTensor> = {};
    for (const input of session.inputs) feeds[input.name] = feedFor(input, ids);
    const logits = (await session.run(feeds, [output]))[output]!;
    const vocabulary = logits.dims.at(-1)!;
    return Float32Array.from(logits.data.subarray(logits.data.length - vocabulary));
  };
}

function feedFor(input: ValueInfo, ids: readonly number[]): FeedTensor {
  const { dtype } = input;
  const dims = [1, ids.length];
  if (input.name === 'input_ids') return { dtype, dims, data: ids };
  if (input.name === 'attention_mask') return { dtype, dims, data: ids.map(() => 1) };
  if (input.name === 'position_ids') return { dtype, dims, data: ids.map((_, i) => i) };
  if (input.name === 'token_type_ids') return { dtype, dims, data: ids.map(() => 0) };
  if (input.name === 'use_cache_branch') return { dtype, dims: [1], data: [0] };
  if (/^past/.test(input.name)) {
    // [batch, heads, past, head size]: batch is the first free dim, and the cache is empty.
    const cache = input.dims.map((dim, axis) => (typeof dim === 'number' ? dim : axis === 0 ? 1 : 0));
    return { dtype, dims: cache, data: [] };
  }
  return fail('unsupported-onnx', `Text generation does not know what to feed into the input ${input.name}.`);
}
