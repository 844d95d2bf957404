/** What the page shows of a model and of data, before and during a run. */

import { type BatchOptions, exampleCount } from '../data/batches.ts';
import { tonesOf } from '../data/pictures.ts';
import { previewExamples } from '../data/preview.ts';
import { PapilioError } from '../lib/errors.ts';
import { englishOf, facts, say } from '../lib/say.ts';
import { kernelOf } from '../models/load.ts';
import { mostTokens } from './contract.ts';
import { type Host, type OpenedModel, openModel } from './openModel.ts';
import type {
  DataPreview,
  DataReport,
  DataSource,
  ModelReport,
  ModelSource,
  ModuleRow,
  Task,
} from './protocol.ts';
import { type TrainingSettings, trainingSchema } from './settings.ts';
import { labelsOf, type OpenedData, prepareTask, tasksOf } from './task.ts';

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
  model: ModelSource,
  source: DataSource,
  settings: Pick<TrainingSettings, 'seed' | 'sequenceLength' | 'batchSize'>,
  host: Host,
): Promise<DataPreview> {
  const asked = trainingSchema.parse({ ...settings });
  const opened = await openModel(model, host);
  const withOpened = { ...host, modelCache: async () => opened };
  const prepared = await prepareTask(model, source, asked, withOpened).catch((error: unknown) => {
    if (!(error instanceof PapilioError)) throw error;
    const tasks = tasksOf(opened);
    const task = source.options?.task ?? tasks[0];
    throw new PapilioError(error.kind, error.message, { ...error.details, task, tasks });
  });
  const { first, data, batches, notes } = prepared;
  const { options } = batches;
  const report = reportData(data, options);
  return {
    report: {
      ...report,
      notes: [...notes, ...report.notes],
      notesInEnglish: [...notes.map(englishOf), ...report.notesInEnglish],
    },
    task: data.task,
    tasks: tasksOf(first),
    columns: data.found.columns ?? [],
    mapping: data.found.mapping ?? {},
    hasHeader: data.found.hasHeader ?? null,
    firstCells: data.found.firstCells ?? {},
    examples: previewExamples(
      data.dataset,
      first.tokenizer,
      data.dataset.kind === 'image' ? SHOWN.pictures : SHOWN.texts,
      options,
    ),
  };
}

const NAMED_CLASSES = 20;
/** Letters of a class's name in a sentence. */
const NAME_LETTERS = 60;
const shortened = (name: string): string =>
  name.length > NAME_LETTERS ? `${name.slice(0, NAME_LETTERS - 1)}…` : name;

/** What the data is, in figures and sentences. */
export function reportData({ dataset, found }: OpenedData, options: BatchOptions): DataReport {
  const labels = labelsOf(dataset);
  const [trainExamples, heldExamples] = (['train', 'held'] as const).map((split) =>
    exampleCount(dataset, split, options),
  ) as [number, number];
  const notes = [...found.notes];
  if ('tokens' in dataset.train && 'tokens' in dataset.held)
    notes.push(
      say`${dataset.train.tokens.length} tokens to learn from, ${dataset.held.tokens.length} held out, in windows of ${options.sequenceLength!}.`,
    );
  else notes.push(say`${trainExamples} examples to learn from, ${heldExamples} held out.`);
  if (options.lengths && options.lengths.length > 1)
    notes.push(
      say`Batches are padded to ${options.lengths.join(', ')} tokens, by the length of their examples.`,
    );
  const named = facts(labels.slice(0, NAMED_CLASSES).map(shortened));
  if (labels.length > NAMED_CLASSES) notes.push(say`${labels.length} classes, among them ${named}.`);
  else if (labels.length > 0) notes.push(say`${labels.length} classes: ${named}.`);
  const picture =
    dataset.kind === 'image' && options.mean && options.std
      ? {
          picture: {
            ...{ width: dataset.width, height: dataset.height, channels: dataset.channels },
            ...{ mean: options.mean, std: options.std },
            tones: tonesOf(dataset),
          },
        }
      : {};
  return {
    name: dataset.name,
    kind: dataset.kind,
    labels,
    trainExamples,
    heldExamples,
    ...picture,
    notes,
    notesInEnglish: notes.map(englishOf),
  };
}
