/** Joins the gradients of a low-rank update's factors, dB = dYᵀ low and dA = dLowᵀ x, which follow each other in a backward pass. */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import type { Graph, Node } from '../../graph/types.ts';
import { type FactorGradsAttrs, factorGradsOp } from '../factorGrads.ts';
import { type MatmulAttrs, matmulOp } from '../matmul.ts';
import { isSkinny } from '../skinny.ts';
import { linksOf } from './links.ts';

/** Nodes between the two at most: what the first reads lives as long. */
const NEAR = 8;

type Kind = 'columns' | 'rows';

/** A sum over the rows of two matrices with few columns, or few rows; null for anything else. */
function kindOf(node: Node): Kind | null {
  if (node.op !== matmulOp) return null;
  const { transA, transB, variant } = node.attrs as MatmulAttrs;
  const [a, b] = node.inputs;
  if (!transA || transB || variant || a!.shape.length !== 2 || b!.shape.length !== 2) return null;
  if (node.inputs.some((v) => v.role !== 'temporary' || v.dtype !== 'f32')) return null;
  const [k, m, n] = [a!.shape[0]!, a!.shape[1]!, b!.shape[1]!];
  if (!isSkinny({ m, n, k, transA, transB })) return null;
  return n < m ? 'columns' : 'rows';
}

export function joinFactors(graph: Graph): Graph {
  const links = linksOf(graph);
  const firsts = new Map<Node, Node>();
  let first: Node | null = null;
  for (const node of graph.nodes) {
    const kind = kindOf(node);
    if (kind === 'columns') first = node;
    if (kind !== 'rows' || !first) continue;
    const here = links.position(node);
    const sum = first.outputs[0]!;
    const isNear = here - links.position(first) <= NEAR;
    const isFree = links.readers(sum).every((reader) => links.position(reader) > here);
    if (isNear && isFree && first.inputs[0]!.shape[0] === node.inputs[0]!.shape[0]) firsts.set(node, first);
    first = null;
  }
  if (firsts.size === 0) return graph;
  const gone = new Set(firsts.values());
  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      if (gone.has(node)) return [];
      const other = firsts.get(node);
      if (!other) return null;
      const alpha = [other, node].map((n) => (n.attrs as MatmulAttrs).alpha) as [number, number];
      const inputs = [...other.inputs, ...node.inputs].map(copying.value);
      const [dB, dA] = g.emit<FactorGradsAttrs>(factorGradsOp, inputs, { alpha }, node.module);
      copying.replace(other.outputs[0]!, dB!);
      return [dA!];
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
