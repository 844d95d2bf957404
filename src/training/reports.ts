/** What the page shows of a model, from the loaded model itself. */
import { previewExamples } from '../data/preview.ts';
import { PapilioError } from '../lib/errors.ts';
import { kernelOf } from '../models/load.ts';
import { mostTokens } from './contract.ts';
import type { Host, OpenedModel } from './openModel.ts';
import type { DataPreview, DataSource, ModelReport, ModuleRow, Task } from './protocol.ts';
import { type TrainingSettings, trainingSchema } from './settings.ts';
import { prepareTask, reportData, tasksOf } from './task.ts';

const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

export function reportModel(opened: OpenedModel, name = opened.name): ModelReport {
  const { model } = opened;
  const modules = model.modules.map(
    (m): ModuleRow => ({
      name: m.name,
      kind: m.kind === 'layernorm' ? 'norm' : m.kind,
      in: m.in,
      out: m.out,
      hasBias: m.parameters.bias !== undefined,
      ...kernelOf(m),
      parameters: Object.values(m.parameters).reduce((n, p) => n + size(p.shape), 0),
    }),
  );
  const again = new Set(model.ties.flatMap(([, ...others]) => others));
  const counted = model.modules
    .flatMap((m) => Object.values(m.parameters))
    .filter((p) => !again.has(p.value));
  return {
    name,
    family: model.family,
    task: model.task,
    modelType: model.targets.modelType,
    head: model.head,
    trains: trainable(opened)[0] ?? null,
    limit: mostTokens(opened),
    exactly: model.contract.exactly,
    feeds: model.feeds,
    opset: model.onnx.opset,
    // A tied head is the embedding once more, and counts once, as in PyTorch.
    parameters: counted.reduce((n, p) => n + size(p.shape), 0),
    bytes: opened.bytes.reduce((n, b) => n + b.length, 0),
    modules,
    ties: model.ties,
  };
}

/** The tasks that a model can be trained for; none for one that no data here fits. */
function trainable(opened: OpenedModel): readonly Task[] {
  return opened.model.task === 'other' ? [] : tasksOf(opened);
}

// Data as a model will be trained on it, before a run.

/** Examples that a preview shows: texts, and pictures. */
const SHOWN = { texts: 4, pictures: 12 };

/** @throws PapilioError as a run would, on data that cannot be used; `details` then has `task` and `tasks` */
export async function previewData(
  opened: OpenedModel,
  source: DataSource,
  settings: Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>,
  host: Pick<Host, 'decodeImage' | 'hub'>,
): Promise<DataPreview> {
  const tasks = tasksOf(opened);
  const asked = trainingSchema.parse({ ...settings });
  const prepared = await prepareTask(opened, source, asked, host).catch((error: unknown) => {
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
