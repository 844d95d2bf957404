/**
 * Gives backward kernels what they can do beside their own work. The slope of an activation joins the gradient of the rotation that reads
 * what comes out of it: y = turn(f(x)) has dx = f'(x) · dTurned. The gradient of a bias joins that of the scale before it: y = x ⊙ s + bias
 * has ds = Σ dy ⊙ x and dbias = Σ dy. The scale of a residual branch joins the gradient of the normalisation whose sum the branch's gradient begins
 * with: dBranch = dx ⊙ gain.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { sameShape, sizeOf } from '../../graph/shape.ts';
import type { Graph, Node, Value } from '../../graph/types.ts';
import { type ButterflyGradAttrs, butterflyGradOp } from '../butterfly.ts';
import { takesSlope } from '../butterflyKernels.ts';
import { type ColumnScaleGradAttrs, columnScaleGradOp } from '../columnScale.ts';
import { type BinaryAttrs, binaryOp, sumToOp } from '../elementwise.ts';
import { type ViewAttrs, view, viewOp } from '../moves.ts';
import { layerNormGradOp, type NormGradAttrs, rmsNormGradOp } from '../norms.ts';
import { type UnaryGradAttrs, unaryGradOp } from '../unary.ts';
import { type Links, linksOf } from './links.ts';
import { isActivation } from './sums.ts';

/** A backward kernel that does more. */
interface Joined {
  readonly node: Node;
  readonly attrs: object;
  /** Operands behind its own. */
  readonly inputs: readonly Value[];
  /** The value of the old graph that output `output` is. */
  readonly gives: Value;
  readonly output: number;
  /** Nodes that it replaces. */
  readonly gone: readonly Node[];
}

/** Slopes and biases, in a backward pass as it was made. */
export const joinBackward = (graph: Graph): Graph =>
  joinAt(graph, (node, links) => {
    if (node.op === unaryGradOp) return slopeAt(node, links);
    return node.op === columnScaleGradOp ? biasOf(node, links) : null;
  });

/** Gains, once what else comes in at a residual is part of its normalisation's gradient. */
export const joinGains = (graph: Graph): Graph => joinAt(graph, gainAt);

function joinAt(graph: Graph, joinedAt: (node: Node, links: Links) => Joined | null): Graph {
  const links = linksOf(graph);
  const joins = new Map<Node, Joined>();
  for (const node of graph.nodes) {
    const joined = joinedAt(node, links);
    if (joined && !joins.has(joined.node)) joins.set(joined.node, joined);
  }
  if (joins.size === 0) return graph;
  const found = [...joins.values()];
  const gone = new Set(found.flatMap((joined) => joined.gone));

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const joined = joins.get(node);
      if (!joined) return gone.has(node) ? [] : null;
      const inputs = [...node.inputs, ...joined.inputs].map(copying.value);
      const outputs = g.emit(node.op, inputs, { ...(node.attrs as object), ...joined.attrs }, node.module);
      copying.replace(joined.gives, view(g, outputs[joined.output]!, joined.gives.shape));
      return outputs;
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

function slopeAt(slope: Node, links: Links): Joined | null {
  const { fn } = slope.attrs as UnaryGradAttrs;
  const [pre, dX] = slope.inputs as [Value, Value];
  const gone = [slope];
  let value = dX;
  while (value.producer?.op === viewOp && links.onlyFor(value, gone.at(-1)!)) {
    gone.push(value.producer);
    value = value.producer.inputs[0]!;
  }
  const turned = value.producer;
  if (turned?.op !== butterflyGradOp || value !== turned.outputs[1] || !isActivation(fn)) return null;
  const { slope: own } = turned.attrs as ButterflyGradAttrs;
  const isReady = !pre.producer || links.position(pre.producer) < links.position(turned);
  const isWhole = sizeOf(dX.shape) === sizeOf(value.shape);
  const joins =
    own === 'none' && takesSlope(turned.inputs[1]!, turned.inputs.length > 3) && isReady && isWhole;
  if (!joins || !links.onlyFor(value, gone.at(-1)!)) return null;
  return { node: turned, attrs: { slope: fn }, inputs: [pre], gives: slope.outputs[0]!, output: 1, gone };
}

function biasOf(scale: Node, links: Links): Joined | null {
  const [, s, dY] = scale.inputs as [Value, Value, Value];
  const isSum = (node: Node): boolean => node.op === sumToOp && sameShape(node.outputs[0]!.shape, s.shape);
  const sum = links.readers(dY).find(isSum);
  const dBias = sum?.outputs[0];
  if (!dBias || (scale.attrs as ColumnScaleGradAttrs).bias) return null;
  if (links.firstOther(dBias, sum) < links.position(scale)) return null;
  return { node: scale, attrs: { bias: true }, inputs: [], gives: dBias, output: 2, gone: [sum] };
}

function gainAt(scale: Node, links: Links): Joined | null {
  if (scale.op !== binaryOp || (scale.attrs as BinaryAttrs).fn !== 'mul') return null;
  const [value, gain] = scale.inputs as [Value, Value];
  let dX = value;
  while (dX.producer?.op === viewOp && (dX.producer.attrs as ViewAttrs).offset === 0)
    dX = dX.producer.inputs[0]!;
  const norm = dX.producer;
  if (norm?.op !== layerNormGradOp && norm?.op !== rmsNormGradOp) return null;
  const columns = dX.shape.slice(-1);
  const fits =
    sameShape(gain.shape, columns) &&
    gain.dtype === 'f32' &&
    sameShape(value.shape.slice(-1), columns) &&
    sameShape(scale.outputs[0]!.shape, value.shape) &&
    sizeOf(value.shape) === sizeOf(dX.shape);
  const from = links.position(norm);
  const isReady = !gain.producer || links.position(gain.producer) < from;
  if (!fits || !isReady || (norm.attrs as NormGradAttrs).gain) return null;
  if (links.writesBetween(from, links.position(scale))) return null;
  return {
    node: norm,
    attrs: { gain: true },
    inputs: [gain],
    gives: scale.outputs[0]!,
    output: 1,
    gone: [scale],
  };
}
