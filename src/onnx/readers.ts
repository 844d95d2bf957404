/**
 * Who reads each stored tensor of a file, subgraphs included: the nodes that compute with it, seen through those that only hand it on
 * (Transpose, Cast, DequantizeLinear and the like).
 */
import type { NodeProto } from 'onnx-buf';
import type { OnnxGraph, OnnxNode } from './types.ts';

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
