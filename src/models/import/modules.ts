/**
 * The module tree of an imported model: every weight of the folded graph gets the name PyTorch knows it by, the shape the engine
 * keeps it in, and the place in the file it came from.
 */
import { sizeOf } from '../../graph/shape.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../onnx/types.ts';
import type { FoldedGraph, FoldedNode, FoldedValue } from './folded.ts';
import { countUses } from './folded.ts';
import { missingPrefix, moduleOf, ownerOf, packedModule } from './names.ts';
import type { QuantSource } from './quant.ts';

type ModuleKind = 'linear' | 'conv1d' | 'embedding' | 'conv2d' | 'layernorm' | 'other';

/** Where a parameter lies in the file. */
export interface ParamOrigin {
  /** Name of the initialiser (or of the Constant node's output). */
  readonly initializer: string;
  /** Index of the node that reads it, in the main graph's list; -1 when only a subgraph's node does. */
  readonly node: number;
  readonly inputIndex: number;
  /** The file holds the transpose of the engine's matrix. */
  readonly transposed: boolean;
  /** Shape in the engine: weights [out, in], convolution kernels [out, in·kh·kw]. */
  readonly shape: readonly number[];
  /** Name of the engine's parameter; tied modules share one. */
  readonly value: string;
  /** As the file stores it. */
  readonly tensor: OnnxTensor;
  /** Set where the file stores codes. */
  readonly quant?: QuantSource;
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
}

/** Names by weight and orientation; the same for every build of a model. */
export interface ModuleTable {
  readonly modules: readonly ModuleInfo[];
  /** The engine's parameter for a weight that a node reads. */
  parameter(weight: FoldedValue, transposed: boolean): EngineParameter | null;
  /** The module of a layer node (Linear). */
  module(node: FoldedNode): string | undefined;
}

interface Draft {
  name: string;
  kind: ModuleKind;
  in: number;
  out: number;
  parameters: Record<string, ParamOrigin>;
}

const keyOf = (v: FoldedValue, transposed: boolean): string =>
  `${v.weight!.name}${transposed ? ' transposed' : ''}`;

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

interface Reading {
  readonly node: OnnxNode;
  readonly input: number;
}

/** The reading of a weight that leads to `origin`, straight or through a Transpose or Cast of the file; else the first. */
function readingOf(
  readings: readonly Reading[],
  origin: OnnxNode | null,
  producers: ReadonlyMap<string, OnnxNode>,
): Reading | undefined {
  let level = origin ? [origin] : [];
  for (let depth = 0; depth < 4 && level.length > 0; depth++) {
    const found = readings.find((r) => level.includes(r.node));
    if (found) return found;
    level = level.flatMap((n) =>
      n.inputs.flatMap((name) => {
        const from = producers.get(name);
        return from && /^(Transpose|Cast|Identity|Reshape)$/.test(from.opType) ? [from] : [];
      }),
    );
  }
  return readings[0];
}

export function tabulate(graph: FoldedGraph, file: OnnxGraph): ModuleTable {
  const drafts = new Map<string, Draft>();
  const names = new Map<string, EngineParameter>();
  const taken = new Set<string>();
  const moduleByOrigin = new Map<OnnxNode, string>();
  const readers = new Map<string, Reading[]>();
  const producers = new Map<string, OnnxNode>();
  for (const node of file.nodes) {
    for (const name of node.outputs) producers.set(name, node);
    node.inputs.forEach((name, input) => {
      const list = readers.get(name);
      if (list) list.push({ node, input });
      else readers.set(name, [{ node, input }]);
    });
  }
  const prefix = missingPrefix(file.nodes, new Set([...file.initializers.keys(), ...file.constants.keys()]));

  const uses = countUses(graph);

  for (const node of graph.nodes) {
    const { kind, inputs } = roles(node);
    const present = inputs.flatMap(([i, parameter]) => {
      const v = node.inputs[i];
      return v?.weight && v.shape.length > 0 && (sizeOf(v.shape) > 1 || kind !== 'other')
        ? [{ i, v, parameter }]
        : [];
    });
    if (present.length === 0) continue;
    const first = present[0]!.v.weight!;
    const module =
      kind === 'other'
        ? null
        : (packedModule(node, uses, prefix) ??
          moduleOf(node.origin, first, present[1]?.v.weight ?? null, prefix));
    if (module !== null && node.origin && kind !== 'embedding') moduleByOrigin.set(node.origin, module);
    for (const { i, v, parameter } of present) {
      const weight = v.weight!;
      const transposed = isTransposed(node, i);
      const own = ownerOf(weight.name);
      const name = module ?? own?.module ?? moduleOf(node.origin, weight, null, prefix);
      const shape = engineShape(node, v, transposed);
      // A table, a norm or a bare parameter is best known by the name the file gives it.
      const named = kind !== 'linear' && kind !== 'conv1d' && own && node.op !== 'Linear' ? own.module : name;
      const label = parameter ?? own?.parameter ?? weight.name;
      const key = keyOf(v, transposed);
      let value = names.get(key)?.name;
      if (value === undefined) {
        value = `${named}.${label}`;
        for (let n = 2; taken.has(value); n++) value = `${named}.${label}#${n}`;
        taken.add(value);
        names.set(key, { name: value, shape });
      }
      let draft = drafts.get(named);
      if (!draft) drafts.set(named, (draft = { name: named, kind, ...sizes(kind, shape), parameters: {} }));
      const reading = readers.get(weight.name) ?? [];
      const at = readingOf(reading, node.origin, producers);
      draft.parameters[label] ??= {
        initializer: weight.name,
        node: at?.node.index ?? -1,
        inputIndex: at?.input ?? -1,
        transposed,
        shape,
        value,
        tensor: weight.tensor,
        ...(weight.quant ? { quant: weight.quant } : {}),
      };
    }
  }
  return {
    modules: [...drafts.values()],
    parameter: (v, transposed) => names.get(keyOf(v, transposed)) ?? null,
    module: (node) => (node.origin ? moduleByOrigin.get(node.origin) : undefined),
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
    parameter(v, transposed) {
      const own = table.parameter(v, transposed);
      return own && { ...own, name: named(own.name) };
    },
    module(node) {
      const own = table.module(node);
      return own === undefined ? undefined : named(own);
    },
  };
}
