/**
 * A model and its data as one task: the length that fits, the dataset, the head for its classes, and the check that the model has a row
 * and a score for everything in it. Training, preview, comparison, adapters and the Python project all begin here.
 */
import type { Dataset } from '../data/types.ts';
import type { LoadedModel } from '../models/load.ts';
import { type BatchPlan, planBatches } from './batchPlan.ts';
import { checkData, fitLength, withinVocabulary } from './contract.ts';
import { type OpenedData, openData } from './openData.ts';
import type { OpenedModel, Surroundings } from './openModel.ts';
import type { DataSource } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import { withHeadFor } from './tasks.ts';

export interface PreparedTask {
  /** As it was opened, and with the head for the data's classes. */
  readonly first: OpenedModel;
  readonly opened: OpenedModel;
  readonly model: LoadedModel;
  readonly data: OpenedData;
  readonly dataset: Dataset;
  /** With the length that the model reads. */
  readonly training: TrainingSettings;
  readonly batches: BatchPlan;
  /** Sentences on what does not follow from the settings alone. */
  readonly notes: readonly string[];
}

/** @throws PapilioError 'bad-data' on data that cannot be used or does not fit the model */
export async function prepareTask(
  first: OpenedModel,
  source: DataSource,
  asked: TrainingSettings,
  around: Pick<Surroundings, 'decodeImage' | 'hub'>,
): Promise<PreparedTask> {
  const { sequenceLength, exactly, notes } = fitLength(first, asked.sequenceLength);
  const training = sequenceLength === asked.sequenceLength ? asked : { ...asked, sequenceLength };
  const opened = await openData(source, first, training, around);
  const model = withHeadFor(first.model, opened.dataset, training.seed);
  checkData(model, opened.dataset, first.tokenizer, sequenceLength);
  const dataset = withinVocabulary(opened.dataset, model);
  return {
    first,
    opened: { ...first, model },
    model,
    data: { ...opened, dataset },
    dataset,
    training,
    batches: planBatches(dataset, training, model.image, source.options?.padding, exactly),
    notes,
  };
}
