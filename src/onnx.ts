/**
 * `papilio/onnx`: ONNX files read, made, changed and written. What is not changed keeps its bytes.
 *
 *     const model = decodeModel(bytes);
 *     const g = graphBuilder({ name: 'tiny' });
 */
export { buildModel, type GraphBuilder, graphBuilder, type ModelOptions } from './onnx/build.ts';
export { decodeModel, externalFiles } from './onnx/decode.ts';
export { encodeChunks, encodeExternalChunks, encodeModel } from './onnx/encode.ts';
export { f32Tensor, int64Tensor, makeTensor } from './onnx/tensor.ts';
export type { OnnxDType, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './onnx/types.ts';
