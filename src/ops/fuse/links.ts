/** Who reads what in a finished graph, and where: what a fusion must know before it lets a value disappear or a node move. */
import type { Graph, Node, Value } from '../../graph/types.ts';

export interface Links {
  /** The nodes that take the value as an input, in order, each once. */
  readers(value: Value): readonly Node[];
  /** Whether `by` is all that the value is for: one operand of it, and no output of the graph. */
  onlyFor(value: Value, by: Node): boolean;
  /** Position of the first reader other than `except`; Infinity if there is none. An output has no position: it is read at the end. */
  firstOther(value: Value, except: Node): number;
  isOutput(value: Value): boolean;
  position(node: Node): number;
  /** Whether a node strictly between two positions writes a state. */
  writesBetween(from: number, to: number): boolean;
}

export function linksOf(graph: Graph): Links {
  const readers = new Map<Value, Node[]>();
  const positions = new Map<Node, number>();
  const writes: number[] = [];
  graph.nodes.forEach((node, i) => {
    positions.set(node, i);
    if (node.op.mutates?.length) writes.push(i);
    for (const v of new Set(node.inputs)) {
      const list = readers.get(v);
      if (list) list.push(node);
      else readers.set(v, [node]);
    }
  });
  const outputs = new Set(Object.values(graph.outputs));
  const of = (value: Value): readonly Node[] => readers.get(value) ?? [];
  const position = (node: Node): number => positions.get(node)!;
  return {
    readers: of,
    onlyFor: (value, by) =>
      !outputs.has(value) &&
      of(value).length === 1 &&
      of(value)[0] === by &&
      by.inputs.filter((v) => v === value).length === 1,
    firstOther: (value, except) =>
      Math.min(
        Number.POSITIVE_INFINITY,
        ...of(value)
          .filter((n) => n !== except)
          .map(position),
      ),
    isOutput: (value) => outputs.has(value),
    position,
    writesBetween: (from, to) => writes.some((at) => at > from && at < to),
  };
}
