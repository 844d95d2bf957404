/** Turns the MatMul layers of a model into MatMulNBits, as onnxruntime's 4-bit quantiser does: blocks of 32, no zero points. */
import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
} from 'onnx-buf';
import { withFields } from '../../src/onnx/proto.ts';
import { f32Tensor, rawTensor, tensorToF32 } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { viewModel } from '../../src/onnx/view.ts';

const BLOCK = 32;

/** Codes [N, K / 32, 16] and scales of the transpose of a matrix [K, N]. */
function blocks(data: Float32Array, k: number, n: number) {
  const count = Math.ceil(k / BLOCK);
  const codes = new Uint8Array(n * count * (BLOCK / 2)).fill(0x88);
  const scales = new Float32Array(n * count);
  for (let row = 0; row < n; row++) {
    for (let b = 0; b < count; b++) {
      let largest = 0;
      const end = Math.min(k, (b + 1) * BLOCK);
      for (let i = b * BLOCK; i < end; i++) {
        const v = data[i * n + row]!;
        if (Math.abs(v) > Math.abs(largest)) largest = v;
      }
      const scale = largest === 0 ? 1 : largest / -8;
      scales[row * count + b] = scale;
      for (let i = b * BLOCK; i < end; i++) {
        const code = Math.min(15, Math.max(0, Math.round(data[i * n + row]! / scale) + 8));
        const at = ((row * count + b) * BLOCK + (i % BLOCK)) >> 1;
        const shift = (i & 1) * 4;
        codes[at] = (codes[at]! & ~(15 << shift)) | (code << shift);
      }
    }
  }
  return { codes, scales, count };
}

export function quantiseFile({ proto, graph, external }: OnnxModel): OnnxModel {
  const tensors = new Map(graph.proto.initializer.map((t) => [t.name, t]));
  const whole = (name: string, value: number) =>
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
  const node = graph.proto.node.map((item) => {
    const weight = item.opType === 'MatMul' ? graph.initializers.get(item.input[1]!) : undefined;
    if (weight?.dims.length !== 2) return item;
    const [k, n] = weight.dims as [number, number];
    const { codes, scales, count } = blocks(tensorToF32(weight), k, n);
    const names = [`${weight.name}_Q4`, `${weight.name}_scales`] as const;
    tensors.delete(weight.name);
    tensors.set(names[0], rawTensor(names[0], 'uint8', [n, count, BLOCK / 2], codes).proto);
    tensors.set(names[1], f32Tensor(names[1], [n * count], scales).proto);
    const sizes = { K: k, N: n, bits: 4, block_size: BLOCK };
    return withFields(NodeProtoSchema, item, {
      opType: 'MatMulNBits',
      domain: 'com.microsoft',
      name: `${item.name}_Q4`,
      input: [item.input[0]!, ...names],
      attribute: Object.entries(sizes).map(([name, value]) => whole(name, value)),
    });
  });
  const quantised = withFields(GraphProtoSchema, graph.proto, { node, initializer: [...tensors.values()] });
  const opset = create(OperatorSetIdProtoSchema, { domain: 'com.microsoft', version: 1n });
  return viewModel(
    withFields(ModelProtoSchema, proto, { graph: quantised, opsetImport: [...proto.opsetImport, opset] }),
    external,
  );
}
