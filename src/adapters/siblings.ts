/**
 * Layers of a frozen model that are computed as one: those that read one value and make the queries, keys and values of one attention, side by
 * side. Their weights lie in one parameter, one below the other; the layers' own are parts of it.
 */
import { type Builder, createBuilder } from '../graph/builder.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Node, TensorSource, Value } from '../graph/types.ts';
import { attentionOp, isApart } from '../ops/attention.ts';
import { type Links, linksOf } from '../ops/fuse/links.ts';
import { type LinearAttrs, linearOp } from '../ops/linear.ts';
import { view } from '../ops/moves.ts';
import type { TrainableEntry } from './types.ts';

/** Parameters that lie in one. */
export interface JoinedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly source: TensorSource;
  /** Name, shape and first element of each. */
  readonly parts: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly offset: number;
  }[];
}

export interface Siblings {
  /** In the order of the graph. */
  readonly layers: readonly Node[];
  readonly modules: readonly string[];
  readonly weight: JoinedParameter;
  readonly bias: JoinedParameter | null;
  /** The attention that reads them. */
  readonly reader: Node;
}

/** A part of a buffer may be bound where it begins at a multiple of so many numbers. */
const ALIGNED = 64;

export function siblingsOf(graph: Graph): readonly Siblings[] {
  const links = linksOf(graph);
  const seen = new Set<string>();
  const again = new Set<string>();
  for (const { module } of graph.nodes.filter(({ op }) => op === linearOp))
    if (module !== undefined) (seen.has(module) ? again : seen).add(module);
  return graph.nodes.flatMap((node) => {
    const found = node.op === attentionOp && isApart(node) ? readBy(node, links) : null;
    return found?.modules.every((module) => !again.has(module)) ? [found] : [];
  });
}

function readBy(reader: Node, links: Links): Siblings | null {
  const results = reader.inputs.slice(0, 3);
  const layers = results.flatMap(({ producer }) => producer ?? []);
  layers.sort((a, b) => links.position(a) - links.position(b));
  const modules = layers.flatMap(({ module }) => module ?? []);
  const isLayer = (layer: Node): boolean => {
    const { activation, keepPre } = layer.attrs as LinearAttrs;
    return activation === 'none' && !keepPre && layer.inputs[0] === layers[0]!.inputs[0];
  };
  const alone =
    layers.length === 3 &&
    new Set(modules).size === 3 &&
    results.every((v) => links.onlyFor(v, reader)) &&
    layers.every((layer) => layer.op === linearOp && isLayer(layer));
  if (!alone) return null;
  const weight = joined(
    layers.map(({ inputs }) => inputs[1]!),
    links,
  );
  const biases = layers.flatMap(({ inputs }) => inputs[2] ?? []);
  const bias = biases.length === 0 ? null : joined(biases, links);
  const whole = biases.length === 0 || (biases.length === 3 && bias);
  return weight && whole ? { layers, modules, weight, bias, reader } : null;
}

/** Parameters one below the other; null where something else reads one, or one could not be bound by itself. */
function joined(parts: readonly Value[], links: Links): JoinedParameter | null {
  const fits = (v: Value): boolean =>
    v.role === 'parameter' &&
    v.dtype === 'f32' &&
    sizeOf(v.shape) % ALIGNED === 0 &&
    links.readers(v).length === 1;
  if (!parts.every(fits) || new Set(parts).size !== parts.length) return null;
  let size = 0;
  const placed = parts.map(({ name, shape }) => {
    const offset = size;
    size += sizeOf(shape);
    return { name, shape, offset };
  });
  const [first] = parts as [Value, ...Value[]];
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return {
    name: placed.map(({ name }) => name).join(' + '),
    shape: [rows, ...first.shape.slice(1)],
    parts: placed,
    source(room) {
      const all = new Float32Array(size);
      parts.forEach((part, i) => {
        all.set(part.source!(room) as Float32Array, placed[i]!.offset);
      });
      return all;
    },
  };
}

export const emitJoined = (g: Builder, { name, shape, source }: JoinedParameter): Value =>
  g.parameter(name, { dtype: 'f32', shape }, source);

/** The parts of such a parameter, or of what stands for it. */
export const partsOf = (g: Builder, { parts }: JoinedParameter, whole: Value): readonly Value[] =>
  parts.map(({ shape, offset }) => view(g, whole, shape, offset));

/** A graph over a model's parameters that reads those of siblings where they lie. */
export function readJoined(graph: Graph, siblings: readonly Siblings[]): Graph {
  const all = siblings.flatMap(({ weight, bias }) => (bias ? [weight, bias] : [weight]));
  const places = new Map(
    all.flatMap((whole) => whole.parts.map((part) => [part.name, { whole, part }] as const)),
  );
  const g = createBuilder();
  const value = rewrite(graph, g, {
    leaf(v) {
      const place = v.role === 'parameter' ? places.get(v.name) : undefined;
      return place ? view(g, emitJoined(g, place.whole), place.part.shape, place.part.offset) : null;
    },
  });
  return g.finish(Object.fromEntries(Object.entries(graph.outputs).map(([name, v]) => [name, value(v)])));
}

/** Where siblings' trained vectors lie one after the other, they train as one. */
export function trainedTogether(
  entries: readonly TrainableEntry[],
  siblings: readonly Siblings[],
): ReadonlyMap<string, JoinedParameter> {
  const at = new Map(entries.map((entry) => [entry.name, entry]));
  const found = new Map<string, JoinedParameter>();
  for (const { bias } of siblings) {
    const own = bias?.parts.flatMap(({ name }) => at.get(name) ?? []) ?? [];
    const [first] = own;
    const follow = own.every(({ offset }, i) => offset === first!.offset + bias!.parts[i]!.offset);
    if (bias && own.length === bias.parts.length && follow) found.set(first!.name, bias);
  }
  return found;
}
