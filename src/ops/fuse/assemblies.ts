/**
 * Finds what one pass can put together: slices, concatenations, broadcasts, factors and sums that only the next of them reads. What a class
 * token and positions are added with, what pools a sequence, and their gradients are each one dispatch then.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { broadcastStrides, sameShape, sizeOf, stridesOf } from '../../graph/shape.ts';
import type { Graph, Node, Value } from '../../graph/types.ts';
import {
  type AssembleAttrs,
  assembleOp,
  MOST_AXES,
  MOST_PARTS,
  mergedWindows,
  type Window,
} from '../assemble.ts';
import { addNOp, type BinaryAttrs, binaryOp, expandOp, type ScaleAttrs, scaleOp } from '../elementwise.ts';
import {
  beginnings,
  type ConcatAttrs,
  concatOp,
  type SliceAttrs,
  sliceOp,
  type UnsliceAttrs,
  unsliceOp,
  type ViewAttrs,
  viewOp,
} from '../moves.ts';
import { type Links, linksOf } from './links.ts';

/** A window of a value, and what stands there. */
interface Term extends Window {
  readonly of: Value;
}

/** A value as a sum of windows of others, and the nodes that are then no longer needed. */
interface Assembly {
  readonly terms: readonly Term[];
  readonly nodes: readonly Node[];
}

