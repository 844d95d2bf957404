/**
 * Finds what one kernel can compute: a matrix product with what happens to its result, and sums of such products and of the gradients
 * of normalisations, each of which adds what came before it. A sum stands where its last node stood; everything else of it disappears.
 */
import { sameShape, sizeOf } from '../../graph/shape.ts';
import type { AnyOp, Graph, Node, Value } from '../../graph/types.ts';
import { columnScaleOp } from '../columnScale.ts';
import { addNOp, type BinaryAttrs, binaryOp, type ScaleAttrs, scaleOp } from '../elementwise.ts';
import { type LinearAttrs, linearOp } from '../linear.ts';
import { type MatmulAttrs, matmulOp } from '../matmul.ts';
import { type ViewAttrs, viewOp } from '../moves.ts';
import type { NormGradAttrs } from '../norms.ts';
import { layerNormGradOp, rmsNormGradOp } from '../norms.ts';
import type { Activation } from '../scalar.ts';
import { isRowOfProducts, type StackedMatmulAttrs, stackedMatmulOp } from '../stackedMatmul.ts';
import { unaryGradOp, unaryOp } from '../unary.ts';
import { type Links, linksOf } from './links.ts';

const activations: readonly unknown[] = [
  'relu',
  'gelu',
  'geluTanh',
  'silu',
  'quickGelu',
] satisfies Activation[];
export const isActivation = (fn: unknown): fn is Activation => activations.includes(fn);

/** A product up to its bias. */
export interface Product {
  /** linear, matmul, or a stackedMatmul whose results are columns of one. */
  readonly root: Node;
  alpha: number;
  scale: Value | null;
  bias: Value | null;
  /** Multiplies the columns after the bias. */
  gain: Value | null;
  /** The value before the scale, where others read it. */
  raw: Value | null;
  /** A low-rank product that the same kernel adds. */
  update: Product | null;
}

export interface Sum {
  readonly products: Product[];
  /** layerNormGrad or rmsNormGrad. */
  readonly norms: Node[];
  /** Terms that are computed elsewhere. */
  readonly rest: Value[];
  activation: Activation;
  /** The value before the activation, where others read it. */
  pre: Value | null;
  slope: { readonly at: Value; readonly of: Activation } | null;
  /** The value of the old graph that this is. */
  y: Value;
  /** Nodes that it replaces, the last of them the one that makes `y`. */
  readonly nodes: Node[];
  /** No node of it may stand at this position or after: something reads a kept value there. */
  before: number;
}

/** The sums that are worth more than the nodes they replace. */
export function findSums(graph: Graph): readonly Sum[] {
  const links = linksOf(graph);
  const at = new Map<Value, Sum>();
  for (const node of graph.nodes) {
    const sum = rootSum(node) ?? extended(node, at, links);
    if (sum) at.set(sum.y, sum);
  }
  return [...new Set(at.values())].filter((sum) => at.get(sum.y) === sum && !sum.nodes.every(isPlain));
}

const plain: readonly AnyOp[] = [viewOp, linearOp, matmulOp, stackedMatmulOp, layerNormGradOp, rmsNormGradOp];
const isPlain = ({ op }: Node): boolean => plain.includes(op);

const emptySum = (y: Value, node: Node): Sum => ({
  products: [],
  norms: [],
  rest: [],
  activation: 'none',
  pre: null,
  slope: null,
  y,
  nodes: [node],
  before: Number.POSITIVE_INFINITY,
});

