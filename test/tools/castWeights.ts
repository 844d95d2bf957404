/** Keeps the matrices of a model in fewer bits: halves behind a Cast, or int8 codes behind a DequantizeLinear. */
import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
} from 'onnx-buf';
import { withFields } from '../../src/onnx/proto.ts';
import { makeTensor, rawTensor, tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { viewModel } from '../../src/onnx/view.ts';

export function castWeights(
  { proto, graph, external }: OnnxModel,
  dtype: 'float16' | 'bfloat16' | 'int8',
): OnnxModel {
  const matrices = graph.nodes
    .filter(({ opType }) => opType === 'MatMul')
    .map(({ inputs }) => graph.initializers.get(inputs[1]!))
    .filter((tensor) => tensor !== undefined);
  const to = create(AttributeProtoSchema, { name: 'to', type: AttributeProto_AttributeType.INT, i: 1n });
  const names = new Set(matrices.map(({ name }) => name));
  const node = matrices.map(({ name }) =>
    dtype === 'int8'
      ? create(NodeProtoSchema, {
          opType: 'DequantizeLinear',
          input: [`${name}_low`, `${name}_scale`],
          output: [name],
        })
      : create(NodeProtoSchema, { opType: 'Cast', input: [`${name}_low`], output: [name], attribute: [to] }),
  );
  const initializer = graph.proto.initializer.flatMap((tensor) => {
    if (!names.has(tensor.name)) return [tensor];
    const own = graph.initializers.get(tensor.name)!;
    const data = tensorToF32(own);
    const low = `${tensor.name}_low`;
    if (dtype !== 'int8') return [makeTensor(low, dtype, own.dims, data).proto];
    const scale = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / 127;
    const codes = Int8Array.from(data, (v) => Math.round(v / scale));
    return [
      rawTensor(low, 'int8', own.dims, new Uint8Array(codes.buffer)).proto,
      makeTensor(`${tensor.name}_scale`, 'float32', [], [scale]).proto,
    ];
  });
  const changed = withFields(GraphProtoSchema, graph.proto, {
    node: [...node, ...graph.proto.node],
    initializer,
  });
  return viewModel(withFields(ModelProtoSchema, proto, { graph: changed }), external);
}
