/**
 * A decoder's onnxruntime session as a function from tokens to the next token's logits, whatever side inputs its export has. Exports
 * with a key-value cache keep it from call to call, so that a new token costs one position and not the whole text.
 */
import { completeFeeds, type FeedNames, type Past, type TextShape, textFeeds } from './feeds.ts';
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
