/**
 * Cayley transforms of several groups of layers as one, and their gradients too, where the numbers of all of them lie one after the other among what
 * trains: blocks of one size, whatever layers they turn.
 */
import { createBuilder } from '../../graph/builder.ts';
import { rewrite } from '../../graph/rewrite.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { Graph, Node, Value } from '../../graph/types.ts';
import { type CayleyAttrs, cayleyGradOp, cayleyOp, sourceShape } from '../cayley.ts';
import { ALIGNED } from '../dispatch.ts';
import {
  type PackAttrs,
  pack,
  packOp,
  type SplitAttrs,
  splitOp,
  type ViewAttrs,
  view,
  viewOp,
} from '../moves.ts';
import { type Links, linksOf } from './links.ts';

/** A part of a state. */
interface Place {
  readonly state: Value;
  readonly from: number;
}

function placeOf(value: Value): Place | null {
  if (value.role === 'state') return { state: value, from: 0 };
  const { producer } = value;
  const inner = producer?.op === viewOp || producer?.op === splitOp ? placeOf(producer.inputs[0]!) : null;
  if (!inner) return null;
  const offset =
    producer!.op === viewOp
      ? (producer!.attrs as ViewAttrs).offset
      : (producer!.attrs as SplitAttrs).parts[producer!.outputs.indexOf(value)]!.offset;
  return { state: inner.state, from: inner.from + offset };
}

interface Member {
  readonly node: Node;
  readonly place: Place;
  readonly blocks: number;
}

/** Transforms whose blocks follow each other, in that order, and where their gradients go. */
interface Group {
  readonly members: readonly Member[];
  readonly attrs: CayleyAttrs;
  readonly gradients: Gradients | null;
}

interface Gradients {
  readonly nodes: readonly Node[];
  /** Between them and the pack that has all of them side by side. */
  readonly between: readonly Node[];
  readonly pack: Node;
  /** Position of the first among the inputs of the pack. */
  readonly first: number;
}

const blocksOf = ({ inputs, attrs }: Node): number =>
  sizeOf(inputs[0]!.shape) / sizeOf(sourceShape([], attrs as CayleyAttrs));

function groupsOf(graph: Graph, links: Links): Group[] {
  const alike = new Map<string, Member[]>();
  for (const node of graph.nodes) {
    const place = node.op === cayleyOp ? placeOf(node.inputs[0]!) : null;
    if (!place) continue;
    const key = `${place.state.id} ${JSON.stringify(node.attrs)}`;
    alike.set(key, [...(alike.get(key) ?? []), { node, place, blocks: blocksOf(node) }]);
  }
  return [...alike.values()].flatMap((members) => {
    const attrs = members[0]!.node.attrs as CayleyAttrs;
    const sorted = members.toSorted((a, b) => a.place.from - b.place.from);
    return runsOf(sorted, attrs, links).map((run) => ({
      members: run,
      attrs,
      gradients: gradientsOf(run, links),
    }));
  });
}

/** Whether all may be computed where the first or the last of them is: they read the same state there, since nothing is written in between. */
function areMovable(nodes: readonly Node[], links: Links): boolean {
  const positions = nodes.map((node) => links.position(node));
  return !links.writesBetween(Math.min(...positions), Math.max(...positions));
}

/** Two or more that follow each other without a gap, with results that may be bound one by one. */
function runsOf(sorted: readonly Member[], attrs: CayleyAttrs, links: Links): Member[][] {
  const runs: Member[][] = [];
  let end = -1;
  for (const member of sorted) {
    const run = runs.at(-1) ?? [];
    const isNext = member.place.from === end;
    if (
      isNext &&
      areMovable(
        [...run, member].map(({ node }) => node),
        links,
      )
    )
      run.push(member);
    else runs.push([member]);
    const isWhole = (member.blocks * attrs.b ** 2) % ALIGNED === 0;
    end = isWhole ? member.place.from + member.blocks * sizeOf(sourceShape([], attrs)) : -1;
  }
  return runs.filter(({ length }) => length > 1);
}

