/**
 * The module tree of an imported model: every parameter as PyTorch has it, with the name it has there, the shape the engine keeps it in,
 * and every place of the file that reads it. A tensor that the file stores once may be several parameters; which of them are one and the
 * same in PyTorch is said by the ties.
 */
import { sizeOf } from '../../graph/shape.ts';
import { readersOf, type TensorReading } from '../../onnx/readers.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import type { IrGraph, IrNode, IrValue, Weight, WeightPart } from './ir.ts';
import {
  attentionOf,
  headName,
  madeUpModule,
  missingPrefix,
  ownerOf,
  parameterName,
  placeOf,
  unquantised,
} from './names.ts';
import type { QuantSource } from './quantMatrix.ts';

/** Where a parameter lies in the file. */
export interface ParamOrigin {
  /** Name of the initialiser (or of the Constant node's output). */
  readonly initializer: string;
  /** Every place that reads it as this parameter, in subgraphs too. */
  readonly readings: readonly TensorReading[];
  /** The file holds the transpose of the engine's matrix. */
  readonly transposed: boolean;
  /** Shape in the engine: weights [out, in], convolution kernels [out, in·kh·kw]. */
  readonly shape: readonly number[];
  /** Name of the engine's parameter. */
  readonly value: string;
  /** PyTorch's name of it, where that is not the module's and the parameter's: `attn.in_proj_weight`, `cls.predictions.bias`. */
  readonly torch?: string;
  /** As the file stores it. */
  readonly tensor: OnnxTensor;
  /** Set where the file stores codes. */
  readonly quant?: QuantSource;
  /** Set where it is only some of the tensor's output features. */
  readonly part?: WeightPart;
}

export interface ModuleInfo {
  /** PyTorch module path. */
  readonly name: string;
  readonly kind: ModuleKind;
  /** in_features; for an embedding the rows, for a convolution channels·kh·kw, else the length. */
  readonly in: number;
  readonly out: number;
  /** By PyTorch's parameter name: weight, bias, or what the module calls it (cls_token, lambda1). */
  readonly parameters: Readonly<Record<string, ParamOrigin>>;
}

interface EngineParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly transposed: boolean;
}

/** Names of parameters that are one in PyTorch: what owns it (the embedding), then what uses it again (the head). */
export type Tie = readonly string[];

/** The same for every build of a model. */
export interface ModuleTable {
  readonly modules: readonly ModuleInfo[];
  readonly ties: readonly Tie[];
  /** The engine's parameter for a weight as one node reads it. */
  parameter(weight: Weight): EngineParameter | null;
  /** The module of a layer node (Linear). */
  module(node: IrNode): string | undefined;
}

function sizes(kind: ModuleKind, shape: readonly number[]): { in: number; out: number } {
  if (kind === 'embedding') return { in: shape[0]!, out: shape[1]! };
  if (shape.length === 2 && kind !== 'other') return { in: shape[1]!, out: shape[0]! };
  return { in: sizeOf(shape), out: sizeOf(shape) };
}

/** Shape of a weight in the engine: matrices [out, in], kernels [out, in·kh·kw], the vectors of layers flat. */
export function engineShape(node: IrNode, v: IrValue, transposed: boolean): readonly number[] {
  if (node.op === 'LayerNorm' || node.op === 'RmsNorm') return [sizeOf(v.shape)];
  if (node.op !== 'Linear') return v.shape;
  if (v !== node.inputs[1]) return [sizeOf(v.shape)];
  if (v.shape.length > 2) return [v.shape[0]!, sizeOf(v.shape.slice(1))];
  return transposed ? [v.shape[1]!, v.shape[0]!] : v.shape;
}

export function isTransposed(node: IrNode, input: number): boolean {
  return node.op === 'Linear' && input === 1 && node.attrs.stored === 'in-out';
}

interface Parameter {
  readonly module: string;
  readonly kind: ModuleKind;
  readonly name: string;
  readonly shape: readonly number[];
  readonly transposed: boolean;
  readonly weight: Weight;
  /** The folded nodes that read it. */
  readonly uses: ModuleUse[];
  readonly readings: TensorReading[];
}

