/**
 * Which module each node with weights belongs to. A tensor that several nodes read says little of any one of them: there the node's own
 * place in the file counts, and a tensor that nobody else reads.
 */
import { sizeOf } from '../../graph/shape.ts';
import type { OnnxNode } from '../../onnx/types.ts';
import type { FoldedGraph, FoldedNode, FoldedValue, Weight } from './folded.ts';
import {
  attentionOf,
  headName,
  madeUpModule,
  ownerOf,
  parameterName,
  placeOf,
  unquantised,
} from './names.ts';

export type ModuleKind = 'linear' | 'conv1d' | 'embedding' | 'conv2d' | 'layernorm' | 'other';

export interface WeightUse {
  readonly input: number;
  readonly value: FoldedValue;
  readonly weight: Weight;
  /** PyTorch's name of the parameter. */
  readonly label: string;
}

/** A node that reads weights as one module. */
export interface ModuleUse {
  readonly node: FoldedNode;
  readonly kind: ModuleKind;
  readonly weights: readonly WeightUse[];
  module: string;
}

/** Weight inputs of a node with the parameter's usual name; null name: the tensor's own. */
function roles(node: FoldedNode): {
  kind: ModuleKind;
  inputs: readonly (readonly [number, string | null])[];
} {
  switch (node.op) {
    case 'Linear':
      return {
        kind: node.attrs.kind as ModuleKind,
        inputs: [
          [1, 'weight'],
          [2, 'bias'],
        ],
      };
    case 'Gather':
      return { kind: 'embedding', inputs: [[0, 'weight']] };
    case 'LayerNorm':
    case 'RmsNorm':
      return {
        kind: 'layernorm',
        inputs: [
          [1, 'weight'],
          [2, 'bias'],
        ],
      };
    default:
      return { kind: 'other', inputs: node.inputs.map((_, i) => [i, null] as const) };
  }
}

/** The name by which the file's nodes know a weight: an Identity of an exporter gives one back that was stored once for several. */
export const calledName = (weight: Weight): string => weight.called ?? weight.name;

const isScalar = ({ shape }: FoldedValue): boolean => sizeOf(shape) <= 1;

function usesOf(graph: FoldedGraph): ModuleUse[] {
  return graph.nodes.flatMap((node): ModuleUse[] => {
    const { kind, inputs } = roles(node);
    const weights = inputs.flatMap(([input, usual]): WeightUse[] => {
      const value = node.inputs[input];
      const weight = value?.weight;
      if (!weight || (kind === 'other' && isScalar(value) && !weight.isScalar)) return [];
      const label = usual ?? ownerOf(calledName(weight))?.parameter ?? calledName(weight);
      return [{ input, value, weight, label }];
    });
    if (weights.length === 0) return [];
    // Weights of a node that is no layer have nothing to do with each other.
    const sets = node.op !== 'Linear' && kind === 'other' ? weights.map((w) => [w]) : [weights];
    return sets.map((set) => ({ node, kind, weights: set, module: '' }));
  });
}

/** The same tensor, or the same part of one. */
export const sameStored = (a: Weight, b: Weight): boolean =>
  a.name === b.name && a.part?.from === b.part?.from && a.part?.axis === b.part?.axis;

/** How many nodes of the file read a weight under one name. */
function countReaders(uses: readonly ModuleUse[]): (weight: Weight) => number {
  const readers = new Map<string, Set<OnnxNode | FoldedNode>>();
  for (const { node, weights } of uses) {
    for (const { weight } of weights) {
      const set = readers.get(calledName(weight)) ?? new Set();
      readers.set(calledName(weight), set.add(weight.reading?.node ?? node));
    }
  }
  return (weight) => readers.get(calledName(weight))?.size ?? 1;
}

interface Naming {
  readonly prefix: string;
  readonly readers: (weight: Weight) => number;
  readonly uses: readonly ModuleUse[];
  readonly config: Readonly<Record<string, unknown>>;
}

const isLayer = ({ node }: ModuleUse): boolean => node.op === 'Linear';

/** A parameter that no module owns, such as `cls` or `pos` at the top of a model. */
const isBare = ({ node, kind, weights }: ModuleUse): boolean => {
  const name = calledName(weights[0]!.weight);
  return kind === 'other' && node.op !== 'Linear' && ownerOf(name) === null && parameterName(name) !== null;
};

