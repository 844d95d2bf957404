/**
 * From a method, its configuration and the matched modules to one packed buffer of trainable numbers: which layers are stacked
 * into groups, where every tensor starts, and what it starts with. No graph and no GPU.
 */
import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import { rng, streamOf } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';
import type { Adapter } from './peft.ts';
import { completeConfig, requireTargets, type TargetModel, trainableBiases } from './targets.ts';
import type {
  AdapterMethod,
  AdapterTensor,
  Layer,
  MethodGraph,
  ParameterCount,
  TensorInit,
  TensorSpec,
  TrainableEntry,
} from './types.ts';

/** A frozen parameter of the base model, by PyTorch name (`classifier.weight`), in the engine's layout. */
export interface BaseParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly load: () => Float32Array;
  /** Emits it widened from the form it is stored in; absent where it is simply f32. */
  readonly emit?: (g: Builder) => Value;
}

/** The parameter as an f32 value of a graph. */
export const emitBase = (g: Builder, { name, shape, load, emit }: BaseParameter): Value =>
  emit ? emit(g) : g.parameter(name, { dtype: 'f32', shape }, load);

/** A base parameter that trains as it is. */
export interface SavedEntry extends TrainableEntry {
  /** Other names of it: parameters that are tied to it and train as one. */
  readonly also?: readonly string[];
}

export interface GroupTensor extends TrainableEntry {
  readonly spec: TensorSpec;
}

export interface AdapterGroup {
  readonly id: string;
  readonly layers: readonly Layer[];
  readonly tensors: readonly GroupTensor[];
}

/** A method with its graph. */
export interface LoadedMethod {
  readonly method: AdapterMethod;
  readonly graph: MethodGraph<CommonConfig>;
}

/** Methods that train whole parameters have no layers to adapt. */
const NO_LAYERS: MethodGraph<CommonConfig> = { neutral: {}, open: () => [] };

export async function loadMethod(method: AdapterMethod): Promise<LoadedMethod> {
  const loaded = await method.graph?.();
  return { method, graph: loaded?.graph ?? NO_LAYERS };
}

export interface AdapterPlan extends LoadedMethod {
  readonly config: CommonConfig;
  readonly groups: readonly AdapterGroup[];
  /** Base parameters that are trained as they are: modules_to_save, biases, or all of them. Named like the parameter. */
  readonly saved: readonly SavedEntry[];
  /** Frozen tensors that belong to the adapter and not to a layer. */
  readonly shared: readonly SharedTensor[];
  /** Groups' tensors, then saved parameters: the order of the packed buffer. */
  readonly entries: readonly TrainableEntry[];
  /** Elements of the packed buffer, padding included. */
  readonly size: number;
}

/** WebGPU binds buffers at multiples of 256 bytes. */
const aligned = (n: number) => Math.ceil(n / 64) * 64;

/**
 * @param layers the modules that the method adapts
 * @param saved base parameters trained in full, each with the names of those that are one with it
 * @param shared the shared tensors of a loaded adapter
 * @throws PapilioError('no-target') when nothing would be trained
 */
export function planAdapter(
  { method, graph }: LoadedMethod,
  config: CommonConfig,
  layers: readonly Layer[],
  saved: readonly (BaseParameter & Pick<SavedEntry, 'also'>)[],
  shared?: ReadonlyMap<string, AdapterTensor>,
): AdapterPlan {
  let offset = 0;
  const place = (name: string, shape: readonly number[]): TrainableEntry => {
    const entry = { name, shape, offset };
    offset += aligned(sizeOf(shape));
    return entry;
  };

  const alike = new Map<string, { layers: Layer[]; specs: readonly TensorSpec[] }>();
  for (const layer of layers) {
    const specs = method.tensors(layer, config).filter((s) => sizeOf(s.shape) > 0);
    const key = JSON.stringify([layer.kind, layer.in, layer.out, specs.map((s) => [s.name, s.shape])]);
    const group = alike.get(key);
    if (group) group.layers.push(layer);
    else alike.set(key, { layers: [layer], specs });
  }
  const groups = [...alike.values()].map((group, i): AdapterGroup => {
    const id = `group${i}`;
    const tensors = group.specs.map((spec) => ({
      ...place(`${id}.${spec.name}`, [group.layers.length, ...spec.shape]),
      spec,
    }));
    return { id, layers: group.layers, tensors };
  });
  const savedEntries = saved.map(
    (p): SavedEntry => ({ ...place(p.name, p.shape), ...(p.also && { also: p.also }) }),
  );
  if (offset === 0) {
    fail(
      'no-target',
      say`Nothing would be trained: ${method.title} has no parameter on the chosen modules. Choose other modules or sizes.`,
    );
  }
  return {
    method,
    graph,
    config,
    groups,
    saved: savedEntries,
    shared: sharedTensors(method, config, layers, shared),
    entries: [...groups.flatMap((g) => g.tensors), ...savedEntries],
    size: offset,
  };
}