/** Null where they are not all there, may not be moved to the last of them, or lie apart in what is packed of them. */
function gradientsOf(run: readonly Member[], links: Links): Gradients | null {
  const nodes: Node[] = [];
  const between: Node[] = [];
  const values: Value[] = [];
  for (const { node } of run) {
    const { kind } = node.attrs as CayleyAttrs;
    const read = kind === 'exact' ? node.outputs[0]! : node.inputs[0]!;
    const [own, ...more] = links.readers(read).filter(({ op }) => op === cayleyGradOp);
    if (!own || more.length > 0) return null;
    nodes.push(own);
    let value = own.outputs[0]!;
    for (;;) {
      const [reader] = links.readers(value);
      if (!reader || !links.onlyFor(value, reader)) return null;
      if (reader.op === packOp) break;
      if (reader.op !== viewOp || sizeOf(reader.outputs[0]!.shape) !== sizeOf(value.shape)) return null;
      between.push(reader);
      value = reader.outputs[0]!;
    }
    values.push(value);
  }
  if (!areMovable(nodes, links)) return null;
  const packs = new Set(values.map((value) => links.readers(value)[0]!));
  const [packed] = packs;
  const first = packed!.inputs.indexOf(values[0]!);
  const { offsets } = packed!.attrs as PackAttrs;
  const follow = values.every(
    (value, i) =>
      packed!.inputs[first + i] === value &&
      (i === 0 || offsets[first + i] === offsets[first + i - 1]! + sizeOf(values[i - 1]!.shape)),
  );
  return packs.size === 1 && follow ? { nodes, between, pack: packed!, first } : null;
}

export function joinCayleys(graph: Graph): Graph {
  if (graph.nodes.filter(({ op }) => op === cayleyOp).length < 2) return graph;
  const links = linksOf(graph);
  const groups = groupsOf(graph, links);
  if (groups.length === 0) return graph;
  const groupOf = new Map(groups.flatMap((group) => group.members.map(({ node }) => [node, group] as const)));
  const backward = new Map<Node, Group>();
  const gone = new Set<Node>();
  for (const group of groups) {
    if (!group.gradients) continue;
    const { nodes, between } = group.gradients;
    const last = nodes.reduce((a, b) => (links.position(a) > links.position(b) ? a : b));
    backward.set(last, group);
    for (const node of [...nodes, ...between]) gone.add(node);
  }
  /** What is computed of a group: its source and rotations, and the gradient of the source. */
  const sources = new Map<Group, Value>();
  const rotations = new Map<Group, Value>();
  const gradients = new Map<Group, Value>();

  const g = createBuilder();
  const value = rewrite(graph, g, {
    node(node, copying) {
      const own = groupOf.get(node);
      if (own) {
        const { members, attrs } = own;
        const blocks = members.reduce((n, member) => n + member.blocks, 0);
        if (!rotations.has(own)) {
          const { state, from } = members[0]!.place;
          const source = view(g, copying.value(state), sourceShape([blocks], attrs), from);
          sources.set(own, source);
          rotations.set(own, g.emit(cayleyOp, [source], attrs)[0]!);
        }
        const at = members.findIndex((member) => member.node === node);
        const before = members.slice(0, at).reduce((n, member) => n + member.blocks, 0);
        return [view(g, rotations.get(own)!, node.outputs[0]!.shape, before * attrs.b ** 2)];
      }
      const joint = backward.get(node);
      if (joint) gradients.set(joint, emitGradient(joint));
      if (gone.has(node)) return [];
      const into = groups.filter((group) => group.gradients?.pack === node);
      return into.length > 0 ? [repacked(node, into)] : null;

      function emitGradient({ gradients: own, attrs }: Group): Value {
        const parts = own!.nodes.map(({ inputs }) => copying.value(inputs[1]!));
        const starts = parts.map((_, i) => parts.slice(0, i).reduce((n, part) => n + sizeOf(part.shape), 0));
        const size = starts.at(-1)! + sizeOf(parts.at(-1)!.shape);
        const all = pack(g, parts, { offsets: starts, size });
        const dR = view(g, all, [size / attrs.b ** 2, attrs.b, attrs.b]);
        const read = attrs.kind === 'exact' ? rotations.get(joint!)! : sources.get(joint!)!;
        return g.emit(cayleyGradOp, [read, dR], attrs)[0]!;
      }

      function repacked({ inputs, attrs }: Node, into: readonly Group[]): Value {
        const { offsets, size } = attrs as PackAttrs;
        const kept = inputs.flatMap((input, i) => {
          const group = into.find(
            ({ members, gradients: own }) => i >= own!.first && i < own!.first + members.length,
          );
          if (!group) return [{ value: copying.value(input), offset: offsets[i]! }];
          return i === group.gradients!.first ? [{ value: gradients.get(group)!, offset: offsets[i]! }] : [];
        });
        return pack(
          g,
          kept.map(({ value: part }) => part),
          { offsets: kept.map(({ offset }) => offset), size },
        );
      }
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}
