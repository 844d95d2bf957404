/**
 * Activation checkpointing: what the backward pass reads of the forward pass is computed again from a few values that are kept, segment
 * by segment, instead of being held from one to the other. The numbers stay the same, bit for bit: the same ops run on the same values.
 */
import { createBuilder } from './builder.ts';
import { type Copying, rewrite } from './rewrite.ts';
import { byteSizeOf } from './shape.ts';
import type { Graph, Node, Value } from './types.ts';

/**
 * @param end the value at which the forward pass is over (the loss); nodes after its producer are the backward pass
 * @param segments parts of the forward pass of about equal size; the last one is kept as it is
 */
export function recompute(graph: Graph, end: Value, segments: number): Graph {
  const position = new Map<Node, number>(graph.nodes.map((node, i) => [node, i]));
  const last = position.get(end.producer!)!;
  const { lastForward, usedLater } = usesOf(graph, last);
  const cuts = cutsOf(graph, last, segments, lastForward, usedLater);
  const segmentOf = (at: number): number => cuts.filter((cut) => cut <= at).length;
  const outputs = new Set(Object.values(graph.outputs));

  /** Made in a segment that is left behind, and read by nobody in a later one. */
  const dropped = (v: Value): boolean => {
    const { producer } = v;
    if (v.role !== 'temporary' || !producer || outputs.has(v) || producer.op.mutates?.length) return false;
    const at = position.get(producer)!;
    const segment = segmentOf(at);
    return at <= last && segment < cuts.length && segmentOf(lastForward.get(v) ?? at) === segment;
  };

  const g = createBuilder();
  const again = new Map<Value, Value>();
  const made = (v: Value, copying: Copying): Value => {
    if (!dropped(v)) return copying.value(v);
    if (!again.has(v)) {
      const { op, inputs, attrs, module, outputs: values } = v.producer!;
      const copies = g.emit(
        op,
        inputs.map((input) => made(input, copying)),
        attrs,
        module,
      );
      values.forEach((value, i) => {
        again.set(value, copies[i]!);
      });
    }
    return again.get(v)!;
  };
  const value = rewrite(graph, g, {
    node(node, copying) {
      if (position.get(node)! <= last || !node.inputs.some(dropped)) return null;
      return g.emit(
        node.op,
        node.inputs.map((v) => made(v, copying)),
        node.attrs,
        node.module,
      );
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

interface ForwardUses {
  /** Position of the last node of the forward pass that reads the value. */
  readonly lastForward: ReadonlyMap<Value, number>;
  readonly usedLater: ReadonlySet<Value>;
}

function usesOf({ nodes }: Graph, last: number): ForwardUses {
  const lastForward = new Map<Value, number>();
  const usedLater = new Set<Value>();
  nodes.forEach(({ inputs }, i) => {
    for (const v of inputs) {
      if (i <= last) lastForward.set(v, i);
      else usedLater.add(v);
    }
  });
  return { lastForward, usedLater };
}

/** Where segments begin: near equal shares of what would be kept, at the positions that the fewest bytes cross. */
function cutsOf(
  { nodes }: Graph,
  last: number,
  segments: number,
  lastForward: ForwardUses['lastForward'],
  usedLater: ForwardUses['usedLater'],
): number[] {
  const kept: number[] = [];
  const crossing = new Array<number>(last + 2).fill(0);
  let total = 0;
  for (let i = 0; i <= last; i++) {
    for (const v of nodes[i]!.outputs) {
      const bytes = nodes[i]!.op.alias ? 0 : byteSizeOf(v);
      if (usedLater.has(v)) total += bytes;
      for (let at = i + 1; at <= (lastForward.get(v) ?? i); at++) crossing[at] = crossing[at]! + bytes;
    }
    kept.push(total);
  }
  const cuts: number[] = [];
  for (let s = 1; s < segments; s++) {
    const [low, high] = [(s - 0.4) / segments, (s + 0.4) / segments].map((part) => part * total) as [
      number,
      number,
    ];
    let best = -1;
    for (let i = (cuts.at(-1) ?? 0) + 1; i <= last; i++) {
      const share = kept[i - 1]!;
      if (share < low || share > high) continue;
      if (best < 0 || crossing[i]! < crossing[best]!) best = i;
    }
    if (best > 0) cuts.push(best);
  }
  return cuts;
}
