/**
 * A graph as an ONNX model, so that onnxruntime can run it where WebGPU has only a software adapter. Inputs, parameters and states
 * become inputs of the model by their names; optimisers, which write in place, have no counterpart.
 */
import type { Graph, Value } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import type { OnnxModel } from '../../onnx/types.ts';
import { type ProjectRowsAttrs, projectRowsOp } from '../../ops/projectRows.ts';
import { createEmitter, type Lowering, onnxType } from './emitter.ts';
import { adapters } from './onnxAdapters.ts';
import { dropouts } from './onnxDropout.ts';
import { layers } from './onnxLayers.ts';
import { moves } from './onnxMoves.ts';
import { pointwise } from './onnxPointwise.ts';

const table: Readonly<Record<string, Lowering>> = {
  ...pointwise,
  ...moves,
  ...layers,
  ...adapters,
  ...dropouts,
};

export interface TranslatedGraph {
  readonly model: OnnxModel;
  /** The model's inputs: those of the graph, and the parameters and states it reads. */
  readonly inputs: ReadonlyMap<string, Value>;
  /** COFT's projections of the packed state, which whoever runs the model does before: ONNX writes nothing in place. */
  readonly projections: readonly ProjectRowsAttrs[];
}

/** @throws PapilioError('unsupported-onnx') naming the op that has no translation */
export function toOnnx(graph: Graph): TranslatedGraph {
  const { emitter, finish } = createEmitter();
  const names = new Map<Value, string>();
  const inputs = new Map<string, Value>();

  const nameOf = (v: Value): string => {
    const known = names.get(v);
    if (known !== undefined) return known;
    if (v.role === 'temporary') fail('internal', `toOnnx: ${v.name} is read before it is made.`);
    const name =
      v.role === 'constant' ? emitter.tensor(onnxType(v.dtype), v.shape, v.source!()) : `${v.role} ${v.name}`;
    if (v.role !== 'constant') inputs.set(name, v);
    names.set(v, name);
    return name;
  };

  const projections: ProjectRowsAttrs[] = [];
  for (const node of graph.nodes) {
    if (node.op === projectRowsOp) {
      projections.push(node.attrs as ProjectRowsAttrs);
      continue;
    }
    const write = Object.hasOwn(table, node.op.name) ? table[node.op.name] : undefined;
    if (!write) return fail('unsupported-onnx', `The op ${node.op.name} has no translation to ONNX.`);
    const made = write(emitter, node.inputs.map(nameOf), node);
    node.outputs.forEach((v, i) => {
      names.set(v, made[i]!);
    });
  }

  const outputs = Object.entries(graph.outputs).map(([name, v]) => [name, { ...v, at: nameOf(v) }] as const);
  const model = finish(
    [...inputs].map(([name, v]) => ({ name, dtype: onnxType(v.dtype), dims: v.shape })),
    new Map(outputs),
  );
  const live = new Set(model.graph.inputs.map(({ name }) => name));
  return { model, inputs: new Map([...inputs].filter(([name]) => live.has(name))), projections };
}