function rootSum(node: Node): Sum | null {
  const y = node.outputs[0]!;
  const product = (bias: Value | null, alpha: number): Sum => ({
    ...emptySum(y, node),
    products: [{ root: node, alpha, scale: null, bias, gain: null, raw: null, update: null }],
  });
  if (node.op === linearOp) {
    const { activation, keepPre } = node.attrs as LinearAttrs;
    return activation === 'none' && !keepPre ? product(node.inputs[2] ?? null, 1) : null;
  }
  if (node.op === stackedMatmulOp)
    return isRowOfProducts(node.attrs as StackedMatmulAttrs) ? product(null, 1) : null;
  if (node.op === matmulOp) {
    const { transA, alpha, variant } = node.attrs as MatmulAttrs;
    const [a, b] = node.inputs as [Value, Value];
    return b.shape.length === 2 && (!transA || a.shape.length === 2) && !variant
      ? product(null, alpha)
      : null;
  }
  if (node.op === layerNormGradOp || node.op === rmsNormGradOp) {
    return (node.attrs as NormGradAttrs).add ? null : { ...emptySum(y, node), norms: [node] };
  }
  return null;
}

/** A node that may join the sum that an operand of it is. */
interface Joining {
  readonly node: Node;
  /** Its first operand. */
  readonly first: Value;
  readonly y: Value;
  readonly links: Links;
  /** The sum that a value is, if it can still be extended here. */
  open(v: Value | undefined): Sum | null;
  join(sum: Sum): Sum;
  /** Joins although others read the value before it, if they do so later. */
  joinKeeping(sum: Sum, keep: (v: Value) => void): Sum | null;
}

/** The sum that an operand of `node` is, with `node` joined to it; null if it cannot be. */
function extended(node: Node, at: Map<Value, Sum>, links: Links): Sum | null {
  const y = node.outputs[0];
  if (!y) return null;
  if (node.op === addNOp || isAddition(node)) return added(node, at, links);
  const joining = joiningOf(node, y, at, links);
  if (node.op === viewOp) return joinView(joining);
  if (node.op === scaleOp) return joinScale(joining);
  const factor = columnFactor(node, at);
  if (factor) return joinFactor(joining, factor);
  if (node.op === unaryOp) return joinActivation(joining);
  return node.op === unaryGradOp ? joinSlope(joining) : null;
}

function joiningOf(node: Node, y: Value, at: Map<Value, Sum>, links: Links): Joining {
  const position = links.position(node);
  const join = (sum: Sum): Sum => {
    at.delete(sum.y);
    sum.nodes.push(node);
    sum.y = y;
    return sum;
  };
  return {
    ...{ node, first: node.inputs[0]!, y, links, join },
    open(v) {
      const sum = v && at.get(v);
      if (sum?.activation !== 'none' || sum.slope || position >= sum.before) return null;
      return links.writesBetween(links.position(sum.nodes[0]!), position) ? null : sum;
    },
    joinKeeping(sum, keep) {
      const v = sum.y;
      if (!links.onlyFor(v, node)) {
        const other = links.firstOther(v, node);
        if (other < position) return null;
        sum.before = Math.min(sum.before, other);
        keep(v);
      }
      return join(sum);
    },
  };
}

function joinView({ node, first, y, links, open, join }: Joining): Sum | null {
  const sum = open(first);
  const whole = (node.attrs as ViewAttrs).offset === 0 && sizeOf(first.shape) === sizeOf(y.shape);
  return sum && whole && links.onlyFor(first, node) ? join(sum) : null;
}

function joinScale({ node, first, links, open, join }: Joining): Sum | null {
  const sum = open(first);
  const product = sum && lone(sum);
  if (!product || product.bias || product.scale || product.gain || !links.onlyFor(first, node)) return null;
  product.alpha *= (node.attrs as ScaleAttrs).by;
  return join(sum);
}

/** A factor by column: a product's scale before its bias, or the gain of all products. */
function joinFactor({ node, links, open, join, joinKeeping }: Joining, factor: ColumnFactor): Sum | null {
  const sum = open(factor.of);
  const [product, ...others] = sum?.products ?? [];
  if (!sum || !product || sum.rest.length + sum.norms.length > 0) return null;
  if (sum.products.some((p) => p.gain || columnsOf(p) !== sizeOf(factor.by.shape))) return null;
  if (product.bias || product.scale || others.length > 0) {
    // Each product takes the factor as its gain; what is before a gain cannot be kept.
    if (!links.onlyFor(factor.of, node)) return null;
    for (const p of sum.products) p.gain = factor.by;
    return join(sum);
  }
  const joined = joinKeeping(sum, (v) => {
    product.raw = v;
  });
  if (joined) product.scale = factor.by;
  return joined;
}

