/**
 * Lets products and gathers read a weight as it is stored: f16, or packed codes. Until here the graph widens such a weight first, so that
 * adapters and gradients see one kind of matrix; a widening that nothing else reads then never runs, and no wide copy is in memory.
 */
import { type Builder, createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { AnyOp, Graph, Node, Value } from '../../graph/types.ts';
import { halfToFloat32 } from '../../lib/half.ts';
import { castOp } from '../cast.ts';
import { linearOp } from '../linear.ts';
import { linearCrossEntropyOp } from '../linearCrossEntropy.ts';
import { gatherOp } from '../lookups.ts';
import { matmulOp } from '../matmul.ts';
import { productOp } from '../product.ts';
import { type DequantizeAttrs, dequantizeOp, unpackMatrix } from '../quantised.ts';

/** Where each op takes its weight. */
const weightInput: ReadonlyMap<AnyOp, number> = new Map<AnyOp, number>([
  [linearOp, 1],
  [matmulOp, 1],
  [productOp, 1],
  [linearCrossEntropyOp, 1],
  [gatherOp, 0],
]);

/** The node that widens what is stored, or null for a value that is computed otherwise. */
export const widening = (v: Value): Node | null => {
  const node = v.producer;
  if (node?.op === dequantizeOp) return node;
  return node?.op === castOp && node.inputs[0]!.dtype === 'f16' && v.dtype === 'f32' ? node : null;
};

/**
 * The parameter behind a weight, seen through the widening of its stored form; null for anything else. What is stored keeps the
 * parameter's name.
 */
export function storedParameter(v: Value): Value | null {
  const behind = v.role === 'parameter' ? v : widening(v)?.inputs[0];
  return behind?.role === 'parameter' ? behind : null;
}

/**
 * The numbers of a weight whose {@link storedParameter} is known, whatever it is stored as; for f32 what the source gives, which may be
 * a view of the file.
 */
export function storedNumbers(v: Value): Float32Array {
  const data = storedParameter(v)!.source!();
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array) return halfToFloat32(data);
  const out = new Float32Array(sizeOf(v.shape));
  unpackMatrix(data, v.shape[0]!, (v.producer!.attrs as DequantizeAttrs).packed, out);
  return out;
}

/** Emits such a weight into another graph, with its widening. */
export function emitStored(g: Builder, v: Value): Value {
  const stored = storedParameter(v)!;
  const parameter = g.parameter(stored.name, stored, stored.source!);
  return stored === v ? parameter : g.emit(v.producer!.op, [parameter], v.producer!.attrs)[0]!;
}

export function readStored(graph: Graph): Graph {
  const operand = (node: Node): { readonly at: number; readonly by: Node } | null => {
    const at = weightInput.get(node.op);
    const weight = at === undefined ? undefined : node.inputs[at];
    const by = weight?.shape.length === 2 ? widening(weight) : null;
    return by ? { at: at!, by } : null;
  };
  if (!graph.nodes.some(operand)) return graph;
  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const found = operand(node);
      if (!found) return null;
      const { at, by } = found;
      const inputs = node.inputs.map((v, i) => copying.value(i === at ? by.inputs[0]! : v));
      const packed = by.op === dequantizeOp ? { packed: (by.attrs as DequantizeAttrs).packed } : {};
      return g.emit(node.op, inputs, { ...(node.attrs as object), ...packed }, node.module);
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
