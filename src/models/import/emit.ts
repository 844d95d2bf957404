/** Stage 3: emits a prepared graph into the engine's, weights as parameters in the engine's layout. */
import type { Builder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Value } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { isFloat } from '../../onnx/dtype.ts';
import { slice, transpose, view } from '../../ops/index.ts';
import { dtypeOf, type Emission, emitters, sliceEnds } from './emitters.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import type { ModuleTable } from './modules.ts';
import { engineShape, isTransposed } from './modules.ts';
import { type Precision, weightStore } from './quantStore.ts';
import { at, nodeCalled, work } from './room.ts';

const MAX_F32 = 3.4028234663852886e38;
const MAX_I32 = 2 ** 31 - 1;

function constantData(v: FoldedValue): Float32Array | Int32Array {
  const data = v.known!();
  if (data instanceof Float32Array && isFloat(v.dtype)) return data;
  const whole = !isFloat(v.dtype);
  const out = whole ? new Int32Array(data.length) : new Float32Array(data.length);
  // Doubles beyond float32 are the exporter's idea of minus infinity; a true infinity stays one.
  const [least, most] = whole ? [-MAX_I32 - 1, MAX_I32] : [-MAX_F32, MAX_F32];
  for (let i = 0; i < out.length; i++) {
    const x = data[i]!;
    out[i] = !whole && !Number.isFinite(x) ? x : Math.min(most, Math.max(least, x));
  }
  return out;
}

function equalData(a: Float32Array | Int32Array, b: Float32Array | Int32Array): boolean {
  let i = 0;
  while (i < a.length && Object.is(a[i], b[i])) i++;
  work(i);
  return i === a.length;
}

/** Constants of equal contents are one: every layer brings its own mask and rotary tables. */
function sharedConstants(g: Builder): (v: FoldedValue) => Value {
  const made = new Map<string, { readonly value: Value; readonly data: Float32Array | Int32Array }[]>();
  return (v) => {
    work(sizeOf(v.shape));
    const data = constantData(v);
    const type = { dtype: dtypeOf(v), shape: v.shape };
    // Alike at a few places is worth a look at all.
    const sample = [0, 0.3, 0.6, 1].map((at) => data[Math.floor(at * (data.length - 1))]);
    const key = `${type.dtype}|${v.shape}|${sample}`;
    const alike = made.get(key) ?? [];
    const twin = alike.find((other) => equalData(other.data, data));
    if (twin) return twin.value;
    const value = g.constant(type, data, 'constant');
    made.set(key, [...alike, { value, data }]);
    return value;
  };
}

/** @returns the values of the graph's inputs and outputs by name */
export function emitGraph(
  graph: FoldedGraph,
  g: Builder,
  modules: ModuleTable,
  precision: Precision = 'file',
): { inputs: Record<string, Value>; outputs: Record<string, Value> } {
  const values = new Map<FoldedValue, Value>();
  const store = weightStore(graph, precision);
  const weights = new Map<string, Value>();
  const constant = sharedConstants(g);
  const inputs: Record<string, Value> = {};
  for (const v of graph.inputs) {
    const value = g.input(v.name, { dtype: dtypeOf(v), shape: v.shape });
    values.set(v, value);
    inputs[v.name] = value;
  }

  const fetch = (v: FoldedValue, node: FoldedNode | null, i: number): Value => {
    const transposed = node ? isTransposed(node, i) : false;
    const known = v.weight ? modules.parameter(v.weight) : null;
    if (known) {
      let weight = weights.get(known.name);
      if (!weight) {
        weight = store.emit(g, v, known.transposed, known.name, known.shape);
        weights.set(known.name, weight);
      }
      // One parameter may be read both ways.
      if (transposed !== known.transposed) weight = transpose(g, weight, { perm: [1, 0] });
      return view(g, weight, node ? engineShape(node, v, transposed) : v.shape);
    }
    let value = values.get(v);
    if (!value) {
      if (!v.known) return fail('internal', `import: ${v.name} is read before it is made.`);
      value = constant(v);
      values.set(v, value);
    }
    return value;
  };

  const emit = (node: FoldedNode): void => {
    const optional = (i: number): Value | null => (node.inputs[i] ? fetch(node.inputs[i], node, i) : null);
    const e: Emission = {
      g,
      node,
      attrs: node.attrs,
      shape: node.outputs[0]!.shape,
      module: modules.module(node),
      x: (i) => optional(i) ?? fail('internal', `import: ${node.op} lacks operand ${i}.`),
      optional,
    };
    if (node.op === 'Split') {
      const axis = node.attrs.axis as number;
      let at = 0;
      for (const out of node.outputs) {
        const starts = out.shape.map((_, i) => (i === axis ? at : 0));
        const steps = out.shape.map(() => 1);
        values.set(out, slice(g, e.x(0), { starts, steps, ends: sliceEnds(starts, steps, out.shape) }));
        at += out.shape[axis]!;
      }
    } else values.set(node.outputs[0]!, emitters[node.op]!(e));
  };
  for (const node of graph.nodes)
    at(
      () => (node.origin ? nodeCalled(node.origin) : `An operator ${node.op}`),
      () => emit(node),
    );

  const outputs: Record<string, Value> = {};
  for (const { name, value } of graph.outputs) outputs[name] = fetch(value, null, 0);
  return { inputs, outputs };
}
