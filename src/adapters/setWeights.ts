/**
 * Merging adapters into a model's weights and taking them out again, one after the other: each merge starts from the weights as the one before
 * left them, and unmerging undoes it by PEFT's arithmetic (subtraction, the transpose or the explicit inverse of a rotation), rounding included.
 */
import { type Builder, createBuilder } from '../graph/builder.ts';
import type { Graph, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { binary } from '../ops/elementwise.ts';
import { linear } from '../ops/linear.ts';
import type { WeightStep } from './adapterSet.ts';
import { adaptGraph, emitTrainables, type Trainables } from './inject.ts';
import { type AdapterPlan, type BaseParameter, emitBase } from './plan.ts';
import type { Factor, Layer, LayerAdapter, Weights } from './types.ts';

/** Runs a graph and reads its outputs. */
export type RunOnce = (graph: Graph) => Promise<Readonly<Record<string, Float32Array>>>;

export interface WeightState {
  /** Every parameter of the model by PyTorch name, with what is merged so far. */
  readonly parameters: ReadonlyMap<string, BaseParameter>;
  /** Names of parameters that differ from the model's own. */
  readonly touched: ReadonlySet<string>;
  /** What unmerging needs, by adapter and module. */
  readonly kept: ReadonlyMap<string, ReadonlyMap<string, Float32Array>>;
}

export function startWeights(parameters: ReadonlyMap<string, BaseParameter>): WeightState {
  return { parameters, touched: new Set(), kept: new Map() };
}

/**
 * Carries out what a command of the set asks for.
 *
 * @param members the set's adapters by name
 * @throws PapilioError 'non-finite' if a safe merge would give weights that are no numbers; the state given stays valid.
 */
export async function doSteps(
  state: WeightState,
  steps: readonly WeightStep[],
  members: ReadonlyMap<string, Member>,
  once: RunOnce,
): Promise<WeightState> {
  let weights = state;
  for (const step of steps) {
    const member = members.get(step.name) ?? fail('internal', `There is no adapter ${step.name}.`);
    weights =
      step.kind === 'merge'
        ? await mergeMember(weights, member, once, step.safe)
        : await unmergeMember(weights, member, once);
  }
  return weights;
}

const layersOf = ({ plan }: Member): readonly Layer[] => plan.groups.flatMap((group) => group.layers);

async function mergeMember(
  state: WeightState,
  member: Member,
  once: RunOnce,
  safe: boolean,
): Promise<WeightState> {
  const changes = new Map<string, Float32Array>();
  const kept = new Map<string, Float32Array>();
  for (const layer of layersOf(member)) {
    const keeping = keepGraph(state, member, layer);
    if (keeping) kept.set(layer.name, (await once(keeping)).kept!);
    const graph = adaptGraph(member.plan, state.parameters, () => member.packed, [layer.name]);
    const outputs = await once(graph);
    for (const [name, data] of Object.entries(outputs)) {
      if (safe && data.some((value) => !Number.isFinite(value))) {
        fail(
          'non-finite',
          say`NaNs detected in the merged weights. The adapter ${member.name} seems to be broken`,
          { name },
        );
      }
      changes.set(name, data);
    }
  }
  return { ...changed(state, changes), kept: new Map([...state.kept, [member.name, kept]]) };
}

async function unmergeMember(state: WeightState, member: Member, once: RunOnce): Promise<WeightState> {
  const changes = new Map<string, Float32Array>();
  for (const layer of layersOf(member)) {
    const graph = undoGraph(state, member, layer);
    if (!graph) continue;
    const { rotation, ...outputs } = await once(graph);
    for (const [name, data] of Object.entries(outputs)) changes.set(name, data);
    if (!rotation) continue;
    const [factor] = member.plan.method.pattern(layer, member.plan.config).factors;
    if (factor?.kind !== 'blocks') fail('internal', `${member.plan.method.title} cannot be unmerged.`);
    const name = `${layer.name}.weight`;
    const weight = parameterOf(state, name).load();
    changes.set(name, undoRotation(weight, rotation, factor, layer.kind === 'embedding'));
  }
  return {
    ...changed(state, changes),
    kept: new Map([...state.kept].filter(([name]) => name !== member.name)),
  };
}

function changed(state: WeightState, changes: ReadonlyMap<string, Float32Array>): WeightState {
  const parameters = new Map(state.parameters);
  for (const [name, data] of changes) {
    const { shape } = parameterOf(state, name);
    parameters.set(name, { name, shape, load: () => data });
  }
  return { ...state, parameters, touched: new Set([...state.touched, ...changes.keys()]) };
}

function parameterOf(state: WeightState, name: string): BaseParameter {
  return state.parameters.get(name) ?? fail('internal', `Parameter ${name} is missing.`);
}

/** A layer's adapter and weights on a graph of their own. */
function openLayer(state: WeightState, member: Member, layer: Layer) {
  const g = createBuilder();
  const { adapters } = emitTrainables(g, member.plan, { training: false, initial: () => member.packed });
  const parameter = (name: string): Value | null => {
    const found = state.parameters.get(name);
    return found ? emitBase(g, found) : null;
  };
  const W = parameter(`${layer.name}.weight`) ?? fail('internal', `The weight of ${layer.name} is missing.`);
  return { g, adapter: adapters.get(layer.name)!, weights: { W, bias: parameter(`${layer.name}.bias`) } };
}

function keepGraph(state: WeightState, member: Member, layer: Layer): Graph | null {
  const { g, adapter, weights } = openLayer(state, member, layer);
  return adapter.keep ? g.finish({ kept: adapter.keep(weights) }) : null;
}

/** Null for an adapter without numbers, which changes nothing. */
function undoGraph(state: WeightState, member: Member, layer: Layer): Graph | null {
  const { g, adapter, weights } = openLayer(state, member, layer);
  const outputs: Record<string, Value> = {};
  if (adapter.undo) {
    const kept = state.kept.get(member.name)?.get(layer.name);
    const rows = weights.W.shape[0]!;
    const before = adapter.undo(
      weights,
      kept ? g.constant({ dtype: 'f32', shape: [rows, kept.length / rows] }, kept) : null,
    );
    outputs[`${layer.name}.weight`] = before.W;
    if (before.bias && before.bias !== weights.bias) outputs[`${layer.name}.bias`] = before.bias;
  } else if (adapter.update) {
    outputs[`${layer.name}.weight`] = binary(g, weights.W, adapter.update(), { fn: 'sub' });
  } else if (adapter.rotate) {
    const size = layer.kind === 'embedding' ? layer.out : layer.in;
    const eye = new Float32Array(size * size);
    for (let i = 0; i < size; i++) eye[i * size + i] = 1;
    outputs.rotation = adapter.rotate(g.constant({ dtype: 'f32', shape: [size, size] }, eye));
  } else return null;
  return g.finish(outputs);
}

// The forward pass of a model with several adapters: every layer goes through the active ones, in PEFT's order.

/** An adapter of the set with its numbers. */
export interface Member {
  readonly name: string;
  readonly plan: AdapterPlan;
  /** The plan's packed buffer. */
  readonly packed: Float32Array;
}

/**
 * Emits the members' tensors into `g`; what it returns goes to `inject`.
 *
 * @param members the active adapters, in order
 * @param owner whose copy of a base parameter is used; null leaves the base's own
 * @param base the frozen model
 */
export function emitActive(
  g: Builder,
  members: readonly Member[],
  owner: (parameter: string) => string | null,
  base?: Graph,
): Pick<Trainables, 'adapters' | 'saved'> {
  const parts = new Map<string, LayerAdapter[]>();
  const saved = new Map<string, Value>();
  for (const { name, plan, packed } of members) {
    const emitted = emitTrainables(g, plan, {
      training: false,
      initial: () => packed,
      as: `adapter.${name}`,
      ...(base && { base }),
    });
    const reversed = plan.graph.forwardReversed === true;
    for (const [module, adapter] of emitted.adapters) {
      const before = parts.get(module) ?? [];
      parts.set(module, reversed ? [adapter, ...before] : [...before, adapter]);
    }
    for (const [parameter, value] of emitted.saved)
      if (owner(parameter) === name) saved.set(parameter, value);
  }
  return {
    adapters: new Map([...parts].map(([module, list]) => [module, inSequence(g, list)])),
    saved,
  };
}

/** Adapters one after the other on the weights; the last takes its cheaper route, if it has one. */
function inSequence(g: Builder, parts: readonly LayerAdapter[]): LayerAdapter {
  const last = parts.at(-1)!;
  if (parts.length === 1) return last;
  const all = (list: readonly LayerAdapter[], weights: Weights): Weights =>
    list.reduce((before, part) => part.adapt(before, weights.W), weights);
  return {
    adapt: (weights) => all(parts, weights),
    apply: (x, weights) => {
      const before = all(parts.slice(0, -1), weights);
      if (last.apply) return last.apply(x, before, weights.W);
      const { W, bias } = last.adapt(before, weights.W);
      return linear(g, x, W, bias);
    },
  };
}

// Undoing a rotation by the explicit inverse of its blocks, in double precision: a truncated series is no rotation, so its transpose would not do.

/**
 * The inverse of a square matrix [n, n], by Gauss-Jordan elimination with row pivots.
 *
 * @throws PapilioError 'non-finite' if there is none.
 */
export function inverseOf(matrix: ArrayLike<number>, n: number): Float64Array {
  const a = Float64Array.from(matrix);
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) inverse[i * n + i] = 1;
  const swap = (m: Float64Array, r: number, s: number) => {
    const row = m.slice(r * n, (r + 1) * n);
    m.copyWithin(r * n, s * n, (s + 1) * n);
    m.set(row, s * n);
  };
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(a[r * n + column]!) > Math.abs(a[pivot * n + column]!)) pivot = r;
    }
    const head = a[pivot * n + column]!;
    if (head === 0 || !Number.isFinite(head)) {
      fail(
        'non-finite',
        say`A rotation of the adapter has no inverse, so it cannot be unmerged; load the base model again.`,
      );
    }
    if (pivot !== column) {
      swap(a, column, pivot);
      swap(inverse, column, pivot);
    }
    for (let c = 0; c < n; c++) {
      a[column * n + c]! /= head;
      inverse[column * n + c]! /= head;
    }
    for (let r = 0; r < n; r++) {
      const factor = a[r * n + column]!;
      if (r === column || factor === 0) continue;
      for (let c = 0; c < n; c++) {
        a[r * n + c]! -= factor * a[column * n + c]!;
        inverse[r * n + c]! -= factor * inverse[column * n + c]!;
      }
    }
  }
  return inverse;
}