export function joinAssemblies(graph: Graph): Graph {
  const links = linksOf(graph);
  const roots = new Map<Node, readonly Term[]>();
  const gone = new Set<Node>();
  // Backwards, so that what is read by another is met as a part of it.
  for (const node of [...graph.nodes].reverse()) {
    if (gone.has(node)) continue;
    const found = assemblyOf(node, links);
    if (!found || !isWorthIt(node, found, links)) continue;
    roots.set(node, found.terms);
    for (const part of found.nodes) if (part !== node) gone.add(part);
  }
  if (roots.size === 0) return graph;

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const terms = roots.get(node);
      if (!terms) return gone.has(node) ? [] : null;
      const inputs = terms.map(({ of }) => copying.value(of));
      return g.emit(assembleOp, inputs, attrsOf(node.outputs[0]!, terms), node.module);
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

const attrsOf = ({ shape }: Value, terms: readonly Term[]): AssembleAttrs => ({
  shape,
  windows: terms.map(({ of: _, ...window }) => window),
});

/** Dispatches that a node takes by itself. */
const costOf = ({ op }: Node): number => (op === viewOp ? 0 : 1);

function isWorthIt(node: Node, { terms, nodes }: Assembly, links: Links): boolean {
  const positions = nodes.map((n) => links.position(n));
  return (
    nodes.reduce((sum, n) => sum + costOf(n), 0) > 1 &&
    terms.length > 0 &&
    terms.length <= MOST_PARTS &&
    mergedWindows(attrsOf(node.outputs[0]!, terms)).shape.length <= MOST_AXES &&
    !links.writesBetween(Math.min(...positions), links.position(node))
  );
}

/** The value as it is. */
const whole = (of: Value): Term => ({
  of,
  ...{ low: of.shape.map(() => 0), size: of.shape, strides: stridesOf(of.shape), offset: 0, by: 1 },
});

/** The first output of a node, if it is one that an assembly can be made of; null: it is not, or not with what its inputs are. */
function assemblyOf(node: Node, links: Links): Assembly | null {
  const change = changeOf(node);
  if (!change || node.outputs[0]!.dtype !== 'f32') return null;
  const terms: Term[] = [];
  const nodes: Node[] = [node];
  for (const [k, input] of node.inputs.entries()) {
    const inner = input.producer && links.onlyFor(input, node) ? assemblyOf(input.producer, links) : null;
    const changed = inner && allOf(inner.terms.map((term) => change(term, input, k)));
    const own = changed ?? allOf([change(whole(input), input, k)]);
    if (!own) return null;
    terms.push(...own.flat());
    if (changed) nodes.push(...inner!.nodes);
  }
  return { terms, nodes };
}

const allOf = <T>(found: readonly (T | null)[]): readonly T[] | null =>
  found.every((one): one is T => one !== null) ? found : null;

/** What a node makes of a term of its input `k`: none where it leaves it out; null where it cannot be said as windows. */
type Change = (term: Term, input: Value, k: number) => readonly Term[] | null;

const one = (term: Term | null): readonly Term[] | null => term && [term];

function changeOf(node: Node): Change | null {
  const { shape } = node.outputs[0] ?? { shape: [] };
  switch (node.op) {
    case viewOp:
      return (node.attrs as ViewAttrs).offset === 0
        ? (term, input) =>
            sizeOf(input.shape) === sizeOf(shape) ? one(reshaped(term, input.shape, shape)) : null
        : null;
    case scaleOp:
      return (term) => one(scaled(term, (node.attrs as ScaleAttrs).by));
    case expandOp:
    case addNOp:
      return (term, input) => one(expanded(term, input.shape, shape));
    case binaryOp:
      return (node.attrs as BinaryAttrs).fn === 'add'
        ? (term, input) => one(expanded(term, input.shape, shape))
        : null;
    case sliceOp:
      return (term, input) => sliced(term, node.attrs as SliceAttrs, input.shape, shape);
    case unsliceOp: {
      const { starts, steps } = node.attrs as UnsliceAttrs;
      return steps.every((step) => step === 1) ? (term) => one(moved(term, starts)) : null;
    }
    case concatOp: {
      const { axis } = node.attrs as ConcatAttrs;
      const begin = beginnings(
        node.inputs.map((x) => x.shape),
        axis,
      );
      return (term, _, k) =>
        one(
          moved(
            term,
            shape.map((_d, i) => (i === axis ? begin[k]! : 0)),
          ),
        );
    }
    default:
      return null;
  }
}

const moved = (term: Term, by: readonly number[]): Term => ({
  ...term,
  low: term.low.map((low, axis) => low + by[axis]!),
});

const scaled = (term: Term, by: number): Term | null =>
  term.by === 1 || by === 1 ? { ...term, by: term.by * by } : null;

/** Axes of one number come and go; what is whole and close together takes any shape. */
function reshaped(term: Term, from: readonly number[], to: readonly number[]): Term | null {
  const axes = from.map((_, axis) => axis).filter((axis) => from[axis] !== 1);
  const long = to.map((_, axis) => axis).filter((axis) => to[axis] !== 1);
  if (
    !sameShape(
      axes.map((axis) => from[axis]!),
      long.map((axis) => to[axis]!),
    )
  ) {
    const isWhole = sameShape(term.size, from) && sameShape(term.strides, stridesOf(from));
    return isWhole ? { ...term, low: to.map(() => 0), size: to, strides: stridesOf(to) } : null;
  }
  const laid = (values: readonly number[], fill: number): number[] =>
    to.map((_, axis) => (long.includes(axis) ? values[axes[long.indexOf(axis)]!]! : fill));
  return { ...term, low: laid(term.low, 0), size: laid(term.size, 1), strides: laid(term.strides, 0) };
}

/** Broadcast: an axis of one number is taken whole, and read again and again. */
function expanded(term: Term, from: readonly number[], to: readonly number[]): Term {
  const lead = to.length - from.length;
  const stretched = (axis: number): boolean => axis < lead || from[axis - lead] !== to[axis];
  const steps = broadcastStrides(from, to);
  return {
    ...term,
    low: to.map((_, axis) => (stretched(axis) ? 0 : term.low[axis - lead]!)),
    size: to.map((d, axis) => (stretched(axis) ? d : term.size[axis - lead]!)),
    strides: steps.map((_, axis) => (stretched(axis) ? 0 : term.strides[axis - lead]!)),
  };
}

/** The part of the window that is taken. */
function sliced(
  term: Term,
  { starts, steps }: SliceAttrs,
  from: readonly number[],
  to: readonly number[],
): readonly Term[] | null {
  const [low, size, strides] = [[...term.low], [...term.size], [...term.strides]];
  let { offset } = term;
  for (let axis = 0; axis < to.length; axis++) {
    const [start, step] = [starts[axis]!, steps[axis]!];
    if (step === 1) {
      const first = Math.max(low[axis]!, start);
      const end = Math.min(low[axis]! + size[axis]!, start + to[axis]!);
      if (end <= first) return [];
      offset += (first - low[axis]!) * strides[axis]!;
      low[axis] = first - start;
      size[axis] = end - first;
    } else if (step > 1 && size[axis] === from[axis]) {
      offset += start * strides[axis]!;
      size[axis] = to[axis]!;
      strides[axis] = strides[axis]! * step;
    } else return null;
  }
  return [{ ...term, low, size, strides, offset }];
}
