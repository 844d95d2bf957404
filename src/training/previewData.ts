/** Data as a model will be trained on it, before a run. */
import { previewExamples } from '../data/preview.ts';
import { planBatches } from './batchPlan.ts';
import type { DataPreview, DataSource } from './protocol.ts';
import { type TrainingSettings, trainingSchema } from './settings.ts';
import { type OpenedModel, openData, reportData, type Surroundings } from './source.ts';

/** Examples that a preview shows. */
const SHOWN = 4;

/** @throws PapilioError as a run would, on data that cannot be used */
export async function previewData(
  opened: OpenedModel,
  source: DataSource,
  settings: Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>,
  around: Pick<Surroundings, 'decodeImage' | 'hub'>,
): Promise<DataPreview> {
  const data = await openData(source, opened, settings, around);
  const training = trainingSchema.parse({ ...settings });
  const { options } = planBatches(
    data.dataset,
    training,
    opened.model.normalisation,
    source.options?.padding,
  );
  return {
    report: reportData(data, options),
    task: data.task,
    columns: data.found.columns ?? [],
    mapping: data.found.mapping ?? {},
    examples: previewExamples(data.dataset, opened.tokenizer, SHOWN, options),
  };
}
