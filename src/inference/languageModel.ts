/** A decoder's onnxruntime session as a function from tokens to the next token's logits, whatever side inputs its export has. */
import { completeFeeds } from './feeds.ts';
import type { OrtSession } from './session.ts';

/**
 * `logits(ids)` for {@link generate}: feeds input_ids, and attention_mask, position_ids, token_type_ids and an empty key-value
 * cache where the model asks for them. Throws 'unsupported-onnx' naming an input that it does not know.
 */
export function nextTokenLogits(session: OrtSession): (ids: readonly number[]) => Promise<Float32Array> {
  const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0]!;
  return async (ids) => {
    const given = { input_ids: { dtype: 'int64', dims: [1, ids.length], data: ids } } as const;
    const logits = (await session.run(completeFeeds(session.inputs, given), [output]))[output]!;
    const vocabulary = logits.dims.at(-1)!;
    return Float32Array.from(logits.data.subarray(logits.data.length - vocabulary));
  };
}
