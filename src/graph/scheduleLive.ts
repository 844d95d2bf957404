/** Which nodes must run, and how long each value is needed. */
import type { Graph, Node, Value } from './types.ts';

/** The nodes that an output depends on or that mutate a state, and what those depend on; in the graph's order. */
export function liveNodes(graph: Graph): Node[] {
  const needed = new Set<Value>(Object.values(graph.outputs));
  const kept: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.op.mutates?.length && !node.outputs.some((v) => needed.has(v))) continue;
    kept.push(node);
    for (const v of node.inputs) needed.add(v);
  }
  return kept.reverse();
}

export interface Uses {
  /** How many times live nodes take the value as an input. */
  readonly count: ReadonlyMap<Value, number>;
  /** Position of the last live node that reads the value or a view of it; Infinity for what an output shows; -1 for never. */
  readonly last: (value: Value) => number;
  readonly isOutput: (value: Value) => boolean;
}

export function usesOf(nodes: readonly Node[], outputs: Graph['outputs']): Uses {
  const count = new Map<Value, number>();
  const last = new Map<Value, number>();
  const shown = new Set(Object.values(outputs));
  for (const v of shown) last.set(v, Number.POSITIVE_INFINITY);
  // Backwards, so that what reads a view counts as reading the value behind it.
  for (let i = nodes.length - 1; i >= 0; i--) {
    const { op, inputs, outputs: made } = nodes[i]!;
    const reach = op.alias ? Math.max(i, ...made.map((v) => last.get(v) ?? -1)) : i;
    for (const v of inputs) {
      count.set(v, (count.get(v) ?? 0) + 1);
      last.set(v, Math.max(last.get(v) ?? -1, reach));
    }
  }
  return { count, last: (v) => last.get(v) ?? -1, isOutput: (v) => shown.has(v) };
}