/**
 * The weight before it was merged: W' = W Mᵀ gives W = W' M⁻ᵀ, an embedding E' = E M gives E = E' M⁻¹.
 *
 * @param weight [rows, d]
 * @param rotation M [d, d], zero outside of the factor's blocks
 */
function undoRotation(
  weight: Float32Array,
  rotation: Float32Array,
  factor: Extract<Factor, { kind: 'blocks' }>,
  isEmbedding: boolean,
): Float32Array {
  const { size: d, block: b, group } = factor;
  const members = new Map<number, number[]>();
  for (let i = 0; i < d; i++) members.set(group[i]!, [...(members.get(group[i]!) ?? []), i]);
  const out = new Float32Array(weight.length);
  for (const places of members.values()) {
    const blockOf = Float64Array.from(
      { length: b * b },
      (_, k) => rotation[places[Math.floor(k / b)]! * d + places[k % b]!]!,
    );
    const inverse = inverseOf(blockOf, b);
    for (let row = 0; row < weight.length; row += d) {
      for (let j = 0; j < b; j++) {
        let sum = 0;
        for (let i = 0; i < b; i++) {
          sum += weight[row + places[i]!]! * (isEmbedding ? inverse[i * b + j]! : inverse[j * b + i]!);
        }
        out[row + places[j]!] = sum;
      }
    }
  }
  return out;
}
