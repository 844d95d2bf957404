import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/build.ts';
import { decodeModel, externalFiles } from '../../src/onnx/decode.ts';
import { encodeChunks, encodeModel } from '../../src/onnx/encode.ts';
import {
  f32Tensor,
  int64Tensor,
  makeTensor,
  rawTensor,
  stringTensor,
  tensorToF32,
  tensorToNumbers,
  tensorToStrings,
  viewTensor,
} from '../../src/onnx/tensor.ts';
import { DTYPES, type OnnxDType } from '../../src/onnx/types.ts';
import { encodeExternal } from '../tools/encodeExternal.ts';

const ramp = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));

function sample(opset = 17, irVersion?: number): GraphBuilder {
  const g = graphBuilder({
    opset,
    ...(irVersion !== undefined && { irVersion }),
    name: 'sample',
    metadata: { task: 'testing' },
    producer: { name: 'maker', version: '3' },
    opsets: { 'com.microsoft': 1 },
  });
  const x = g.input('x', 'float32', ['batch', null, 32]);
  const w = g.weight('layer.0.fc.weight', [32, 16], ramp(512));
  const h = g.op('MatMul', [x, w], {}, { name: '/layer.0/fc/MatMul', metadata: { scope: 'layer.0.fc' } });
  const c = g.constant(makeTensor('', 'float16', [16], ramp(16)));
  const [a, b] = g.ops(2, 'Split', [g.op('Add', [h, g.op('Cast', [c], { to: 1 })]), g.ints([8, 8])], {
    axis: -1,
  });
  g.op(
    'Gelu',
    [a!],
    { approximate: 'tanh', alpha: 0.5, list: [1, 2], reals: [0.5, 1], words: ['é', ''] },
    {
      domain: 'com.microsoft',
    },
  );
  g.output(b!, 'float32', ['batch', null, 8], 'y');
  return g;
}

