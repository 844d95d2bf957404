/** What a run is made of before anything is compiled: model, data and the adapter's plan. Sessions and forecasts begin with it. */
import { chooseAdapter } from '../adapters/choose.ts';
import { validateForRun } from '../adapters/config.ts';
import type { CommonConfig } from '../adapters/fields.ts';
import { type AdapterPlan, type BaseParameter, initialValues } from '../adapters/plan.ts';
import { methodById } from '../adapters/registry.ts';
import { type Started, startConfig } from '../adapters/start.ts';
import type { AdapterMethod } from '../adapters/types.ts';
import type { Dataset } from '../data/types.ts';
import type { LoadedModel } from '../models/load.ts';
import { type BatchPlan, planBatches } from './batchPlan.ts';
import type { EngineRequest } from './engine.ts';
import type { RunRequest, Task } from './protocol.ts';
import { type OpenedData, type OpenedModel, openData, openModel, type Surroundings } from './source.ts';
import { fitStart, readStart } from './startAdapter.ts';
import { lossOf, withHeadFor } from './tasks.ts';

export interface RunSetup {
  readonly method: AdapterMethod;
  readonly config: CommonConfig;
  /** As it was opened, and with a head for the data's classes. */
  readonly first: OpenedModel;
  readonly opened: OpenedModel;
  readonly model: LoadedModel;
  readonly data: OpenedData;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly parameters: ReadonlyMap<string, BaseParameter>;
  readonly plan: AdapterPlan;
  readonly initial: () => Float32Array;
  /** What an engine is asked for. */
  readonly engine: Omit<EngineRequest, 'onCompile'>;
  readonly adapterHash: string | null;
  readonly warnings: readonly string[];
}

/** The configuration of a request with what it leaves open filled in for this model and task. */
export function beginsWith({ method, config }: RunRequest, model: LoadedModel, task: Task): Started {
  return startConfig(methodById(method), config, { ...model.targets, head: model.head }, task);
}

export async function setUpRun(
  request: RunRequest,
  around: Surroundings,
  onBytes: (done: number, total: number, what: string) => void = () => {},
): Promise<RunSetup> {
  const { training } = request;
  const method = methodById(request.method);
  const start = await readStart(request);
  const first = await openModel(request.model, around, onBytes);
  const data = await openData(request.data, first, training, around);
  const { dataset } = data;
  const model = withHeadFor(first.model, dataset, training.seed);
  const parameters: ReadonlyMap<string, BaseParameter> = new Map(model.parameters.map((p) => [p.name, p]));
  const batches = planBatches(dataset, training, model.image, request.data.options?.padding);
  const begun = start ? null : beginsWith(request, model, data.task);
  const { config, warnings: configWarnings } = start
    ? { config: start.loaded.config, warnings: [] }
    : validateForRun(method, begun?.config, batches.totalSteps);
  const fitted = start && fitStart(start, model);
  const { plan, warnings } = chooseAdapter(
    method,
    config,
    model.targets,
    model.parameters,
    fitted?.adapter.shared,
  );
  const initial = () => initialValues(plan, training.seed, parameters, fitted?.adapter);
  return {
    method,
    config,
    first,
    opened: { ...first, model },
    model,
    data,
    dataset,
    batches,
    parameters,
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
      ...(begun?.notes ?? []),
      ...configWarnings,
      ...(fitted?.warnings ?? []),
      ...warnings,
      ...model.warnings,
    ],
  };
}
