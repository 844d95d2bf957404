/**
 * A decoder's onnxruntime session as a function from tokens to the next token's logits, whatever side inputs its export has. Exports
 * with a key-value cache keep it from call to call, so that a new token costs one position and not the whole text.
 */
import { completeFeeds, type FeedNames, type Past } from './feeds.ts';
import type { OrtSession } from './session.ts';
import type { FeedTensor } from './tensor.ts';

/** Output that gives the cache of a `past…` input: `past_key_values.0.key` is followed by `present.0.key`, `past_0` by `present_0`. */
function presentOf(past: string, outputs: readonly string[]): string | null {
  const names = [past.replace(/^past_key_values/, 'present'), past.replace(/^past/, 'present')];
  return names.find((name) => outputs.includes(name)) ?? null;
}

/**
 * `logits(ids)` for {@link generate}: feeds input_ids, and attention_mask, position_ids, token_type_ids and the key-value cache where
 * the model asks for them. Text that continues what was asked before costs its new tokens only; any other starts afresh.
 * Throws 'unsupported-onnx' naming an input that it does not know.
 */
export function nextTokenLogits(
  session: OrtSession,
  names: FeedNames = {},
): (ids: readonly number[]) => Promise<Float32Array> {
  const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
  const caches = session.inputNames
    .filter((name) => /^past/.test(name))
    .map((past) => ({ past, present: presentOf(past, session.outputNames) }));
  const isCached = caches.length > 0 && caches.every(({ present }) => present !== null);
  const wanted = [output, ...(isCached ? caches.map(({ present }) => present!) : [])];
  let read: readonly number[] = [];
  let tensors: Past['tensors'] = {};

  return async (ids) => {
    const continues = isCached && read.length < ids.length && read.every((id, i) => id === ids[i]);
    const past: Past =
      continues && read.length > 0 ? { length: read.length, tensors } : { length: 0, tensors: {} };
    const fresh = ids.slice(past.length);
    const given: FeedTensor = { dtype: 'int64', dims: [1, fresh.length], data: fresh };
    const results = await session.run(
      completeFeeds(session.inputs, { input_ids: given }, past, names),
      wanted,
    );
    if (isCached) {
      tensors = Object.fromEntries(caches.map((c) => [c.past, results[c.present!]!]));
      read = [...ids];
    }
    const logits = results[output]!;
    const vocabulary = logits.dims.at(-1)!;
    return Float32Array.from(logits.data.subarray(logits.data.length - vocabulary));
  };
}
