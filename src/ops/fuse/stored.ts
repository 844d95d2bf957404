/**
 * Lets products and gathers read a weight as it is stored: f16, or packed codes. Until here the graph widens such a weight first, so that
 * adapters and gradients see one kind of matrix; a widening that nothing else reads then never runs, and no wide copy is in memory.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import type { AnyOp, Graph, Node, Value } from '../../graph/types.ts';
import { castOp } from '../cast.ts';
import { type DequantizeAttrs, dequantizeOp } from '../dequantize.ts';
import { gatherOp } from '../gather.ts';
import { linearOp } from '../linear.ts';
import { linearCrossEntropyOp } from '../linearCrossEntropy.ts';
import { matmulOp } from '../matmul.ts';
import { productOp } from '../product.ts';

/** Where each op takes its weight. */
const weightInput: ReadonlyMap<AnyOp, number> = new Map<AnyOp, number>([
  [linearOp, 1],
  [matmulOp, 1],
  [productOp, 1],
  [linearCrossEntropyOp, 1],
  [gatherOp, 0],
]);

/** The node that widens what is stored, or null for a value that is computed otherwise. */
const widening = (v: Value): Node | null => {
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