/** Numbers that train: kept, and the dimension of what they can express. */
export function countPlan(plan: AdapterPlan): ParameterCount {
  let stored = 0;
  for (const entry of plan.entries) stored += sizeOf(entry.shape);
  let free = 0;
  for (const entry of plan.saved) free += sizeOf(entry.shape);
  for (const group of plan.groups)
    for (const layer of group.layers) free += plan.method.count(layer, plan.config).free;
  return { stored, free };
}

function fill(
  out: Float32Array,
  init: TensorInit,
  seed: number,
  name: string,
  base: () => Float32Array,
): void {
  const random = rng(seed, streamOf(name));
  switch (init.kind) {
    case 'zeros':
      return;
    case 'ones':
      out.fill(1);
      return;
    case 'normal':
      for (let i = 0; i < out.length; i++) out[i] = init.mean + init.std * random.normal();
      return;
    case 'uniform':
      for (let i = 0; i < out.length; i++) out[i] = random.between(init.low, init.high);
      return;
    case 'base':
      out.set(base());
      return;
    case 'row-norms': {
      const weight = base();
      const columns = weight.length / out.length;
      for (let r = 0; r < out.length; r++) {
        let sum = 0;
        for (let c = 0; c < columns; c++) sum += weight[r * columns + c]! ** 2;
        out[r] = Math.sqrt(sum);
      }
    }
  }
}

/**
 * First contents of the packed buffer: from `loaded` adapter tensors where there are any, else as the method begins.
 * @param parameters base parameters by name, for saved ones and for inits that read the weight
 */
export function initialValues(
  plan: AdapterPlan,
  seed: number,
  parameters: ReadonlyMap<string, BaseParameter>,
  loaded?: Pick<Adapter, 'tensors' | 'parameters'>,
): Float32Array {
  const out = new Float32Array(plan.size);
  const base = (name: string) =>
    (parameters.get(name) ?? fail('internal', `Base parameter ${name} is missing.`)).load();
  for (const group of plan.groups) {
    for (const tensor of group.tensors) {
      const size = sizeOf(tensor.spec.shape);
      group.layers.forEach((layer, i) => {
        const slice = out.subarray(tensor.offset + i * size, tensor.offset + (i + 1) * size);
        const given = loaded?.tensors.get(layer.name)?.get(tensor.spec.name);
        if (given) slice.set(given.data);
        else
          fill(slice, tensor.spec.init, seed, `${layer.name}.${tensor.spec.name}`, () =>
            base(`${layer.name}.weight`),
          );
      });
    }
  }
  for (const entry of plan.saved) {
    const given = [entry.name, ...(entry.also ?? [])].flatMap((name) => loaded?.parameters.get(name) ?? []);
    out.set(given.at(-1)?.data ?? base(entry.name), entry.offset);
  }
  return out;
}

/** The tensors of every adapted module, cut out of the packed buffer (views, not copies). */
export function moduleTensors(
  plan: AdapterPlan,
  packed: Float32Array,
): Map<string, Map<string, AdapterTensor>> {
  const modules = new Map<string, Map<string, AdapterTensor>>();
  for (const group of plan.groups) {
    group.layers.forEach((layer, i) => {
      const tensors = new Map<string, AdapterTensor>();
      for (const { spec, offset } of group.tensors) {
        const size = sizeOf(spec.shape);
        tensors.set(spec.name, {
          shape: spec.shape,
          data: packed.subarray(offset + i * size, offset + (i + 1) * size),
        });
      }
      modules.set(layer.name, tensors);
    });
  }
  return modules;
}

/** The tensors that all layers share, as an adapter holds them. */
export function sharedOf(plan: AdapterPlan): Map<string, AdapterTensor> {
  return new Map(plan.shared.map(({ name, shape, load }) => [name, { shape, data: load() }]));
}

/** Base parameters that a merged model has anew, by name; those that are one in one list. */
export const changedParameters = ({ groups, saved }: AdapterPlan): string[][] => [
  ...groups.flatMap(({ layers }) => layers.map(({ name }) => [`${name}.weight`])),
  ...saved.map(({ name, also = [] }) => [name, ...also]),
];

