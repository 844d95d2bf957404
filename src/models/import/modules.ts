/**
 * The module tree of an imported model: every parameter as PyTorch has it, with the name it has there, the shape the engine keeps it in,
 * and every place of the file that reads it. A tensor that the file stores once may be several parameters; which of them are one and the
 * same in PyTorch is said by the ties.
 */
import { sizeOf } from '../../graph/shape.ts';
import { readersOf, type TensorReading } from '../../onnx/readers.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import type { FoldedGraph, FoldedNode, FoldedValue, Weight, WeightPart } from './folded.ts';
import { missingPrefix, parameterName, placeOf } from './names.ts';
import type { QuantSource } from './quant.ts';
import { tiesOf } from './ties.ts';
import {
  calledName,
  type ModuleKind,
  type ModuleUse,
  moduleUses,
  sameStored,
  type WeightUse,
} from './uses.ts';

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
  module(node: FoldedNode): string | undefined;
}

function sizes(kind: ModuleKind, shape: readonly number[]): { in: number; out: number } {
  if (kind === 'embedding') return { in: shape[0]!, out: shape[1]! };
  if (shape.length === 2 && kind !== 'other') return { in: shape[1]!, out: shape[0]! };
  return { in: sizeOf(shape), out: sizeOf(shape) };
}

/** Shape of a weight in the engine: matrices [out, in], kernels [out, in·kh·kw], the vectors of layers flat. */
export function engineShape(node: FoldedNode, v: FoldedValue, transposed: boolean): readonly number[] {
  if (node.op === 'LayerNorm' || node.op === 'RmsNorm') return [sizeOf(v.shape)];
  if (node.op !== 'Linear') return v.shape;
  if (v !== node.inputs[1]) return [sizeOf(v.shape)];
  if (v.shape.length > 2) return [v.shape[0]!, sizeOf(v.shape.slice(1))];
  return transposed ? [v.shape[1]!, v.shape[0]!] : v.shape;
}

export function isTransposed(node: FoldedNode, input: number): boolean {
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
          ...{
            module: name,
            kind,
            name: name === label ? label : `${name}.${label}`,
            shape,
            weight: w.weight,
          },
          ...{ transposed: isTransposed(node, w.input), uses: [use], readings: [] },
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

export function tabulate(graph: FoldedGraph, file: OnnxGraph, options: TableOptions = {}): ModuleTable {
  const { config = {}, fixed = new Set() } = options;
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
    modules: [...drafts.values()].map((draft) => moduleInfo(draft, byTensor)),
    ties: tiesOf([...byTensor.values()].flat(), config),
    parameter: (weight) => find(weight) ?? null,
    module: (node) => (node.inputs[1]?.weight ? find(node.inputs[1].weight)?.module : undefined),
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
  { parameters, ...draft }: Draft,
  byTensor: ReadonlyMap<string, readonly Parameter[]>,
): ModuleInfo {
  const origin = (label: string, p: Parameter): ParamOrigin => {
    const torch = torchName(p, label, byTensor);
    return { ...placed(p), ...(torch === null ? {} : { torch }) };
  };
  const placed = ({ weight, readings, transposed, shape, name }: Parameter): ParamOrigin => ({
    ...{ initializer: weight.name, readings, transposed, shape, value: name, tensor: weight.tensor },
    ...(weight.quant ? { quant: weight.quant } : {}),
    ...(weight.part ? { part: weight.part } : {}),
  });
  return {
    ...draft,
    parameters: Object.fromEntries([...parameters].map(([label, p]) => [label, origin(label, p)])),
  };
}

/** The same table with `prefix` before the names of all modules but those of `except`. */
export function prefixed(
  table: ModuleTable,
  { prefix, except }: { readonly prefix: string; readonly except: readonly string[] },
): ModuleTable {
  const isHead = (name: string): boolean => except.some((own) => name === own || name.startsWith(`${own}.`));
  const named = (name: string): string => (isHead(name) ? name : `${prefix}.${name}`);
  return {
    modules: table.modules.map((m) => ({
      ...m,
      name: named(m.name),
      parameters: Object.fromEntries(
        Object.entries(m.parameters).map(([label, p]) => [label, { ...p, value: named(p.value) }]),
      ),
    })),
    ties: table.ties.map((tie) => tie.map(named)),
    parameter(weight) {
      const own = table.parameter(weight);
      return own && { ...own, name: named(own.name) };
    },
    module(node) {
      const own = table.module(node);
      return own === undefined ? undefined : named(own);
    },
  };
}
