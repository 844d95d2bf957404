/** What a run is made of before anything is compiled: model, data and the adapter's plan. Sessions and forecasts begin with it. */
import { validateForRun } from '../adapters/config.ts';
import type { CommonConfig } from '../adapters/fields.ts';
import { type Fit, fitAdapter } from '../adapters/fit.ts';
import { type Adapter, type AdapterFiles, type LoadedAdapter, readAdapter } from '../adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  changedParameters,
  chooseAdapter,
  initialValues,
  type LoadedMethod,
  loadMethod,
} from '../adapters/plan.ts';
import { methodById } from '../adapters/registry.ts';
import { type Started, startConfig, startRate } from '../adapters/start.ts';
import type { AdapterMethod, AdapterTensor } from '../adapters/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { transposed } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import type { ModuleInfo } from '../models/import/modules.ts';
import type { LoadedModel } from '../models/load.ts';
import { requireWritable } from '../models/merge.ts';
import { hashOf } from './checkpoint.ts';
import type { EngineRequest } from './engine.ts';
import type { Host } from './openModel.ts';
import type { ModelSource, RunRequest, Task } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import { lossOf, type PreparedTask, parametersOf, prepareTask } from './task.ts';

export interface RunSetup extends PreparedTask {
  /** Where the model came from. */
  readonly source: ModelSource;
  readonly method: AdapterMethod;
  readonly config: CommonConfig;
  /** Weights of the base model that the adapter to go on from came with, and goes on with. */
  readonly brought: ReadonlyMap<string, AdapterTensor>;
  readonly plan: AdapterPlan;
  readonly initial: () => Float32Array;
  /** What an engine is asked for. */
  readonly engine: Omit<EngineRequest, 'onCompile' | 'onTune'>;
  readonly adapterHash: string | null;
  readonly warnings: readonly string[];
}

/** The configuration of a request with what it leaves open filled in for this model and task. */
function beginsWith({ method, config }: RunRequest, model: LoadedModel, task: Task): Started {
  return startConfig(
    methodById(method),
    config,
    { ...model.targets, head: model.head, fresh: model.fresh },
    task,
  );
}

/** The settings of a run, with the rate that suits its layers where none was chosen. */
function trainingOf(
  { method, ownRate = false }: RunRequest,
  { training, model }: PreparedTask,
  plan: AdapterPlan,
): TrainingSettings {
  if (!ownRate) return training;
  const adapted = plan.groups.flatMap(({ layers }) => layers);
  return { ...training, learningRate: startRate(methodById(method), adapted, model.targets.layers) };
}

export async function setUpRun(
  request: RunRequest,
  host: Host,
  onBytes: (done: number, total: number, what: string) => void = () => {},
): Promise<RunSetup> {
  const method = methodById(request.method);
  const start = await readStart(request);
  const prepared = await prepareTask(request.model, request.data, request.training, host, onBytes);
  const fitted = start && fitStart(start, prepared.model);
  // What an adapter's file holds of the base model is frozen like the rest of it.
  const brought = fitted?.brought ?? new Map<string, AdapterTensor>();
  const task = brought.size > 0 ? withWeights(prepared, brought) : prepared;
  const { model, dataset, batches, parameters } = task;
  const begun = start ? null : beginsWith(request, model, task.data.task);
  const { config, warnings: configWarnings } = start
    ? { config: start.loaded.config, warnings: [] }
    : validateForRun(method, begun?.config, batches.totalSteps);
  const { plan, warnings } = chooseAdapter(
    await loadMethod(method),
    config,
    model.targets,
    model.parameters,
    fitted?.adapter.shared,
  );
  requireWritable(model.onnx, model.modules, changedParameters(plan));
  const training = trainingOf(request, task, plan);
  const initial = () => initialValues(plan, training.seed, parameters, fitted?.adapter);
  return {
    source: request.model,
    method,
    config,
    ...task,
    training,
    brought,
    plan,
    initial,
    engine: {
      build: (batch, sequence) => ({ ...model.build(batch, sequence), loss: lossOf(dataset) }),
      plan,
      settings: training,
      totalSteps: batches.totalSteps,
      sequence: batches.sequence,
      initial,
      recompute: request.recompute,
      tune: request.tune,
    },
    adapterHash: start?.hash ?? null,
    warnings: [
      ...task.notes,
      ...(begun?.notes ?? []),
      ...configWarnings,
      ...(fitted?.warnings ?? []),
      ...warnings,
      ...model.warnings,
    ],
  };
}

function withWeights(task: PreparedTask, weights: ReadonlyMap<string, AdapterTensor>): PreparedTask {
  const model = task.model.withWeights(new Map([...weights].map(([name, { data }]) => [name, data.slice()])));
  return { ...task, model, opened: { ...task.opened, model }, parameters: parametersOf(model) };
}

// The adapter that a run goes on from: its two files, read, held against the model, in the engine's layout.

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';

/** An adapter's files by name. */
export const adapterFiles = (written: Pick<AdapterFiles, typeof CONFIG | typeof TENSORS>): InputFile[] => [
  { name: CONFIG, bytes: new TextEncoder().encode(written[CONFIG]) },
  { name: TENSORS, bytes: written[TENSORS] },
];

/**
 * An adapter's two files among files, configuration and tensors.
 * @param what they are of, as the sentence's subject
 * @throws PapilioError 'not-found' naming the one that is missing
 */
