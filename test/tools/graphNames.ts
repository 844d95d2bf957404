/** The same graphs under the names that other exporters give: torch's dynamo exporter, and torch before 1.13. */
import { buildModel } from '../../src/onnx/build.ts';
import { rawTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel, OnnxTensor } from '../../src/onnx/types.ts';

interface Renaming {
  node(name: string, opType: string, index: number): { name: string; metadata?: Record<string, string> };
  weight(name: string, index: number): string;
}

function renamed(model: OnnxModel, to: Renaming): OnnxModel {
  const { graph } = model;
  const names = new Map<string, string>();
  const initializers: OnnxTensor[] = [];
  let index = 0;
  for (const [name, t] of graph.initializers) {
    const next = to.weight(name, index++);
    names.set(name, next);
    initializers.push(rawTensor(next, t.dtype, t.dims, t.bytes()));
  }
  return buildModel({
    opset: model.opset,
    inputs: graph.inputs.map((v) => ({ name: v.name, dtype: v.dtype!, dims: v.dims })),
    outputs: graph.outputs.map((v) => ({ name: v.name, dtype: v.dtype!, dims: v.dims })),
    initializers,
    nodes: graph.nodes.map((n) => ({
      opType: n.opType,
      inputs: n.inputs.map((i) => names.get(i) ?? i),
      outputs: n.outputs,
      attributes: Object.fromEntries(n.attributes),
      ...to.node(n.name, n.opType, n.index),
    })),
  });
}

/** `/encoder/layer.0/query/MatMul` → the scopes from the root to the module. */
function scopes(name: string, opType: string): string {
  const module = name.slice(1).split('/').slice(0, -1).join('.');
  const parts = module.split('.');
  const list = ['', ...parts.map((_, i) => parts.slice(0, i + 1).join('.')), opType.toLowerCase()];
  return `[${list.map((s) => `'${s}'`).join(', ')}]`;
}

const isFolded = (name: string): boolean => name.includes('.MatMul.weight');

/** node_MatMul_12, val_34, and the modules in the metadata. */
export const dynamoNames = (model: OnnxModel): OnnxModel =>
  renamed(model, {
    node: (name, opType, i) => ({
      name: `node_${opType}_${i}`,
      metadata: { 'pkg.torch.onnx.name_scopes': scopes(name, opType) },
    }),
    weight: (name, i) => (isFolded(name) ? `val_${i}` : name),
  });

/** MatMul_12 and plain numbers: only biases tell the modules. */
export const oldTorchNames = (model: OnnxModel): OnnxModel =>
  renamed(model, {
    node: (_name, opType, i) => ({ name: `${opType}_${i}` }),
    weight: (name, i) => (isFolded(name) ? `${1000 + i}` : name),
  });
