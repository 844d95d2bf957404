/**
 * Rewrites a frozen model's graph so that the planned modules run through their adapters and saved parameters come from the packed
 * trainable buffer. The same function serves training, evaluation and merging.
 */
import { type Builder, createBuilder } from '../graph/builder.ts';
import { rewrite } from '../graph/rewrite.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Graph, Node, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { type AttentionAttrs, attention } from '../ops/attention.ts';
import { storedParameter } from '../ops/fuse/stored.ts';
import { linear } from '../ops/linear.ts';
import { gather } from '../ops/lookups.ts';
import { split } from '../ops/moves.ts';
import { projectRows } from '../ops/projectRows.ts';
import type { CommonConfig } from './fields.ts';
import { type AdapterPlan, type BaseParameter, emitBase } from './plan.ts';
import { partsOf, type Siblings, trainedTogether } from './siblings.ts';
import { siblingResults } from './together.ts';
import type { AdapterScope, LayerAdapter, LayerGroup, StepFill, TrainableEntry, Weights } from './types.ts';

/** An input that the trainer draws before every step. */
export interface StepInput {
  readonly name: string;
  readonly type: TensorType;
  readonly fill: StepFill;
}

export interface Trainables {
  /** The packed buffer. */
  readonly packed: Value;
  /** Its tensors and where they begin, in the order of `plan.entries`, but as one where siblings' lie one after the other. */
  readonly leaves: readonly Value[];
  readonly offsets: readonly number[];
  readonly adapters: ReadonlyMap<string, LayerAdapter>;
  readonly saved: ReadonlyMap<string, Value>;
  /** The method's own term of the loss [1], while training. */
  readonly penalty: Value | null;
  readonly stepInputs: readonly StepInput[];
}

/** Name of the i32 [4] input whose first word seeds what the GPU draws in a step. */
export const STEP_SEED = 'stepSeed';
/** Name of the packed buffer in the program family. */
export const TRAINABLE = 'trainable';

/** The input of every linear layer that runs once, by module. */
function readsOf(base: Graph): Map<string, Value> {
  const reads = new Map<string, Value>();
  const again = new Set<string>();
  for (const { op, module, inputs } of base.nodes) {
    if (op.name !== 'linear' || module === undefined) continue;
    if (reads.has(module)) again.add(module);
    reads.set(module, inputs[0]!);
  }
  for (const module of again) reads.delete(module);
  return reads;
}

export interface TrainableOptions {
  readonly training: boolean;
  /** First contents of the packed buffer. */
  readonly initial: () => Float32Array;
  /** The frozen model that the adapters are for: layers that read one value then share the work on it. */
  readonly base?: Graph;
  /** Layers of it that are computed as one; whoever injects the adapters does the same. */
  readonly siblings?: readonly Siblings[];
  /** Name of the packed buffer where several adapters share a graph; default {@link TRAINABLE}. */
  readonly as?: string;
}

