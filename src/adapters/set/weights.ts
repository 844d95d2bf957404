/**
 * Merging adapters into a model's weights and taking them out again, one after the other: each merge starts from the weights as the one before
 * left them, and unmerging undoes it by PEFT's arithmetic (subtraction, the transpose or the explicit inverse of a rotation), rounding included.
 */
import { createBuilder } from '../../graph/builder.ts';
import type { Graph, Value } from '../../graph/types.ts';
import { fail } from '../../lib/errors.ts';
import { binary } from '../../ops/elementwise.ts';
import { adaptGraph } from '../adaptGraph.ts';
import { emitTrainables } from '../inject.ts';
import { type BaseParameter, emitBase } from '../plan.ts';
import type { Layer } from '../types.ts';
import type { Member } from './forward.ts';
import { undoRotation } from './inverse.ts';
import type { WeightStep } from './state.ts';

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
          `NaNs detected in the merged weights. The adapter ${member.name} seems to be broken`,
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
