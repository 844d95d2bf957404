/** Data as a model will be trained on it, before a run. */
import { previewExamples } from '../data/preview.ts';
import { PapilioError } from '../lib/errors.ts';
import type { DataPreview, DataSource } from './protocol.ts';
import { type TrainingSettings, trainingSchema } from './settings.ts';
import { type OpenedModel, reportData, type Surroundings } from './source.ts';
import { prepareTask } from './task.ts';
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
  const asked = trainingSchema.parse({ ...settings });
  const prepared = await prepareTask(opened, source, asked, around).catch((error: unknown) => {
    if (!(error instanceof PapilioError)) throw error;
    const task = source.options?.task ?? tasks[0];
    throw new PapilioError(error.kind, error.message, { ...error.details, task, tasks });
  });
  const { data, batches, notes } = prepared;
  const { options } = batches;
  const report = reportData(data, options);
  return {
    report: { ...report, notes: [...notes, ...report.notes] },
    task: data.task,
    tasks,
    columns: data.found.columns ?? [],
    mapping: data.found.mapping ?? {},
    hasHeader: data.found.hasHeader ?? null,
    firstCells: data.found.firstCells ?? {},
    examples: previewExamples(
      data.dataset,
      opened.tokenizer,
      data.dataset.kind === 'image' ? SHOWN.pictures : SHOWN.texts,
      options,
    ),
  };
}
