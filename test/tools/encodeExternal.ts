/** A model and the data file beside it, each as one array. */
import { encodeExternalChunks } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';

const joined = (chunks: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(chunks));

export function encodeExternal(model: OnnxModel, location: string) {
  const { proto, data } = encodeExternalChunks(model, location);
  return { proto: joined(proto), data: joined(data) };
}
