/** Copies a graph into a builder while replacing leaves or nodes: how adapters are injected into a frozen model. */
import type { Builder } from './builder.ts';
import type { Graph, Node, Value } from './types.ts';

export interface Rewriter {
  /** Replaces an input, parameter or state by name; null keeps it. */
  leaf?(value: Value): Value | null;
  /** Emits something else for a node and gives its outputs, none where nothing reads them any more; null copies the node. */
  node?(node: Node, copying: Copying): readonly Value[] | null;
}

export interface Copying {
  /** The new value of an old one. */
  value(old: Value): Value;
  /** What an earlier node's output has become. */
  replace(old: Value, by: Value): void;
}

/** Returns the new value of every value of `graph`. Constants keep their data. */
export function rewrite(graph: Graph, g: Builder, rewriter: Rewriter): (old: Value) => Value {
  const copies = new Map<Value, Value>();

  const leaf = (v: Value): Value => {
    switch (v.role) {
      case 'input':
        return g.input(v.name, v);
      case 'parameter':
        return g.parameter(v.name, v, v.source!);
      case 'state':
        return g.state(v.name, v, v.source!);
      default:
        return g.constant(v, v.source!(), v.name);
    }
  };

  const mapped = (v: Value): Value => {
    let copy = copies.get(v);
    if (!copy) {
      copy = (v.role === 'constant' ? null : rewriter.leaf?.(v)) ?? leaf(v);
      copies.set(v, copy);
    }
    return copy;
  };

  const copying: Copying = {
    value: mapped,
    replace(old, by) {
      copies.set(old, by);
    },
  };
  for (const node of graph.nodes) {
    const outputs =
      rewriter.node?.(node, copying) ?? g.emit(node.op, node.inputs.map(mapped), node.attrs, node.module);
    node.outputs.forEach((v, i) => {
      if (outputs[i]) copies.set(v, outputs[i]);
    });
  }
  return mapped;
}