/** The parameters trained in full, by name; those that are one have one array. */
export function savedParameters(plan: AdapterPlan, packed: Float32Array): Map<string, AdapterTensor> {
  return new Map(
    plan.saved.flatMap(({ name, also = [], shape, offset }) => {
      const tensor = { shape, data: packed.subarray(offset, offset + sizeOf(shape)) };
      return [name, ...also].map((one) => [one, tensor] as const);
    }),
  );
}

// From a configuration and a model's modules and parameters to the plan of what trains.

export interface ChosenAdapter {
  readonly plan: AdapterPlan;
  readonly warnings: readonly string[];
}

/**
 * @param parameters every float parameter of the model, by PyTorch name
 * @param shared the shared tensors of a loaded adapter
 * @param brought base parameters that a loaded adapter's file holds beside what its configuration trains
 * @throws PapilioError 'no-target' or 'illegal-config' with PEFT's reason
 */
export function chooseAdapter(
  loaded: LoadedMethod,
  given: CommonConfig,
  model: TargetModel,
  parameters: readonly BaseParameter[],
  shared?: ReadonlyMap<string, AdapterTensor>,
  brought: readonly string[] = [],
): ChosenAdapter {
  const { method } = loaded;
  const config = completeConfig(method, given, model);
  const selection = requireTargets(method, config, model);
  const chosen = new Set(selection.targets);
  const trainsWhole = method.fileNames === 'any';
  const layers = trainsWhole ? [] : model.layers.filter((l) => chosen.has(l.name));
  const everything = trainsWhole && (config.target_modules ?? null) === null;

  const wholeModules = new Set([...selection.saved, ...(trainsWhole ? selection.targets : [])]);
  const moduleOf = (name: string) => name.slice(0, name.lastIndexOf('.'));
  const biased = parameters.filter((p) => p.name.endsWith('.bias')).map((p) => moduleOf(p.name));
  const biases = new Set(
    trainableBiases(config, selection.targets, biased).map((module) => `${module}.bias`),
  );
  const extra = new Set(brought);
  const trained = parameters.filter(
    (p) => everything || wholeModules.has(moduleOf(p.name)) || biases.has(p.name) || extra.has(p.name),
  );
  // modules_to_save gives a module a copy of its own; whatever else trains a tied weight trains it in all its places.
  const copied = new Set(selection.saved);
  const ties = (model.ties ?? []).map((tie) => tie.filter((name) => !copied.has(moduleOf(name))));
  return {
    plan: planAdapter(loaded, config, layers, trainedOnce(trained, parameters, ties), shared),
    warnings: selection.warnings,
  };
}

/** What trains, each tied weight once, under the name of what owns it. */
function trainedOnce(
  trained: readonly BaseParameter[],
  parameters: readonly BaseParameter[],
  ties: readonly (readonly string[])[],
): (BaseParameter & Pick<SavedEntry, 'also'>)[] {
  const tieOf = new Map(ties.flatMap((tie) => tie.map((name) => [name, tie] as const)));
  const done = new Set<readonly string[]>();
  return trained.flatMap((p) => {
    const tie = tieOf.get(p.name);
    if (!tie || tie.length < 2) return [p];
    if (done.has(tie)) return [];
    done.add(tie);
    const [owner, ...also] = tie;
    const first = parameters.find(({ name }) => name === owner)!;
    return [{ ...first, also }];
  });
}

// Frozen tensors that all layers of an adapter share (VeRA's projections): from its file where that has them, else made anew.

/** A shared tensor with its numbers, which are made when first asked for. */
export interface SharedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly load: () => Float32Array;
}

/**
 * @param layers the modules that the method adapts: they decide the shapes
 * @param given an adapter file's shared tensors, which win
 * @throws PapilioError 'malformed-adapter' if one has another shape
 */
export function sharedTensors(
  method: AdapterMethod,
  config: CommonConfig,
  layers: readonly Layer[],
  given: ReadonlyMap<string, AdapterTensor> = new Map(),
): readonly SharedTensor[] {
  if (layers.length === 0) return [];
  return (method.shared?.(layers, config) ?? []).map(({ name, shape, make }) => {
    const own = given.get(name);
    if (own && own.shape.join() !== shape.join()) {
      fail(
        'malformed-adapter',
        say`The adapter's ${name} has shape [${own.shape.join(', ')}], but the layers it is for need [${shape.join(', ')}]; the adapter was made for another model or another configuration.`,
        { name, given: own.shape, expected: shape },
      );
    }
    let made: Float32Array | undefined = own?.data;
    return {
      name,
      shape,
      load: () => {
        made ??= make();
        return made;
      },
    };
  });
}
