/** Data as a model will be trained on it, before a run. */
import { previewExamples } from '../data/preview.ts';
import { PapilioError } from '../lib/errors.ts';
import { planBatches } from './batchPlan.ts';
import type { DataPreview, DataSource } from './protocol.ts';
import { type TrainingSettings, trainingSchema } from './settings.ts';
import { type OpenedModel, openData, reportData, type Surroundings } from './source.ts';
import { tasksOf } from './tasks.ts';

/** Examples that a preview shows: texts, and pictures. */
const SHOWN = { texts: 4, pictures: 12 };

/** @throws PapilioError as a run would, on data that cannot be used; `details` then has `task` and `tasks` */
export async function previewData(
  opened: OpenedModel,
  source: DataSource,
  settings: Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>,
  around: Pick<Surroundings, 'decodeImage' | 'hub'>,
): Promise<DataPreview> {
  const tasks = tasksOf(opened);
  const data = await openData(source, opened, settings, around).catch((error: unknown) => {
    if (!(error instanceof PapilioError)) throw error;
    const task = source.options?.task ?? tasks[0];
    throw new PapilioError(error.kind, error.message, { ...error.details, task, tasks });
  });
  const training = trainingSchema.parse({ ...settings });
  const { options } = planBatches(data.dataset, training, opened.model.image, source.options?.padding);
  return {
    report: reportData(data, options),
    task: data.task,
    tasks,
    columns: data.found.columns ?? [],
    mapping: data.found.mapping ?? {},
    examples: previewExamples(
      data.dataset,
      opened.tokenizer,
      data.dataset.kind === 'image' ? SHOWN.pictures : SHOWN.texts,
      options,
    ),
  };
}