describe('views', () => {
  const model = decodeModel(encodeModel(sample().build()));

  it('shows the model', () => {
    expect(model.opset).toBe(17);
    expect([...model.opsets]).toEqual([
      ['', 17],
      ['com.microsoft', 1],
    ]);
    expect(model.irVersion).toBe(8);
    expect(model.producer).toEqual({ name: 'maker', version: '3' });
    expect(model.metadata.get('task')).toBe('testing');
    expect(model.graph.inputs).toEqual([{ name: 'x', dtype: 'float32', dims: ['batch', null, 32] }]);
    expect(model.graph.outputs).toEqual([{ name: 'y', dtype: 'float32', dims: ['batch', null, 8] }]);
    expect([...model.graph.initializers.keys()]).toContain('layer.0.fc.weight');
  });

  it('shows nodes with attributes of every plain kind', () => {
    const [matmul] = model.graph.nodes;
    expect(matmul).toMatchObject({ index: 0, name: '/layer.0/fc/MatMul', opType: 'MatMul', domain: '' });
    expect(matmul!.metadata.get('scope')).toBe('layer.0.fc');
    const gelu = model.graph.nodes.find(({ opType }) => opType === 'Gelu')!;
    expect(gelu.domain).toBe('com.microsoft');
    expect(Object.fromEntries(gelu.attributes)).toEqual({
      approximate: { kind: 'string', value: 'tanh' },
      alpha: { kind: 'float', value: 0.5 },
      list: { kind: 'ints', value: [1, 2] },
      reals: { kind: 'floats', value: [0.5, 1] },
      words: { kind: 'strings', value: ['é', ''] },
    });
    expect(model.graph.nodes.find(({ opType }) => opType === 'Split')!.attributes.get('axis')).toEqual({
      kind: 'int',
      value: -1,
    });
  });

  it('reads Constant nodes of every kind', () => {
    const g = graphBuilder();
    const value = (attributes: Parameters<GraphBuilder['op']>[2]) => g.op('Constant', [], attributes);
    const names = [
      value({ value: f32Tensor('', [1, 2], [1, 2]) }),
      value({ value_float: { kind: 'float', value: 3 } }),
      value({ value_floats: { kind: 'floats', value: [1, 0.5] } }),
      value({ value_int: -7 }),
      value({ value_ints: [1, 2, 3] }),
    ];
    const text = value({ value_strings: ['a', 'b'] });
    const { constants } = g.build().graph;
    const seen = names.map((name) => constants.get(name)!);
    expect(seen.map(({ dtype, dims }) => [dtype, dims])).toEqual([
      ['float32', [1, 2]],
      ['float32', []],
      ['float32', [2]],
      ['int64', []],
      ['int64', [3]],
    ]);
    expect(seen.map((tensor) => tensorToNumbers(tensor))).toEqual([[1, 2], [3], [1, 0.5], [-7], [1, 2, 3]]);
    expect(tensorToStrings(constants.get(text)!)).toEqual(['a', 'b']);
  });

  it('views subgraphs', () => {
    const branch = graphBuilder();
    branch.output(branch.constant(f32Tensor('', [1], [4])), 'float32', [1]);
    const g = graphBuilder();
    const cond = g.input('cond', 'bool', []);
    const value = { kind: 'graph' as const, value: branch.graph() };
    g.output(g.op('If', [cond], { then_branch: value, else_branch: value }), 'float32', [1]);
    const [node] = decodeModel(encodeModel(g.build())).graph.nodes;
    const seen = node!.attributes.get('else_branch')!;
    expect(seen.kind).toBe('graph');
    expect(seen.kind === 'graph' && [...seen.value.constants.values()].map(tensorToF32)).toEqual([
      Float32Array.of(4),
    ]);
  });

  it('leaves initialisers out of the inputs, which before IR 4 list them', () => {
    const old = decodeModel(encodeModel(sample(11, 3).build()));
    expect(old.graph.proto.input.map(({ name }) => name)).toContain('layer.0.fc.weight');
    expect(old.graph.inputs.map(({ name }) => name)).toEqual(['x']);
  });

  it('takes the largest integers for "to the end"', () => {
    const g = graphBuilder();
    g.op('Constant', [], { value_int: { kind: 'int', value: 0 } });
    const proto = g.build().proto;
    proto.graph!.node[0]!.attribute[0]!.i = 2n ** 63n - 1n;
    const { graph } = decodeModel(toBinary(ModelProtoSchema, proto));
    expect(graph.nodes[0]!.attributes.get('value_int')).toEqual({
      kind: 'int',
      value: Number.MAX_SAFE_INTEGER,
    });
    const [tensor] = [...graph.constants.values()];
    expect(() => tensorToNumbers(tensor!)).toThrow(/9223372036854775807/);
    expect(tensorToNumbers(tensor!, 'saturate')).toEqual([Number.MAX_SAFE_INTEGER]);
  });
});

describe('round trip', () => {
  it.each([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])('opset %i comes out byte for byte', (opset) => {
    const plain = toBinary(ModelProtoSchema, sample(opset).build().proto);
    const model = decodeModel(plain);
    expect(model.opset).toBe(opset);
    expect(encodeModel(model)).toEqual(plain);
  });

  it('keeps fields it does not know, at every level', () => {
    const proto = sample().build().proto;
    const data = Uint8Array.of(3, 1, 2, 3);
    for (const message of [proto, proto.graph!, proto.graph!.initializer[0]!, proto.graph!.node[0]!])
      message.$unknown = [{ no: 9000, wireType: 2, data }];
    const plain = toBinary(ModelProtoSchema, proto);
    const again = encodeModel(decodeModel(plain));
    expect(again).toEqual(plain);
    expect(fromBinary(ModelProtoSchema, again).graph!.initializer[0]!.$unknown).toHaveLength(1);
  });

  it('neither copies weights on the way in nor, as chunks, on the way out', () => {
    const bytes = encodeModel(sample().build());
    const model = decodeModel(bytes);
    const weight = model.graph.initializers.get('layer.0.fc.weight')!.bytes();
    expect(weight.buffer).toBe(bytes.buffer);
    const chunks = encodeChunks(model);
    expect(
      chunks.some((chunk) => chunk.buffer === bytes.buffer && chunk.byteOffset === weight.byteOffset),
    ).toBe(true);
  });

  it('moves weights to a data file and takes them back in', () => {
    const bytes = encodeModel(sample().build());
    const { proto, data } = encodeExternal(decodeModel(bytes), 'weights.bin');
    expect(proto.length).toBeLessThan(bytes.length - 1900);
    expect(externalFiles(proto)).toEqual(['weights.bin']);
    const model = decodeModel(proto, new Map([['weights.bin', data]]));
    const weight = model.graph.initializers.get('layer.0.fc.weight')!;
    expect(weight.bytes().buffer).toBe(data.buffer);
    expect(tensorToF32(weight)).toEqual(ramp(512));
    expect(encodeModel(model)).toEqual(bytes);
    // Moving what is already outside starts a new data file with the same content.
    expect(encodeExternal(model, 'other.bin').data).toEqual(data);
  });
});

