/** A model with its data that adapters are held against: which fit, their plans and numbers in the engine's layout. */
import { chooseAdapter } from '../../adapters/choose.ts';
import { type Fit, fitAdapter } from '../../adapters/fit.ts';
import type { LoadedAdapter } from '../../adapters/peft.ts';
import { type BaseParameter, initialValues } from '../../adapters/plan.ts';
import type { Member } from '../../adapters/set/forward.ts';
import type { Dataset } from '../../data/types.ts';
import type { LoadedModel } from '../../models/load.ts';
import type { BatchPlan } from '../batchPlan.ts';
import { type OpenedModel, openModel, type Surroundings } from '../openModel.ts';
import type { ShelfTask } from '../protocol.ts';
import { prepareTask } from '../task.ts';
import { fromTorch } from '../torchLayout.ts';

export interface Bound {
  readonly task: ShelfTask;
  readonly opened: OpenedModel;
  /** With a head for the data's classes. */
  readonly model: LoadedModel;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly parameters: ReadonlyMap<string, BaseParameter>;
}

export async function openBound(task: ShelfTask, around: Surroundings): Promise<Bound> {
  const first = await openModel(task.model, around);
  const { opened, model, dataset, batches, training } = await prepareTask(
    first,
    task.data,
    task.training,
    around,
  );
  return {
    task: { ...task, training },
    ...{ opened, model, dataset, batches },
    parameters: new Map(model.parameters.map((p) => [p.name, p])),
  };
}

/** @throws PapilioError with the reason why it does not belong to the model */
export function fitToBound(adapter: LoadedAdapter, { model }: Bound): Fit {
  const shapes = new Map(model.parameters.map((p) => [p.name, p.shape]));
  return fitAdapter({ ...adapter, ...fromTorch(adapter, model.modules) }, model.targets, shapes);
}

/** The adapter with its numbers as the engine runs it. */
export function memberOf(name: string, adapter: LoadedAdapter, bound: Bound): Member {
  const { model, parameters } = bound;
  const { plan } = chooseAdapter(
    adapter.method,
    adapter.config,
    model.targets,
    model.parameters,
    adapter.shared,
    fitToBound(adapter, bound).brought,
  );
  const own = fromTorch(adapter, model.modules);
  return { name, plan, packed: initialValues(plan, 0, parameters, own) };
}