/** Emits the trainable tensors and every group's shared work. */
export function emitTrainables(g: Builder, plan: AdapterPlan, options: TrainableOptions): Trainables {
  const packed = g.state(options.as ?? TRAINABLE, { dtype: 'f32', shape: [plan.size] }, options.initial);
  for (const group of plan.groups) {
    for (const tensor of group.tensors) {
      const limit = plan.graph.rowLimit?.(plan.config, tensor.spec);
      if (limit !== undefined && limit !== null) {
        const columns = tensor.spec.shape.at(-1)!;
        const rows = sizeOf(tensor.shape) / columns;
        projectRows(g, packed, { offset: tensor.offset, rows, columns, limit });
      }
    }
  }
  const { leaves, offsets, leafOf, joined } = leavesOf(g, packed, plan, options.siblings ?? []);

  const stepInputs: StepInput[] = [];
  const scope: AdapterScope = {
    g,
    training: options.training,
    reads: options.base ? readsOf(options.base) : new Map(),
    siblings: options.siblings?.map(({ modules }) => modules) ?? [],
    stepInput(name, type, fill) {
      stepInputs.push({ name, type, fill });
      return g.input(name, type);
    },
    shared(name) {
      const tensor = plan.shared.find((s) => s.name === name);
      if (!tensor) return fail('internal', `${plan.method.title} has no shared tensor ${name}.`);
      const unique = options.as === undefined ? `base_model.${name}` : `${options.as}.${name}`;
      return g.parameter(unique, { dtype: 'f32', shape: tensor.shape }, tensor.load);
    },
    stepSeed: () => g.input(STEP_SEED, { dtype: 'i32', shape: [4] }),
  };
  const groups = plan.groups.map(({ id, layers, tensors }): LayerGroup<CommonConfig> => {
    const params = Object.fromEntries(tensors.map((t) => [t.spec.name, leafOf.get(t)!]));
    return { id, layers, config: plan.config, params };
  });
  const adapters = new Map<string, LayerAdapter>();
  for (const group of groups) {
    const opened = plan.graph.open(scope, group);
    group.layers.forEach((layer, i) => {
      adapters.set(layer.name, opened[i]!);
    });
  }
  const penalty = (options.training && plan.graph.penalty?.(scope, groups)) || null;
  const saved = new Map(
    plan.saved.flatMap((e) => [e.name, ...(e.also ?? [])].map((name) => [name, leafOf.get(e)!] as const)),
  );
  for (const [name, leaf] of joined) saved.set(name, leaf);
  return { packed, leaves, offsets, adapters, saved, penalty, stepInputs };
}

/** The trainable tensors as parts of the packed buffer; `joined`: what trains together, by the name of what it stands for. */
function leavesOf(g: Builder, packed: Value, { entries, saved }: AdapterPlan, siblings: readonly Siblings[]) {
  const together = trainedTogether(saved, siblings);
  const inOne = new Set(
    [...together.values()].flatMap(({ parts }) => parts.slice(1).map(({ name }) => name)),
  );
  const parts = entries.flatMap((entry) => {
    if (inOne.has(entry.name)) return [];
    const whole = together.get(entry.name);
    return [{ entry, whole, offset: entry.offset, shape: whole?.shape ?? entry.shape }];
  });
  const leaves = split(g, packed, parts);
  const leafOf = new Map<TrainableEntry, Value>();
  const joined = new Map<string, Value>();
  parts.forEach(({ entry, whole }, i) => {
    const leaf = leaves[i]!;
    if (!whole) leafOf.set(entry, leaf);
    else {
      joined.set(whole.name, leaf);
      const at = entries.indexOf(entry);
      partsOf(g, whole, leaf).forEach((part, k) => {
        leafOf.set(entries[at + k]!, part);
      });
    }
  });
  return { leaves, offsets: parts.map(({ offset }) => offset), leafOf, joined };
}

/** A layer carries its module; an embedding is known by its table. */
function moduleOf(node: Node): string | undefined {
  if (node.op.name === 'gather')
    return (storedParameter(node.inputs[0]!) ?? node.inputs[0]!).name.replace(/\.weight$/, '');
  return node.module;
}

/**
 * Copies `base` into `g` with the adapters in place.
 * @param siblings layers of `base` that are computed as one, from one parameter
 */