interface Draft {
  readonly name: string;
  kind: ModuleKind;
  in: number;
  out: number;
  readonly parameters: Map<string, Parameter>;
}

const isParameterOf = (p: Parameter, weight: Weight, shape: readonly number[]): boolean =>
  sameStored(p.weight, weight) && p.shape.join() === shape.join();

/** The first of name, name#2, … that is free. */
function free(name: string, isTaken: (name: string) => boolean): string {
  let found = name;
  for (let n = 2; isTaken(found); n++) found = `${name}#${n}`;
  return found;
}

/** Puts the nodes into modules; what comes under a name that other weights have already gets one of its own. */
function draftModules(uses: readonly ModuleUse[]): Map<string, Draft> {
  const drafts = new Map<string, Draft>();
  for (const use of uses) {
    const { node, kind, weights } = use;
    const shapeOf = ({ value, input }: WeightUse): readonly number[] =>
      engineShape(node, value, isTransposed(node, input));
    const isAnother = (name: string): boolean => {
      const draft = drafts.get(name);
      if (!draft || kind === 'other') return false;
      if (draft.kind !== 'other' && draft.kind !== kind) return true;
      return weights.some((w) => {
        const known = draft.parameters.get(w.label);
        return known !== undefined && !isParameterOf(known, w.weight, shapeOf(w));
      });
    };
    const name = free(use.module, isAnother);
    use.module = name;
    const draft: Draft = drafts.get(name) ?? { name, kind, in: 0, out: 0, parameters: new Map() };
    drafts.set(name, draft);
    if (draft.parameters.size === 0 || (draft.kind === 'other' && kind !== 'other'))
      Object.assign(draft, { kind, ...sizes(kind, shapeOf(weights[0]!)) });
    for (const w of weights) {
      const shape = shapeOf(w);
      const label = free(w.label, (l) => {
        const known = draft.parameters.get(l);
        return known !== undefined && !isParameterOf(known, w.weight, shape);
      });
      const known = draft.parameters.get(label);
      if (known) known.uses.push(use);
      else {
        draft.parameters.set(label, {
          // A parameter at the top of the model has no module's name before its own.
          ...{ module: name, kind, name: name === label ? label : `${name}.${label}`, shape },
          ...{ weight: w.weight, transposed: isTransposed(node, w.input), uses: [use], readings: [] },
        });
      }
    }
  }
  return drafts;
}

/** What a file says of its weights, beside the graph that was looked at. */
export interface TableOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  /** Nodes whose results are constants. */
  readonly fixed?: ReadonlySet<OnnxNode>;
  /** Another name for a module or parameter than the file's. */
  readonly named?: (name: string) => string;
}

/** The places of the file behind a weight as a node of the folded graph reads it. */
const placesOf = ({ reading }: Weight, of: readonly TensorReading[]): readonly TensorReading[] =>
  reading === null
    ? of
    : of.filter(
        ({ node, input, through }) =>
          (node === reading.node && input === reading.input) || through.includes(reading.node),
      );

/** Whose a place is that the graph did not come by: the other branch of an If, what only feeds a cache. */
function ownersOf(
  { node }: TensorReading,
  parameters: readonly Parameter[],
  prefix: string,
): readonly Parameter[] {
  if (parameters.length === 1 || parameters.every((p) => p.weight.part)) return parameters;
  const place = placeOf(node, prefix);
  const called = place?.replace(/_\d+$/, '');
  const by = (test: (p: Parameter) => boolean): Parameter | undefined => parameters.find(test);
  const isLike = (p: Parameter, test: (r: TensorReading) => boolean): boolean => p.readings.some(test);
  const owner =
    by((p) => p.module === place) ??
    by((p) => isLike(p, (r) => node.name !== '' && r.node.name === node.name)) ??
    by((p) => p.module === called) ??
    by((p) => isLike(p, (r) => r.node.opType === node.opType)) ??
    parameters[0]!;
  return [owner];
}

