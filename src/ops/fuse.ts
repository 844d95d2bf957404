/**
 * Joins what one kernel can do: an activation that follows a linear layer moves into the product's epilogue. Runs on finished graphs,
 * after differentiation, so gradients that read the value before the activation find it as the layer's second output.
 */
import { createBuilder } from '../graph/builder.ts';
import { rewrite } from '../graph/rewrite.ts';
import type { Graph, Node, Value } from '../graph/types.ts';
import { type LinearAttrs, linearOp } from './linear.ts';
import type { Activation } from './scalar.ts';

const activations: readonly unknown[] = ['relu', 'gelu', 'geluTanh', 'silu', 'quickGelu'] satisfies Activation[];
const isActivation = (fn: unknown): fn is Activation => activations.includes(fn);

export function fuse(graph: Graph): Graph {
  const consumers = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const v of new Set(node.inputs)) {
      const list = consumers.get(v);
      if (list) list.push(node);
      else consumers.set(v, [node]);
    }
  }
  const wanted = new Set(Object.values(graph.outputs));

  // The first activation of every plain linear layer, and whether anyone else reads what comes before it.
  const fused = new Map<Node, { readonly activation: Node; readonly keepPre: boolean }>();
  for (const node of graph.nodes) {
    if (node.op !== linearOp || (node.attrs as LinearAttrs).activation !== 'none') continue;
    const y = node.outputs[0]!;
    const readers = consumers.get(y) ?? [];
    const activation = readers.find((n) => n.op.name === 'unary' && isActivation((n.attrs as { fn: unknown }).fn));
    if (activation) fused.set(node, { activation, keepPre: readers.length > 1 || wanted.has(y) });
  }
  if (fused.size === 0) return graph;

  const g = createBuilder();
  const done = new Map<Node, Value>();
  const value = rewrite(graph, g, {
    node(node, inputs) {
      const joint = fused.get(node);
      if (joint) {
        const { fn } = joint.activation.attrs as { fn: Activation };
        const attrs: LinearAttrs = { ...(node.attrs as LinearAttrs), activation: fn, keepPre: joint.keepPre };
        const [y, pre] = g.emit(linearOp, inputs, attrs, node.module);
        done.set(joint.activation, y!);
        // Without a reader of the value before the activation there is nothing to hand on in its place.
        return pre ? [pre] : [y!];
      }
      const y = done.get(node);
      return y ? [y] : null;
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