export function inject(
  base: Graph,
  g: Builder,
  trainables: Pick<Trainables, 'adapters' | 'saved'>,
  siblings: readonly Siblings[] = [],
): (old: Value) => Value {
  const { adapters, saved } = trainables;
  const layerOf = (module: string, x: Value, weights: Weights): Value => {
    const adapter = adapters.get(module);
    if (adapter?.apply) return adapter.apply(x, weights);
    const { W, bias } = adapter?.adapt(weights) ?? weights;
    return linear(g, x, W, bias);
  };

  const adapted = (node: Node, value: (old: Value) => Value): Value | null => {
    const adapter = adapters.get(moduleOf(node) ?? '');
    if (!adapter) return null;
    const inputs = node.inputs.map(value);
    const [x, W, bias] = inputs;
    if (node.op.name === 'linear') return layerOf(node.module!, x!, { W: W!, bias: bias ?? null });
    if (node.op.name === 'gather')
      return gather(g, adapter.adapt({ W: inputs[0]!, bias: null }).W, inputs[1]!);
    return fail('internal', `Module ${node.module} is a target but runs as ${node.op.name}.`);
  };

  const first = new Map(siblings.map((set) => [set.layers[0]!, set]));
  const done = new Set(siblings.flatMap(({ layers }) => layers));
  const readers = new Set(siblings.map(({ reader }) => reader));

  return rewrite(base, g, {
    leaf: (v) => (v.role === 'parameter' && v.dtype === 'f32' ? (saved.get(v.name) ?? null) : null),
    node: (node, { value, replace }) => {
      if (done.has(node)) {
        const set = first.get(node);
        const made = set ? siblingResults(g, { adapters, saved, layerOf }, set, value(node.inputs[0]!)) : [];
        made.forEach((y, i) => {
          replace(set!.layers[i]!.outputs[0]!, y);
        });
        return [];
      }
      if (readers.has(node)) {
        const [q, k, v, mask] = node.inputs.map(value) as [Value, Value, Value, Value?];
        return [attention(g, [q, k, v], mask, node.attrs as AttentionAttrs)];
      }
      // A weight that trains takes the place of the frozen one where that would be widened.
      const stored = node.outputs.length === 1 ? storedParameter(node.outputs[0]!) : null;
      const trained = stored && saved.get(stored.name);
      if (trained) return [trained];
      const y = adapted(node, value);
      return y && [y];
    },
  });
}

// The adapted weights of every planned module as one graph: what merging writes, by the same `adapt` that training runs.

/**
 * Outputs named like the parameters they replace (`encoder.layer.0.attention.attention.query.weight`), shapes as in the engine.
 * Saved parameters are not computed and not among them.
 * @param modules only these modules; default all
 */
export function adaptGraph(
  plan: AdapterPlan,
  parameters: ReadonlyMap<string, BaseParameter>,
  initial: () => Float32Array,
  modules: readonly string[] = plan.groups.flatMap((g) => g.layers.map((l) => l.name)),
): Graph {
  const g = createBuilder();
  const { adapters, saved } = emitTrainables(g, plan, { training: false, initial });
  const outputs: Record<string, Value> = {};
  const parameter = (name: string): Value | null => {
    const base = parameters.get(name);
    return saved.get(name) ?? (base ? emitBase(g, base) : null);
  };
  for (const module of modules) {
    const W = parameter(`${module}.weight`) ?? fail('internal', `The weight of ${module} is missing.`);
    const bias = parameter(`${module}.bias`);
    const adapted = adapters.get(module)!.adapt({ W, bias });
    if (adapted.W !== W) outputs[`${module}.weight`] = adapted.W;
    if (adapted.bias && adapted.bias !== bias) {
      if (!bias) {
        fail(
          'unsupported-adapter',
          say`The adapter adds a bias to ${module}, whose layer has none to merge it into; export the adapter instead.`,
        );
      }
      outputs[`${module}.bias`] = adapted.bias;
    }
  }
  return g.finish(outputs);
}

// Emits what a method does after every update, where it does anything.

export interface AfterStep {
  readonly stepInputs: readonly StepInput[];
  /** Names of the states that the method keeps; a checkpoint holds them. */
  readonly states: readonly string[];
}

/** @param update the packed state and its gradients [plan.size], their squared norm [1], the step scalars [16] */
export function emitAfterStep(
  g: Builder,
  plan: AdapterPlan,
  update: {
    readonly packed: Value;
    readonly gradients: Value;
    readonly normSquared: Value;
    readonly step: Value;
  },
): AfterStep {
  const stepInputs: StepInput[] = [];
  const states: string[] = [];
  const groups = plan.groups.map(({ layers, tensors }) => ({
    layers,
    config: plan.config,
    places: Object.fromEntries(tensors.map((t) => [t.spec.name, t])),
  }));
  plan.graph.afterStep?.(
    {
      g,
      ...update,
      stepInput(name, type, fill) {
        stepInputs.push({ name, type, fill });
        return g.input(name, type);
      },
      state(name, size, initial) {
        states.push(name);
        return g.state(name, { dtype: 'f32', shape: [size] }, () => new Float32Array(size).fill(initial));
      },
    },
    groups,
  );
  return { stepInputs, states };
}