export function tabulate(graph: IrGraph, file: OnnxGraph, options: TableOptions = {}): ModuleTable {
  const { config = {}, fixed = new Set(), named = (name: string) => name } = options;
  const readers = readersOf(file);
  const prefix = missingPrefix(file.nodes, new Set([...file.initializers.keys(), ...file.constants.keys()]));
  const drafts = draftModules(moduleUses(graph, prefix, config));
  const byTensor = new Map<string, Parameter[]>();
  for (const { parameters } of drafts.values())
    for (const p of parameters.values())
      byTensor.set(p.weight.name, [...(byTensor.get(p.weight.name) ?? []), p]);

  for (const [tensor, parameters] of byTensor) {
    const places = readers.of.get(tensor) ?? [];
    const claimed = new Set<TensorReading>();
    for (const p of parameters) {
      const read = p.uses
        .flatMap(({ weights }) => weights)
        .filter(({ weight }) => sameStored(weight, p.weight));
      const own = new Set(read.flatMap(({ weight }) => placesOf(weight, places)));
      for (const place of own) claimed.add(place);
      p.readings.push(...own);
    }
    for (const place of places) {
      if (claimed.has(place) || fixed.has(place.node)) continue;
      for (const owner of ownersOf(place, parameters, prefix)) owner.readings.push(place);
    }
  }

  const find = (weight: Weight): Parameter | undefined => {
    const places = placesOf(weight, readers.of.get(weight.name) ?? []);
    return byTensor
      .get(weight.name)
      ?.find((p) => sameStored(p.weight, weight) && places.some((place) => p.readings.includes(place)));
  };
  return {
    modules: [...drafts.values()].map((draft) => moduleInfo(draft, byTensor, named)),
    ties: tiesOf([...byTensor.values()].flat(), config).map((tie) => tie.map(named)),
    parameter(weight) {
      const own = find(weight);
      return own ? { ...own, name: named(own.name) } : null;
    },
    module(node) {
      const own = node.inputs[1]?.weight && find(node.inputs[1].weight);
      return own ? named(own.module) : undefined;
    },
  };
}

/** PyTorch's name of a parameter, where it is another than that of its place in the modules. */
function torchName(
  p: Parameter,
  label: string,
  byTensor: ReadonlyMap<string, readonly Parameter[]>,
): string | null {
  const own = parameterName(calledName(p.weight));
  const attention = /^(.+)\.in_proj$/.exec(p.module)?.[1];
  if (attention !== undefined && own !== `${p.module}.${label}`) return `${attention}.in_proj_${label}`;
  // The name of a tensor that is several parameters says little of any one of them.
  return own !== null && own !== p.name && byTensor.get(p.weight.name)?.length === 1 ? own : null;
}

function moduleInfo(
  { parameters, name, ...draft }: Draft,
  byTensor: ReadonlyMap<string, readonly Parameter[]>,
  named: (name: string) => string,
): ModuleInfo {
  const origin = (label: string, p: Parameter): ParamOrigin => {
    const { weight, readings, transposed, shape } = p;
    const torch = torchName(p, label, byTensor);
    return {
      ...{
        initializer: weight.name,
        readings,
        transposed,
        shape,
        value: named(p.name),
        tensor: weight.tensor,
      },
      ...(weight.quant ? { quant: weight.quant } : {}),
      ...(weight.part ? { part: weight.part } : {}),
      ...(torch === null ? {} : { torch }),
    };
  };
  const origins = [...parameters].map(([label, p]) => [label, origin(label, p)] as const);
  return { name: named(name), ...draft, parameters: Object.fromEntries(origins) };
}

// Which module each node with weights belongs to. A tensor that several nodes read says little of any one of them: there the node's own
// place in the file counts, and a tensor that nobody else reads.

export type ModuleKind = 'linear' | 'conv1d' | 'embedding' | 'conv2d' | 'layernorm' | 'other';

export interface WeightUse {
  readonly input: number;
  readonly value: IrValue;
  readonly weight: Weight;
  /** PyTorch's name of the parameter. */
  readonly label: string;
}

/** A node that reads weights as one module. */
export interface ModuleUse {
  readonly node: IrNode;
  readonly kind: ModuleKind;
  readonly weights: readonly WeightUse[];
  module: string;
}

const WEIGHT_AND_BIAS = [
  [1, 'weight'],
  [2, 'bias'],
] as const;

