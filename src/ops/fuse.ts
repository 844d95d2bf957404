/**
 * Joins what one kernel can do: products with their scale, bias, activation or an activation's slope, and sums of products; gradients
 * that one pass over their operands gives; what moves and adds elements; and products and gathers with the stored form of their weight. Runs on finished graphs, after differentiation, so gradients that read a
 * value on the way find it as a further output.
 */
import { type Builder, createBuilder } from '../graph/builder.ts';
import { type Copying, rewrite } from '../graph/rewrite.ts';
import { baseCaps, type Caps, type Graph, type Node, type Value } from '../graph/types.ts';
import { addN } from './elementwise.ts';
import { joinAssemblies } from './fuse/assemblies.ts';
import { joinBackward, joinGains } from './fuse/backward.ts';
import { joinCayleys } from './fuse/cayleys.ts';
import { joinFactors } from './fuse/factors.ts';
import { joinMirrors } from './fuse/mirrors.ts';
import { readStored } from './fuse/stored.ts';
import { findSums, type Product, type Sum } from './fuse/sums.ts';
import { groupsOf, pairUpdates } from './fuse/updates.ts';
import { type LinearAttrs, linearOp } from './linear.ts';
import { type MatmulAttrs, matmulOp } from './matmul.ts';
import { view } from './moves.ts';
import type { NormGradAttrs } from './norms.ts';
import { EXTRAS, type Extra, productOp } from './product.ts';
import { spectralSourceOp } from './spectral.ts';
import { type StackedMatmulAttrs, stackedMatmulOp } from './stackedMatmul.ts';

/** @param caps of the device that it is for; a GPU's unless given */
export function fuse(graph: Graph, caps: Caps = baseCaps): Graph {
  const joined = joinGains(joinSums(joinBackward(withoutSources(graph))));
  return readStored(joinCayleys(joinMirrors(joinFactors(joinAssemblies(joined)), caps)));
}

/** Without the nodes that only say where a gradient comes from, between a product and what joins it. */
function withoutSources(graph: Graph): Graph {
  if (!graph.nodes.some((node) => node.op === spectralSourceOp)) return graph;
  const g = createBuilder();
  const value = rewrite(graph, g, {
    node: (node, copying) => (node.op === spectralSourceOp ? [copying.value(node.inputs[0]!)] : null),
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

function joinSums(graph: Graph): Graph {
  const sums = findSums(graph);
  if (sums.length === 0) return graph;
  sums.forEach(pairUpdates);
  const ends = new Map<Node, Sum>(sums.map((sum) => [sum.nodes.at(-1)!, sum]));
  const gone = new Set<Node>(sums.flatMap((sum) => sum.nodes));

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const sum = ends.get(node);
      if (sum) return [view(g, emitSum(g, sum, copying), sum.y.shape)];
      return gone.has(node) ? [] : null;
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

function emitSum(g: Builder, sum: Sum, copying: Copying): Value {
  const rest = sum.rest.map(copying.value);
  let total: Value | null =
    rest.length > 0
      ? addN(
          g,
          rest.map((v) => view(g, v, sum.rest[0]!.shape)),
        )
      : null;
  for (const norm of sum.norms) {
    const inputs = norm.inputs.map(copying.value);
    const x = inputs[0]!;
    const added = total ? [view(g, total, x.shape)] : [];
    const attrs: NormGradAttrs = { ...(norm.attrs as NormGradAttrs), add: added.length > 0 };
    total = g.emit(norm.op, [...inputs, ...added], attrs)[0]!;
  }
  sum.products.forEach((product, i) => {
    total = emitProduct(g, product, total, i === sum.products.length - 1 ? sum : null, copying);
  });
  return total!;
}

/** How linear's operands lie. */
const FORWARD = { transA: false, transB: true } as const;

/** One product of a sum, `added` being the sum so far; the last one does what `end` does to the whole. */
function emitProduct(
  g: Builder,
  product: Product,
  added: Value | null,
  end: Sum | null,
  copying: Copying,
): Value {
  const { root, alpha, scale, bias, gain, raw, update } = product;
  const [a, b] = root.inputs.map(copying.value) as [Value, Value];
  const activation = end?.activation ?? 'none';
  const pre = end?.pre ?? null;
  const slope = end?.slope ?? null;
  const given: Readonly<Record<Extra, Value | null>> = {
    scale: scale && copying.value(scale),
    bias: bias && copying.value(bias),
    gain: gain && copying.value(gain),
    add: added,
    slope: slope && copying.value(slope.at),
  };
  const extras = EXTRAS.filter((extra) => given[extra] !== null);
  const plain = !raw && !update && extras.every((extra) => extra === 'bias');

  if (plain && root.op === linearOp && alpha === 1) {
    const attrs: LinearAttrs = { activation, keepPre: pre !== null };
    const [y, kept] = g.emit(linearOp, [a, b, ...(given.bias ? [given.bias] : [])], attrs, root.module);
    if (pre) copying.replace(pre, view(g, kept!, pre.shape));
    return y!;
  }
  const stack = root.op === stackedMatmulOp ? (root.attrs as StackedMatmulAttrs) : null;
  const { transA, transB } = root.op === linearOp ? FORWARD : (root.attrs as MatmulAttrs);
  if (plain && stack && !given.bias && alpha === 1 && activation === 'none')
    return g.emit(stackedMatmulOp, [a, b], stack, root.module)[0]!;
  if (plain && !stack && !given.bias && activation === 'none')
    return g.emit(matmulOp, [a, b], { transA, transB, alpha }, root.module)[0]!;
  const [y, ...kept] = g.emit(
    productOp,
    [a, b, ...(update?.root.inputs.map(copying.value) ?? []), ...extras.map((extra) => given[extra]!)],
    {
      ...{ transA, transB, alpha, activation, extras },
      ...(update && { second: true, groups: groupsOf(update) }),
      slope: slope?.of ?? 'none',
      keepPre: pre !== null,
      keepRaw: raw !== null,
      ...(stack && { stack: { count: stack.count, a: stack.a } }),
    },
    root.module,
  );
  if (pre) copying.replace(pre, view(g, kept.shift()!, pre.shape));
  if (raw) copying.replace(raw, view(g, kept.shift()!, raw.shape));
  return y!;
}
