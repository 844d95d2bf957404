/** Runs a graph on the CPU in float64 from the ops' registered references: the oracle for every kernel and for whole models. */
import { fail } from '../lib/errors.ts';
import { fromHalf } from '../lib/half.ts';
import { checkOf } from './references.ts';
import type { DeviceData, Graph, Tensor, TensorType, Value } from './types.ts';

/** Device data as a float64 tensor. */
function toTensor(type: TensorType, data: DeviceData): Tensor {
  const out = new Float64Array(data.length);
  if (type.dtype === 'f16') for (let i = 0; i < data.length; i++) out[i] = fromHalf(data[i]!);
  else out.set(data);
  return { dtype: type.dtype, shape: type.shape, data: out };
}

export interface Interpretation {
  /** The tensor of any value of the graph that was computed or given. */
  get(value: Value): Tensor;
  /** States after the run, by name. */
  readonly states: ReadonlyMap<string, Tensor>;
}

/**
 * @param feeds inputs by name, and optionally states and parameters by name (in place of their `source`)
 * @throws PapilioError('internal') when an input is missing
 */
export function interpret(graph: Graph, feeds: ReadonlyMap<string, Tensor>): Interpretation {
  const tensors = new Map<Value, Tensor>();
  const states = new Map<string, Tensor>();

  const load = (v: Value): Tensor => {
    if (v.role === 'state') {
      const known = states.get(v.name);
      if (known) return known;
    }
    let t = tensors.get(v);
    if (!t) {
      t = v.role === 'constant' ? undefined : feeds.get(v.name);
      if (!t && v.source) t = toTensor(v, v.source());
      if (!t) fail('internal', `interpret: no data for ${v.role} ${v.name}.`);
      tensors.set(v, t);
      if (v.role === 'state') states.set(v.name, t);
    }
    return t;
  };

  for (const node of graph.nodes) {
    const results = checkOf(node.op).reference(node.inputs.map(load), node.attrs);
    node.outputs.forEach((v, i) => {
      tensors.set(v, results[i]!);
    });
    (node.op.mutates ?? []).forEach((input, k) => {
      states.set(node.inputs[input]!.name, results[node.outputs.length + k]!);
    });
  }
  return { get: load, states };
}