function nameOf(use: ModuleUse, naming: Naming): string {
  const { node, weights } = use;
  const { prefix, readers } = naming;
  const place = node.origin && placeOf(node.origin, prefix);
  const alone = weights.filter(({ weight }) => readers(weight) === 1);
  const owners = [...alone, ...weights].flatMap(({ weight }) => ownerOf(calledName(weight))?.module ?? []);
  const ofAlone = alone.length > 0 && ownerOf(calledName(alone[0]!.weight)) ? owners[0] : undefined;
  if (isLayer(use)) {
    if (typeof node.attrs.module === 'string') return node.attrs.module;
    const attention = packedAttention(use, place, naming);
    if (attention !== null) return `${attention}.in_proj`;
    // nn.MultiheadAttention computes with its child's parameters: the child is the layer.
    if (place !== null && ofAlone?.startsWith(`${place}.`)) return ofAlone;
    if (place ?? ofAlone) return (place ?? ofAlone)!;
    return isTable(use, naming) ? headName(naming.config) : (owners[0] ?? madeUpModule(weights[0]!.weight));
  }
  // A table, a norm or a bare parameter is best known by the name the file gives it, if that is its own.
  const own = ofAlone ?? ownName(use, owners, place, naming);
  // One number is nothing but its name, whoever reads it.
  if (use.kind === 'other' && isScalar(weights[0]!.value) && owners[0] !== undefined) return owners[0];
  if (isBare(use)) return unquantised(calledName(weights[0]!.weight));
  return own ?? place ?? owners[0] ?? madeUpModule(weights[0]!.weight);
}

/** The nn.MultiheadAttention whose query, key and value one product computes: its parameters' names tell, or its other projection's. */
function packedAttention({ weights }: ModuleUse, place: string | null, { uses }: Naming): string | null {
  for (const { weight } of weights) {
    const told = attentionOf(calledName(weight));
    if (told !== null) return told;
  }
  const [{ weight, value }] = weights as [WeightUse];
  const [a, b] = value.shape;
  if (place === null || parameterName(calledName(weight)) !== null || (a !== 3 * b! && b !== 3 * a!))
    return null;
  const sibling = `${place}.out_proj.`;
  const has = uses.some((u) => u.weights.some((w) => calledName(w.weight).startsWith(sibling)));
  return has ? place : null;
}

/** Whether the matrix of an unnamed layer is the table of an embedding, so that the tensor is named after that. */
const isTable = ({ weights }: ModuleUse, { uses }: Naming): boolean =>
  uses.some((u) => u.kind === 'embedding' && sameStored(u.weights[0]!.weight, weights[0]!.weight));

/** The owner of a shared tensor, where that is this reader: by its place, or because all readers are calls of one embedding. */
function ownName(
  use: ModuleUse,
  owners: readonly string[],
  place: string | null,
  { uses, prefix }: Naming,
): string | undefined {
  if (place === null) return owners[0];
  const own = owners.find((owner) => owner === place || owner.endsWith(`.${place}`));
  if (own !== undefined || use.kind !== 'embedding') return own;
  const sharing = uses.filter((u) => sameStored(u.weights[0]!.weight, use.weights[0]!.weight));
  const tables = sharing.filter((u) => u.kind === 'embedding');
  const owned = tables.some((u) => u.node.origin && placeOf(u.node.origin, prefix) === owners[0]);
  return owned ? undefined : owners[0];
}

/** torch.onnx numbers the places of a module that is called again: `attention/query`, `attention/query_1`, … */
function joinCalls(uses: readonly ModuleUse[]): void {
  const byName = new Map<string, ModuleUse[]>();
  for (const use of uses) byName.set(use.module, [...(byName.get(use.module) ?? []), use]);
  const isSame = (use: ModuleUse, first: ModuleUse): boolean =>
    use.kind === first.kind &&
    use.weights.every(({ weight, label }) =>
      first.weights.some(
        (w) => w.label === label && sameStored(w.weight, weight) && !renamed(w.weight, weight),
      ),
    );
  for (const use of uses) {
    const base = /^(.+)_\d+$/.exec(use.module)?.[1];
    const first = base === undefined ? undefined : byName.get(base)?.find((u) => isSame(use, u));
    if (first) use.module = first.module;
  }
}

/** Whether an exporter gave one tensor back under two names of parameters. */
const renamed = (a: Weight, b: Weight): boolean =>
  calledName(a) !== calledName(b) && ownerOf(calledName(a)) !== null && ownerOf(calledName(b)) !== null;

/** Every node with weights, by module. */
export function moduleUses(
  graph: FoldedGraph,
  prefix: string,
  config: Readonly<Record<string, unknown>>,
): readonly ModuleUse[] {
  const uses = usesOf(graph);
  const naming: Naming = {
    prefix,
    config,
    uses,
    readers: countReaders(uses),
  };
  for (const use of uses) use.module = nameOf(use, naming);
  joinCalls(uses);
  return uses;
}