/** Weight inputs of a node with the parameter's usual name; null name: the tensor's own. */
function roles({ op, attrs, inputs }: IrNode): {
  readonly kind: ModuleKind;
  readonly inputs: readonly (readonly [number, string | null])[];
} {
  if (op === 'Linear') return { kind: attrs.kind as ModuleKind, inputs: WEIGHT_AND_BIAS };
  if (op === 'Gather') return { kind: 'embedding', inputs: [[0, 'weight']] };
  if (op === 'LayerNorm' || op === 'RmsNorm') return { kind: 'layernorm', inputs: WEIGHT_AND_BIAS };
  return { kind: 'other', inputs: inputs.map((_, i) => [i, null]) };
}

/** The name by which the file's nodes know a weight: an Identity of an exporter gives one back that was stored once for several. */
const calledName = (weight: Weight): string => weight.called ?? weight.name;

const isScalar = ({ shape }: IrValue): boolean => sizeOf(shape) <= 1;

function usesOf(graph: IrGraph): ModuleUse[] {
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
const sameStored = (a: Weight, b: Weight): boolean =>
  a.name === b.name && a.part?.from === b.part?.from && a.part?.axis === b.part?.axis;

/** How many nodes of the file read a weight under one name. */
function countReaders(uses: readonly ModuleUse[]): (weight: Weight) => number {
  const readers = new Map<string, Set<OnnxNode | IrNode>>();
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
    const attention = attentionOf(calledName(weight));
    if (attention !== null) return attention;
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
function moduleUses(
  graph: IrGraph,
  prefix: string,
  config: Readonly<Record<string, unknown>>,
): readonly ModuleUse[] {
  const uses = usesOf(graph);
  const naming: Naming = { prefix, config, uses, readers: countReaders(uses) };
  for (const use of uses) use.module = nameOf(use, naming);
  joinCalls(uses);
  return uses;
}

// Which parameters that the file stores once are one in PyTorch. Equal bytes alone say nothing: exporters and tools write equal biases,
// norms and matrices once. One and the same are the table of word embeddings and the head that scores words with it, and the tables by
// which an encoder and a decoder look up the same words.

/** What leaves token ids what they are. */
const KEEPS_IDS = new Set([
  'Cast',
  'Reshape',
  'Clip',
  'Where',
  'Slice',
  'Concat',
  'Transpose',
  'Gather',
  'Mul',
  'Max',
]);

/** Whether a table is looked up by the tokens that the model is fed, not by positions or segments. */
function readsTokens({ node }: { readonly node: IrNode }): boolean {
  const seen = new Set<IrValue>();
  const level = [node.inputs[1]];
  for (let v = level.pop(); v !== undefined; v = level.pop()) {
    if (v === null || seen.has(v)) continue;
    seen.add(v);
    if (v.input && !/position|token_type|segment|mask/.test(v.name)) return true;
    if (v.producer && KEEPS_IDS.has(v.producer.op)) level.push(...v.producer.inputs);
  }
  return false;
}

/**
 * @param config config.json: `tie_word_embeddings: false` says that a head is none
 * @returns names of parameters; the first of each owns the tensor
 */
function tiesOf(candidates: readonly Parameter[], config: Readonly<Record<string, unknown>>): readonly Tie[] {
  const ties: Tie[] = [];
  const done = new Set<Parameter>();
  for (const table of candidates) {
    if (table.kind !== 'embedding' || done.has(table) || !table.uses.some(readsTokens)) continue;
    const alike = candidates.filter(
      (p) => p !== table && sameStored(p.weight, table.weight) && p.shape.join() === table.shape.join(),
    );
    const tables = alike.filter((p) => p.kind === 'embedding' && p.uses.some(readsTokens));
    const heads =
      config.tie_word_embeddings === false
        ? []
        : alike.filter((p) => (p.kind === 'linear' || p.kind === 'conv1d') && p.name.endsWith('.weight'));
    if (tables.length + heads.length === 0) continue;
    const tie = [table, ...tables, ...heads];
    for (const p of tie) done.add(p);
    ties.push(tie.map(({ name }) => name));
  }
  return ties;
}