function joinActivation({ node, first, links, open, joinKeeping }: Joining): Sum | null {
  const { fn } = node.attrs as { fn: unknown };
  const sum = open(first);
  if (!sum || sum.products.length === 0 || !isActivation(fn)) return null;
  // The value before the activation and a gain share a binding.
  if (sum.products.at(-1)!.gain && !links.onlyFor(first, node)) return null;
  const joined = joinKeeping(sum, (v) => {
    sum.pre = v;
  });
  if (joined) joined.activation = fn;
  return joined;
}

function joinSlope({ node, first, links, open, join }: Joining): Sum | null {
  const { fn } = node.attrs as { fn: unknown };
  const sum = open(node.inputs[1]);
  if (!sum || !isActivation(fn) || !links.onlyFor(sum.y, node)) return null;
  // Scale and slope share a binding.
  if (sum.products.length === 0 || sum.products.at(-1)!.scale) return null;
  sum.slope = { at: first, of: fn };
  return join(sum);
}

/** The product, if nothing is added to it yet. */
const lone = (sum: Sum): Product | null =>
  sum.products.length === 1 && sum.norms.length + sum.rest.length === 0 ? sum.products[0]! : null;

/** Columns of a product's result. */
export const columnsOf = ({ root }: Product): number => root.outputs[0]!.shape.at(-1)!;

const isAddition = (node: Node): boolean =>
  node.op === binaryOp && (node.attrs as BinaryAttrs).fn === 'add' && node.outputs[0]!.dtype === 'f32';

/** A product's result times a vector along the last axis. */
interface ColumnFactor {
  readonly of: Value;
  readonly by: Value;
}

function columnFactor(node: Node, at: Map<Value, Sum>): ColumnFactor | null {
  if (node.op !== columnScaleOp && !(node.op === binaryOp && (node.attrs as BinaryAttrs).fn === 'mul'))
    return null;
  const [a, b] = node.inputs as [Value, Value];
  const [of, by] = at.has(a) || node.op === columnScaleOp ? [a, b] : [b, a];
  const fits = sameShape(of.shape, node.outputs[0]!.shape) && sameShape(by.shape, of.shape.slice(-1));
  return fits && by.dtype === 'f32' ? { of, by } : null;
}

/** A sum of sums: those that nothing else reads become part of it. A vector added to a lone product is its bias. */
function added(node: Node, at: Map<Value, Sum>, links: Links): Sum | null {
  const y = node.outputs[0]!;
  const position = links.position(node);
  const parts = node.inputs.map((v) => {
    const sum = at.get(v);
    const free =
      sum !== undefined &&
      sum.activation === 'none' &&
      !sum.slope &&
      position < sum.before &&
      sameShape(v.shape, y.shape) &&
      links.onlyFor(v, node) &&
      !links.writesBetween(links.position(sum.nodes[0]!), position);
    return free ? sum : null;
  });
  const [joined, ...others] = parts.filter((part) => part !== null);
  if (!joined) return null;
  const vector = node.inputs.find((v) => !sameShape(v.shape, y.shape));
  if (vector) {
    const product = lone(joined);
    if (!product || product.bias || product.gain || !sameShape(vector.shape, [columnsOf(product)]))
      return null;
    if (y.shape.at(-1) !== columnsOf(product)) return null;
    product.bias = vector;
  } else {
    joined.rest.push(...node.inputs.filter((_, i) => !parts[i]));
  }
  for (const other of others) {
    at.delete(other.y);
    joined.products.push(...other.products);
    joined.norms.push(...other.norms);
    joined.rest.push(...other.rest);
    joined.nodes.push(...other.nodes);
    joined.before = Math.min(joined.before, other.before);
  }
  at.delete(joined.y);
  joined.nodes.push(node);
  joined.nodes.sort((a, b) => links.position(a) - links.position(b));
  joined.y = y;
  return joined;
}
