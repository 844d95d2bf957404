/** What a run is made of before anything is compiled: model, data and the adapter's plan. Sessions and forecasts begin with it. */
import { chooseAdapter } from '../adapters/choose.ts';
import { validateForRun } from '../adapters/config.ts';
import type { CommonConfig } from '../adapters/fields.ts';
import { type AdapterPlan, type BaseParameter, changedParameters, initialValues } from '../adapters/plan.ts';
import { startRate } from '../adapters/rate.ts';
import { methodById } from '../adapters/registry.ts';
import { type Started, startConfig } from '../adapters/start.ts';
import type { AdapterMethod, AdapterTensor } from '../adapters/types.ts';
import type { LoadedModel } from '../models/load.ts';
import { requireWritable } from '../models/merge.ts';
import type { EngineRequest } from './engine.ts';
import type { RunRequest, Task } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import { openModel, type Surroundings } from './source.ts';
import { fitStart, readStart } from './startAdapter.ts';
import { type PreparedTask, prepareTask } from './task.ts';
import { lossOf } from './tasks.ts';

export interface RunSetup extends PreparedTask {
  readonly method: AdapterMethod;
  readonly config: CommonConfig;
  readonly parameters: ReadonlyMap<string, BaseParameter>;
  /** Weights of the base model that the adapter to go on from came with, and goes on with. */
  readonly brought: ReadonlyMap<string, AdapterTensor>;
  readonly plan: AdapterPlan;
  readonly initial: () => Float32Array;
  /** What an engine is asked for. */
  readonly engine: Omit<EngineRequest, 'onCompile'>;
  readonly adapterHash: string | null;
  readonly warnings: readonly string[];
}

/** The configuration of a request with what it leaves open filled in for this model and task. */
export function beginsWith({ method, config }: RunRequest, model: LoadedModel, task: Task): Started {
  return startConfig(
    methodById(method),
    config,
    { ...model.targets, head: model.head, fresh: model.fresh },
    task,
  );
}

/** The settings of a run, with the rate that suits its layers where none was chosen. */
export function trainingOf(
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
  around: Surroundings,
  onBytes: (done: number, total: number, what: string) => void = () => {},
): Promise<RunSetup> {
  const method = methodById(request.method);
  const start = await readStart(request);
  const prepared = await prepareTask(
    await openModel(request.model, around, onBytes),
    request.data,
    request.training,
    around,
  );
  const fitted = start && fitStart(start, prepared.model);
  // What an adapter's file holds of the base model is frozen like the rest of it.
  const brought = fitted?.brought ?? new Map<string, AdapterTensor>();
  const task = brought.size > 0 ? withWeights(prepared, brought) : prepared;
  const { model, dataset, batches } = task;
  const parameters: ReadonlyMap<string, BaseParameter> = new Map(model.parameters.map((p) => [p.name, p]));
  const begun = start ? null : beginsWith(request, model, task.data.task);
  const { config, warnings: configWarnings } = start
    ? { config: start.loaded.config, warnings: [] }
    : validateForRun(method, begun?.config, batches.totalSteps);
  const { plan, warnings } = chooseAdapter(
    method,
    config,
    model.targets,
    model.parameters,
    fitted?.adapter.shared,
  );
  requireWritable(model.onnx, model.modules, changedParameters(plan));
  const training = trainingOf(request, task, plan);
  const initial = () => initialValues(plan, training.seed, parameters, fitted?.adapter);
  return {
    method,
    config,
    ...task,
    training,
    parameters,
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
  return { ...task, model, opened: { ...task.opened, model } };
}