export function adapterPair(files: readonly InputFile[], what: string): readonly [InputFile, InputFile] {
  const find = (name: string): InputFile =>
    files.find((f) => f.name === name || f.name.endsWith(`/${name}`)) ??
    fail(
      'not-found',
      say`${what} has no ${name}; give both ${CONFIG} and ${TENSORS}, as PeftModel.save_pretrained writes them.`,
    );
  return [find(CONFIG), find(TENSORS)];
}

export interface StartAdapter {
  readonly loaded: LoadedAdapter;
  /** SHA-256 of both files. */
  readonly hash: string;
}

/**
 * @returns null for a run that begins as its method does
 * @throws PapilioError 'not-found' where a file is missing, 'bad-argument' when it is of another method than the run; as {@link readAdapter}
 */
async function readStart(request: RunRequest): Promise<StartAdapter | null> {
  const { adapter: files, method } = request;
  if (!files) return null;
  const [config, tensors] = adapterPair(files, say`The adapter to go on from`).map(({ bytes }) => bytes) as [
    Uint8Array,
    Uint8Array,
  ];
  const loaded = readAdapter(new TextDecoder().decode(config), tensors);
  if (loaded.method.id !== method) {
    fail(
      'bad-argument',
      say`The adapter to go on from is ${loaded.method.title}, but the run is asked to train ${method}; leave the method out, or choose ${loaded.method.id}.`,
    );
  }
  return { loaded, hash: await hashOf([config, tensors]) };
}

/**
 * An adapter's file held against a model: how it fits, and its numbers in the engine's layout.
 * @throws PapilioError 'malformed-adapter', 'illegal-config' or 'no-target' when it does not belong to the model
 */
export function fitToModel(loaded: LoadedAdapter, model: LoadedModel): Fit & { readonly adapter: Adapter } {
  const adapter = fromTorch(loaded, model.modules);
  const shapes = new Map(model.parameters.map((p) => [p.name, p.shape]));
  return { adapter, ...fitAdapter({ ...loaded, ...adapter }, model.targets, shapes) };
}

/**
 * The plan and the packed numbers of an adapter's file on a model, as the engine runs it.
 * @param method the adapter's, with its graph
 * @param parameters what it is laid onto: the model's, or as another adapter left them
 * @throws PapilioError as {@link fitToModel}
 */
export function planOfFile(
  loaded: LoadedAdapter,
  method: LoadedMethod,
  model: LoadedModel,
  parameters: ReadonlyMap<string, BaseParameter>,
): { readonly plan: AdapterPlan; readonly packed: Float32Array; readonly warnings: readonly string[] } {
  const { adapter, brought, warnings } = fitToModel(loaded, model);
  const { config, shared } = loaded;
  const { plan } = chooseAdapter(method, config, model.targets, [...parameters.values()], shared, brought);
  return { plan, packed: initialValues(plan, 0, parameters, adapter), warnings };
}

/** The adapter that a run goes on from; what its file holds of the base model goes on with it. */
function fitStart({ loaded }: StartAdapter, model: LoadedModel) {
  const { adapter, selection, ...fit } = fitToModel(loaded, model);
  // What targets match is said once, by the run.
  const known = new Set(selection.warnings);
  const brought = new Map(fit.brought.map((name) => [name, adapter.parameters.get(name)!]));
  return { adapter, brought, warnings: [...loaded.warnings, ...fit.warnings.filter((w) => !known.has(w))] };
}

// From the engine's layout to PyTorch's where they differ: GPT-2's Conv1D keeps (in, out), a convolution keeps its kernel's axes.

/** The adapter with its saved base parameters as PyTorch stores them. */
export function toTorch(adapter: Adapter, modules: readonly ModuleInfo[]): Adapter {
  return mapWeights(adapter, modules, (t, module) => {
    if (module.kind === 'conv2d') return { ...t, shape: module.parameters.weight!.tensor.dims };
    const [rows, columns] = t.shape as [number, number];
    return {
      shape: [columns, rows],
      data: transposed(t.data, [rows, columns], new Float32Array(t.data.length)),
    };
  });
}

/** The reverse, for adapters read from files. */
export function fromTorch(adapter: Adapter, modules: readonly ModuleInfo[]): Adapter {
  return mapWeights(adapter, modules, (t, module) => {
    if (module.kind === 'conv2d') return { ...t, shape: [module.out, module.in] };
    const [rows, columns] = t.shape as [number, number];
    return {
      shape: [columns, rows],
      data: transposed(t.data, [rows, columns], new Float32Array(t.data.length)),
    };
  });
}

function mapWeights(
  adapter: Adapter,
  modules: readonly ModuleInfo[],
  change: (tensor: AdapterTensor, module: ModuleInfo) => AdapterTensor,
): Adapter {
  const foreign = new Map(
    modules.filter((m) => m.kind === 'conv1d' || m.kind === 'conv2d').map((m) => [`${m.name}.weight`, m]),
  );
  const parameters = new Map(
    [...adapter.parameters].map(([name, tensor]) => {
      const module = foreign.get(name);
      return [name, module ? change(tensor, module) : tensor];
    }),
  );
  // A method that trains whole weights keeps them among its modules' tensors too.
  const tensors = new Map(
    [...adapter.tensors].map(([name, own]) => {
      const module = foreign.get(`${name}.weight`);
      const weight = own.get('weight');
      return [name, module && weight ? new Map(own).set('weight', change(weight, module)) : own];
    }),
  );
  return { ...adapter, parameters, tensors };
}
