/**
 * The slope of an activation joins the gradient of the rotation that reads what comes out of it: y = turn(f(x)) has dx = f'(x) · dTurned,
 * which the rotation's backward kernel writes at once.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Graph, Node, Value } from '../../graph/types.ts';
import { type ButterflyGradAttrs, butterflyGradOp, takesSlope } from '../butterfly.ts';
import { view, viewOp } from '../moves.ts';
import { type UnaryGradAttrs, unaryGradOp } from '../unary.ts';
import { type Links, linksOf } from './links.ts';
import { isActivation } from './sums.ts';

/** A rotation's gradient, and what it replaces: the slope's own node, views before it. */
interface Joined {
  readonly turned: Node;
  readonly slope: Node;
  readonly views: readonly Node[];
}

function joinedAt(slope: Node, links: Links): Joined | null {
  const { fn } = slope.attrs as UnaryGradAttrs;
  const [pre, dX] = slope.inputs as [Value, Value];
  const views: Node[] = [];
  let [value, reader] = [dX, slope];
  while (value.producer?.op === viewOp && links.onlyFor(value, reader)) {
    reader = value.producer;
    views.push(reader);
    value = reader.inputs[0]!;
  }
  const turned = value.producer;
  if (turned?.op !== butterflyGradOp || value !== turned.outputs[1] || !isActivation(fn)) return null;
  const { slope: own } = turned.attrs as ButterflyGradAttrs;
  const isReady = !pre.producer || links.position(pre.producer) < links.position(turned);
  const isWhole = sizeOf(dX.shape) === sizeOf(value.shape);
  const joins = own === 'none' && takesSlope(turned.inputs[1]!) && isReady && isWhole;
  return joins && links.onlyFor(value, reader) ? { turned, slope, views } : null;
}

export function joinSlopes(graph: Graph): Graph {
  const links = linksOf(graph);
  const found = graph.nodes.flatMap((node) => (node.op === unaryGradOp ? (joinedAt(node, links) ?? []) : []));
  if (found.length === 0) return graph;
  const ends = new Map(found.map(({ turned, slope }) => [turned, slope]));
  const gone = new Set(found.flatMap(({ slope, views }) => [slope, ...views]));

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const end = ends.get(node);
      if (!end) return gone.has(node) ? [] : null;
      const inputs = [...node.inputs, end.inputs[0]!].map(copying.value);
      const slope = (end.attrs as UnaryGradAttrs).fn;
      const [dBlocks, dX] = g.emit(node.op, inputs, { ...(node.attrs as object), slope }, node.module);
      copying.replace(end.outputs[0]!, view(g, dX!, end.outputs[0]!.shape));
      return [dBlocks!];
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