describe('tensors', () => {
  const typed: readonly (readonly [OnnxDType, object, readonly number[]])[] = [
    ['float32', { floatData: [1.5, -2] }, [1.5, -2]],
    ['double', { doubleData: [1e300, -2] }, [1e300, -2]],
    ['float16', { int32Data: [0x3c00, 0xc000] }, [1, -2]],
    ['bfloat16', { int32Data: [0x3f80, 0xc000] }, [1, -2]],
    ['int64', { int64Data: [-5n, 7n] }, [-5, 7]],
    ['uint64', { uint64Data: [5n, 7n] }, [5, 7]],
    ['int32', { int32Data: [-5, 7] }, [-5, 7]],
    ['uint32', { uint64Data: [4294967295n, 7n] }, [4294967295, 7]],
    ['int16', { int32Data: [-5, 7] }, [-5, 7]],
    ['uint16', { int32Data: [65535, 7] }, [65535, 7]],
    ['int8', { int32Data: [-5, 7] }, [-5, 7]],
    ['uint8', { int32Data: [255, 7] }, [255, 7]],
    ['bool', { int32Data: [1, 0] }, [1, 0]],
    ['int4', { int32Data: [0x7f] }, [-1, 7]],
    ['uint4', { int32Data: [0x7f] }, [15, 7]],
    ['int2', { int32Data: [0b0110] }, [-2, 1]],
  ];

  it.each(typed)('%s reads the same from typed and from raw data', (dtype, fields, expected) => {
    const proto = create(TensorProtoSchema, {
      name: 't',
      dataType: DTYPES[dtype].code,
      dims: [2n],
      ...fields,
    });
    const tensor = viewTensor(fromBinary(TensorProtoSchema, toBinary(TensorProtoSchema, proto)), 't');
    expect(tensor.dtype).toBe(dtype);
    expect(tensorToNumbers(tensor)).toEqual(expected);
    expect(tensor.bytes()).toHaveLength(tensor.byteLength);
    // Raw data at an odd address must be read just as well.
    const odd = new Uint8Array(tensor.byteLength + 1);
    odd.set(tensor.bytes(), 1);
    const raw = rawTensor('t', dtype, [2], odd.subarray(1));
    expect(tensorToNumbers(raw)).toEqual(expected);
    expect([...tensorToF32(raw)]).toEqual(expected.map(Math.fround));
  });

  it('makes tensors that read back', () => {
    for (const dtype of [
      'float32',
      'double',
      'float16',
      'bfloat16',
      'int64',
      'int32',
      'int16',
      'int8',
    ] as const)
      expect(tensorToNumbers(makeTensor('t', dtype, [3], [1, -2, 0]))).toEqual([1, -2, 0]);
    for (const dtype of ['uint64', 'uint32', 'uint16', 'uint8'] as const)
      expect(tensorToNumbers(makeTensor('t', dtype, [2], [1, 200]))).toEqual([1, 200]);
    expect(tensorToNumbers(makeTensor('t', 'bool', [2], [3, 0]))).toEqual([1, 0]);
    expect(int64Tensor('t', [5], []).dims).toEqual([]);
    expect(tensorToStrings(stringTensor('t', ['α', '']))).toEqual(['α', '']);
    expect(makeTensor('t', 'float32', [0, 5], []).size).toBe(0);
    expect(() => f32Tensor('t', [2, 2], [1, 2, 3])).toThrow(/takes 4 values but was given 3/);
  });
});
