/**
 * Which nodes must run and how long each value is needed, and which values may be written straight into a packed buffer.
 *
 * A value that nothing but the pack reads, at an offset a binding may start at, needs no copy: its producer writes into the pack's
 * storage. Reshapes between producer and pack are looked through, and a pack within a pack is a part of the outer one.
 */
import { byteSizeOf } from './shape.ts';
import type { Alias, Graph, Kernel, Node, Value } from './types.ts';

/** Bindings start at multiples of so many bytes. */
export const bindingAlignment = 256;

export interface Placement {
  readonly pack: Value;
  readonly offset: number;
}

export interface Placements {
  /** Kernel outputs that are written into a pack, and packs that are part of another, with the outermost pack. */
  readonly of: ReadonlyMap<Value, Placement>;
  /** For each pack node, the input positions that need no copy. */
  readonly direct: ReadonlyMap<Node, ReadonlySet<number>>;
}

export function placeIntoPacks(
  nodes: readonly Node[],
  uses: Uses,
  aliasOf: (node: Node) => Alias,
  kernelOf: (node: Node) => Kernel,
): Placements {
  const of = new Map<Value, Placement>();
  const direct = new Map<Node, Set<number>>();
  const privateTo = (v: Value) => v.role === 'temporary' && uses.count.get(v) === 1 && !uses.isOutput(v);

  /** The kernel output or gapless pack whose whole storage `v` shows and that nothing else reads, or null. */
  const root = (v: Value): Value | null => {
    let at = v;
    while (privateTo(at)) {
      const node = at.producer!;
      if (!node.op.alias) return at;
      const alias = aliasOf(node);
      if (alias.kind === 'pack') {
        const filled = node.inputs.reduce((sum, input) => sum + byteSizeOf(input), 0);
        return filled === byteSizeOf(at) ? at : null;
      }
      const behind = node.inputs[0]!;
      if (node.outputs.length !== 1 || alias.byteOffsets[0] !== 0) return null;
      if (byteSizeOf(behind) !== byteSizeOf(at)) return null;
      at = behind;
    }
    return null;
  };

  // An output that a later dispatch of its kernel binds again may be read there, while that dispatch writes another one.
  const boundAgain = (producer: Node, v: Value): boolean => {
    const at = producer.outputs.indexOf(v);
    return kernelOf(producer).dispatches.filter((d) => d.bindings.some((b) => b.out === at)).length > 1;
  };

  // Outer packs come after the packs they hold.
  for (const node of [...nodes].reverse()) {
    if (!node.op.alias) continue;
    const alias = aliasOf(node);
    if (alias.kind !== 'pack') continue;
    const { pack, offset: base } = of.get(node.outputs[0]!) ?? { pack: node.outputs[0]!, offset: 0 };
    const kept = new Set<number>();
    node.inputs.forEach((input, k) => {
      const offset = base + alias.byteOffsets[k]!;
      const value = offset % bindingAlignment === 0 ? root(input) : null;
      if (!value || of.has(value)) return;
      const producer = value.producer!;
      const siblings = producer.outputs.filter((v) => v !== value && of.get(v)?.pack === pack);
      if (siblings.length > 0 && [value, ...siblings].some((v) => boundAgain(producer, v))) return;
      of.set(value, { pack, offset });
      kept.add(k);
    });
    direct.set(node, kept);
  }
  return { of, direct };
}

// Which nodes must run, and how long each value is needed.

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
