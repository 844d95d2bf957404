/** The same graph in other forms that files have: branches for the cache, weights in Constant nodes, data in several files. */
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, StringStringEntryProtoSchema } from 'onnx-buf';
import { buildModel, graphBuilder, type NodeInput } from '../../src/onnx/build.ts';
import { mapTensors, withExternalData, withFields } from '../../src/onnx/proto.ts';
import { viewTensor } from '../../src/onnx/tensor.ts';
import type { OnnxGraph, OnnxModel } from '../../src/onnx/types.ts';

const nodesOf = (graph: OnnxGraph, rename: (name: string) => string = (name) => name): NodeInput[] =>
  graph.nodes.map((n) => ({
    opType: n.opType,
    inputs: n.inputs.map(rename),
    outputs: n.outputs.map(rename),
    attributes: Object.fromEntries(n.attributes),
    name: n.name,
    domain: n.domain,
  }));

const valuesOf = (values: OnnxGraph['inputs']) =>
  values.map((v) => ({ name: v.name, dtype: v.dtype!, dims: v.dims }));

/** The model with another operator at one node. */
export function withOp(model: OnnxModel, node: string, opType: string): OnnxModel {
  const { graph } = model;
  return buildModel({
    opset: model.opset,
    inputs: valuesOf(graph.inputs),
    outputs: valuesOf(graph.outputs),
    initializers: [...graph.initializers.values()],
    nodes: nodesOf(graph).map((n) => (n.name === node ? { ...n, opType } : n)),
  });
}

/** As optimum merges a decoder with and without cache: weights outside, two branches that read them. */
export function mergedDecoder(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const outer = new Set([...graph.initializers.keys(), ...graph.inputs.map((v) => v.name)]);
  const branch = (prefix: string): OnnxGraph => {
    const rename = (name: string): string => (name === '' || outer.has(name) ? name : `${prefix}/${name}`);
    const out = graph.outputs[0]!;
    return buildModel({
      opset: model.opset,
      name: prefix,
      inputs: [],
      outputs: [{ name: rename(out.name), dtype: out.dtype!, dims: null }],
      nodes: nodesOf(graph, rename),
    }).graph;
  };
  return buildModel({
    opset: model.opset,
    inputs: [...valuesOf(graph.inputs), { name: 'use_cache_branch', dtype: 'bool', dims: [1] }],
    outputs: valuesOf(graph.outputs),
    initializers: [...graph.initializers.values()],
    nodes: [
      {
        opType: 'If',
        name: 'optimum::if',
        inputs: ['use_cache_branch'],
        outputs: [graph.outputs[0]!.name],
        attributes: {
          then_branch: { kind: 'graph', value: branch('with_past') },
          else_branch: { kind: 'graph', value: branch('no_past') },
        },
      },
    ],
  });
}

/** Every initialiser as a Constant node. */
export function constantWeights(model: OnnxModel): OnnxModel {
  const { graph } = model;
  const constants = [...graph.initializers.values()].map((value) => ({
    opType: 'Constant',
    inputs: [],
    outputs: [value.name],
    attributes: { value },
  }));
  return buildModel({
    opset: model.opset,
    inputs: valuesOf(graph.inputs),
    outputs: valuesOf(graph.outputs),
    nodes: [...constants, ...nodesOf(graph)],
  });
}

/** The model's bytes with its large tensors in two files beside it. */
export function externalInTwo(
  model: OnnxModel,
  names: readonly [string, string] = ['model.onnx_data', 'model.onnx_data_1'],
): { bytes: Uint8Array<ArrayBuffer>; files: Map<string, Uint8Array<ArrayBuffer>> } {
  const parts: [Uint8Array[], Uint8Array[]] = [[], []];
  const offsets: [number, number] = [0, 0];
  let next: 0 | 1 = 0;
  const graph = mapTensors(model.graph.proto, (tensor) => {
    const bytes = viewTensor(tensor, tensor.name).bytes();
    if (bytes.length < 256) return tensor;
    const file = next;
    next = next === 0 ? 1 : 0;
    const fields = { location: names[file], offset: `${offsets[file]}`, length: `${bytes.length}` };
    parts[file].push(bytes);
    offsets[file] += bytes.length;
    return withExternalData(
      tensor,
      Object.entries(fields).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
    );
  });
  const bytes = toBinary(ModelProtoSchema, withFields(ModelProtoSchema, model.proto, { graph }));
  return { bytes, files: new Map(names.map((name, i) => [name, joined(parts[i]!)])) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

/** Two layers that read one weight, and biases of their own: `left` and `right`, summed. */
export function sharedWeight(): OnnxModel {
  const g = graphBuilder({ opset: 17, name: 'shared' });
  const x = g.input('features', 'float32', ['batch', 4]);
  const w = g.weight(
    'left.weight',
    [4, 4],
    Float32Array.from({ length: 16 }, (_, i) => ((i * 7) % 5) / 10 - 0.2),
  );
  const layer = (name: string, from: string): string =>
    g.op(
      'Add',
      [
        g.op('MatMul', [from, w], {}, { name: `/${name}/MatMul` }),
        g.weight(
          `${name}.bias`,
          [4],
          Float32Array.from({ length: 4 }, (_, i) => i / 10),
        ),
      ],
      {},
      { name: `/${name}/Add` },
    );
  g.output(layer('right', g.op('Tanh', [layer('left', x)])), 'float32', ['batch', 4], 'logits');
  return g.build();
}
