/**
 * Who reads each stored tensor of a file, subgraphs included: the nodes that compute with it, seen through those that only hand it on
 * (Transpose, Cast, DequantizeLinear and the like).
 */
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from 'onnx-buf';
import { freeNames, selfContained } from './edit.ts';
import { mapSubgraphs, valueInfoProto, withFields } from './proto.ts';
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './types.ts';
import { viewModel } from './view.ts';

/** One input of one node. */
export interface Reading {
  readonly node: OnnxNode;
  readonly input: number;
}

/** A stored tensor as one input of a node meets it. */
export interface TensorReading extends Reading {
  /** Nodes that hand the tensor on, from the one that reads it to the one before `node`; none where it is read straight. */
  readonly through: readonly OnnxNode[];
}

export interface TensorReaders {
  /** By name of the initialiser or of the Constant node's output, in the order of the file. */
  readonly of: ReadonlyMap<string, readonly TensorReading[]>;
  /** How many inputs (and outputs of graphs) read the value that this node gives first. */
  uses(node: OnnxNode): number;
}

const HANDS_ON = new Set(['Transpose', 'Cast', 'CastLike', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze']);

/** Whether a node gives its first input on as it is, turned, or widened. */
export const handsOn = ({ opType }: Pick<OnnxNode, 'opType'>): boolean =>
  HANDS_ON.has(opType) || opType === 'DequantizeLinear';

interface Scope {
  readonly outer: Scope | null;
  /** What each name stands for here: a stored tensor and what handed it on, or null for a computed value. */
  readonly values: Map<string, { readonly tensor: string; readonly through: readonly OnnxNode[] } | null>;
}

function find(scope: Scope, name: string): ReturnType<Scope['values']['get']> {
  for (let at: Scope | null = scope; at; at = at.outer) {
    const found = at.values.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const subgraphs = (node: OnnxNode): OnnxGraph[] =>
  [...node.attributes.values()].flatMap((a) => (a.kind === 'graph' ? [a.value] : []));

export function readersOf(graph: OnnxGraph): TensorReaders {
  const of = new Map<string, TensorReading[]>();
  const uses = new Map<NodeProto, number>();

  const walk = (g: OnnxGraph, outer: Scope | null): void => {
    const scope: Scope = { outer, values: new Map() };
    for (const name of [...g.initializers.keys(), ...g.constants.keys()])
      scope.values.set(name, { tensor: name, through: [] });
    for (const { name } of g.inputs) scope.values.set(name, null);
    const use = (name: string): void => {
      const last = find(scope, name)?.through.at(-1);
      if (last) uses.set(last.proto, (uses.get(last.proto) ?? 0) + 1);
    };
    for (const node of g.nodes) {
      if (node.opType === 'Constant' && node.domain === '') continue;
      const first = find(scope, node.inputs[0] ?? '');
      const passes = first && handsOn(node);
      node.inputs.forEach((name, input) => {
        const found = name === '' ? undefined : find(scope, name);
        if (!found) return;
        use(name);
        if (passes && input === 0) return;
        const list = of.get(found.tensor) ?? [];
        list.push({ node, input, through: found.through });
        of.set(found.tensor, list);
      });
      for (const inner of subgraphs(node)) walk(inner, scope);
      node.outputs.forEach((name, i) => {
        scope.values.set(
          name,
          passes && i === 0 ? { tensor: first.tensor, through: [...first.through, node] } : null,
        );
      });
    }
    for (const { name } of g.outputs) use(name);
  };
  walk(graph, null);
  return { of, uses: (node) => uses.get(node.proto) ?? 0 };
}

// Gives some readers of a stored tensor another tensor to read, and leaves the rest as they are: for what a file stores once and only
// some of its readers change. Nodes on the way that hand the tensor on to other readers too are copied.

export interface Route {
  /** All of them read one stored tensor. */
  readonly places: readonly TensorReading[];
  /** What they read from now on. */
  readonly tensor: OnnxTensor;
}

interface Edits {
  /** New names of inputs, by node and input. */
  readonly inputs: Map<NodeProto, Map<number, string>>;
  /** Copies that stand behind a node. */
  readonly copies: Map<NodeProto, NodeProto[]>;
}

/** The nodes of a route on the way whose results nobody else reads. */
function ownNodes({ places }: Route, readers: TensorReaders): ReadonlySet<OnnxNode> {
  const own = new Set<OnnxNode>();
  const depth = Math.max(0, ...places.map(({ through }) => through.length));
  // From the readers back: a node is the route's own if all that read it are.
  for (let back = 0; back < depth; back++) {
    const reads = new Map<OnnxNode, Set<unknown>>();
    for (const place of places) {
      place.through.forEach((node, i) => {
        const next = place.through[i + 1];
        if (next && !own.has(next)) return;
        reads.set(node, (reads.get(node) ?? new Set()).add(next ?? place));
      });
    }
    for (const [node, by] of reads) if (by.size === readers.uses(node)) own.add(node);
  }
  return own;
}

function planRoute(
  route: Route,
  readers: TensorReaders,
  edits: Edits,
  freeName: (base: string) => string,
): void {
  const own = ownNodes(route, readers);
  const made = new Map<OnnxNode, string>();
  const set = (node: OnnxNode, input: number, name: string): void => {
    const inputs = edits.inputs.get(node.proto) ?? new Map<number, string>();
    edits.inputs.set(node.proto, inputs.set(input, name));
  };
  for (const { node, input, through } of route.places) {
    const first = through.findIndex((n) => own.has(n));
    const copied = first < 0 ? through : through.slice(0, first);
    let name = route.tensor.name;
    for (const step of copied) {
      let output = made.get(step);
      if (output === undefined) {
        output = freeName(`${route.tensor.name}_${step.opType}`);
        made.set(step, output);
        const { proto } = step;
        const copy = withFields(NodeProtoSchema, proto, {
          input: proto.input.with(0, name),
          output: [output, ...proto.output.slice(1).map(() => '')],
          ...(proto.name ? { name: `${proto.name}_${output}` } : {}),
        });
        edits.copies.set(proto, [...(edits.copies.get(proto) ?? []), copy]);
      }
      name = output;
    }
    if (first < 0) set(node, input, name);
    else set(through[first]!, 0, name);
  }
}

function edited(graph: GraphProto, edits: Edits): GraphProto {
  const node = graph.node.flatMap((item) => {
    const inputs = edits.inputs.get(item);
    const own = inputs
      ? withFields(NodeProtoSchema, item, { input: item.input.map((name, i) => inputs.get(i) ?? name) })
      : item;
    const changed = mapSubgraphs(own, (g) => edited(g, edits));
    return [changed, ...(edits.copies.get(item) ?? [])];
  });
  return withFields(GraphProtoSchema, graph, { node });
}

/** @param routes their tensors' names are new to the file (see {@link freeNames}) */
export function reroute(model: OnnxModel, routes: readonly Route[]): OnnxModel {
  if (routes.length === 0) return model;
  const edits: Edits = { inputs: new Map(), copies: new Map() };
  const readers = readersOf(model.graph);
  const freeName = freeNames(model);
  for (const { tensor } of routes) freeName(tensor.name);
  for (const route of routes) planRoute(route, readers, edits, freeName);
  const graph = edited(model.graph.proto, edits);
  const added = withFields(GraphProtoSchema, graph, {
    initializer: [...graph.initializer, ...routes.map(({ tensor }) => selfContained(tensor))],
    // Before IR 4 every initialiser must be a graph input as well.
    ...(model.irVersion < 4
      ? {
          input: [
            ...graph.input,
            ...routes.map(({ tensor }) => valueInfoProto(tensor.name, tensor.proto.dataType, tensor.dims)),
          ],
        }
      : {}),
  });
  return viewModel(withFields(ModelProtoSchema, model.proto, { graph: added }), model.external);
}
