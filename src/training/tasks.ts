/** What a model can be trained for, what data that takes, how it is scored, and the model with the head that the data asks for. */
import type { DataTask } from '../data/files/open.ts';
import { type Dataset, isRows } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import type { LoadedModel } from '../models/load.ts';
import type { LossKind } from './loss.ts';
import type { Task } from './protocol.ts';
import type { OpenedModel } from './source.ts';

/** What openDataset is asked for. */
export const dataTasks: Readonly<Record<Task, DataTask>> = {
  'image-classification': 'image',
  'text-classification': 'text-class',
  'token-classification': 'token-class',
  regression: 'text-value',
  'masked-lm': 'masked-text',
  'causal-lm': 'text',
};

/** Tasks for which one kind of head can be exchanged for another. */
const RELATED: readonly (readonly Task[])[] = [['text-classification', 'regression']];

const isTask = (word: string): word is Task => Object.hasOwn(dataTasks, word);

/** @throws PapilioError 'bad-argument' naming the tasks there are */
export function checkTask(word: string): Task {
  return isTask(word)
    ? word
    : fail('bad-argument', `There is no task "${word}"; choose one of ${Object.keys(dataTasks).join(', ')}.`);
}

const outputsOf = (model: LoadedModel): number | undefined =>
  model.modules.find((m) => m.name === model.head)?.out;

/** Class names of config.json, if there is one for each output. */
export function classNames(model: LoadedModel): readonly string[] | null {
  if (model.labels) return model.labels;
  const named = model.config.id2label as Readonly<Record<string, string>> | undefined;
  const count = outputsOf(model);
  return named && count !== undefined && Object.keys(named).length === count
    ? Array.from({ length: count }, (_, i) => String(named[i] ?? i))
    : null;
}

function ownTask({ name, model, tokenizer }: OpenedModel): Task {
  const { task, config } = model;
  const outputs = outputsOf(model);
  if (task === 'other')
    return fail(
      'unsupported-onnx',
      `${name} gives neither class nor token scores of a text or a picture alone; choose a classifier, a tagger or a language model to train.`,
    );
  if (task === 'text-classification') return outputs === 1 ? 'regression' : task;
  if (task !== 'masked-lm') return task;
  const architectures = Array.isArray(config.architectures) ? config.architectures.map(String) : [];
  if (architectures.some((a) => a.endsWith('ForTokenClassification'))) return 'token-classification';
  if (architectures.some((a) => a.endsWith('ForMaskedLM'))) return 'masked-lm';
  const vocabulary = tokenizer?.vocabSize ?? Number(config.vocab_size);
  return outputs !== undefined && outputs * 2 < vocabulary ? 'token-classification' : 'masked-lm';
}

/**
 * The task to train for.
 * @param asked what the user wants; must be the model's own or one that a new head makes possible
 * @throws PapilioError 'unsupported-onnx' for a model that no dataset here fits, 'bad-argument' for a task that is not the model's
 */
export function taskOf(opened: OpenedModel, asked?: Task): Task {
  const own = ownTask(opened);
  if (asked === undefined || asked === own) return own;
  if (RELATED.some((group) => group.includes(own) && group.includes(asked))) return asked;
  return fail(
    'bad-argument',
    `${opened.name} is made for ${own} and cannot be trained for ${asked}; choose the task ${own}, or a model made for ${asked}.`,
  );
}

/** The tasks that a model can be trained for, its own first. @throws PapilioError 'unsupported-onnx' as {@link taskOf} */
export function tasksOf(opened: OpenedModel): readonly Task[] {
  const own = ownTask(opened);
  return [own, ...RELATED.filter((group) => group.includes(own)).flat()].filter(
    (task, i, all) => all.indexOf(task) === i,
  );
}

/** The classes of a dataset; null for data without. */
export const labelsOf = (dataset: Dataset): readonly string[] => ('labels' in dataset ? dataset.labels : []);

export const lossOf = (dataset: Dataset): LossKind =>
  dataset.kind === 'text-value' ? 'squared-error' : 'cross-entropy';

const SEGMENTS = 'token_type_ids';

/** The model that is told which of two texts each token belongs to, where the data has pairs and the model asks for it. */
function withSegments(model: LoadedModel, dataset: Dataset): LoadedModel {
  const asks = model.onnx.graph.inputs.some(({ name }) => name === SEGMENTS);
  if (!asks || !isRows(dataset) || !dataset.train.segments) return model;
  return {
    ...model,
    build: (batch, sequence) => model.build(batch, sequence, [SEGMENTS]),
    at: (precision) => withSegments(model.at(precision), dataset),
  };
}

/** The model for the classes of the data, named by them; with a new, random head where their number differs. */
export function withHeadFor(model: LoadedModel, dataset: Dataset, seed: number): LoadedModel {
  return withSegments(withClassesOf(model, dataset, seed), dataset);
}

function withClassesOf(model: LoadedModel, dataset: Dataset, seed: number): LoadedModel {
  if (dataset.kind === 'text-value') {
    const resized = model.withClasses(['LABEL_0'], seed);
    return { ...resized, config: { ...resized.config, problem_type: 'regression' } };
  }
  const labels = labelsOf(dataset);
  if (labels.length === 0) return model;
  const resized = model.withClasses(labels, seed);
  const id2label = Object.fromEntries(labels.map((label, i) => [i, label]));
  return { ...resized, labels, config: { ...resized.config, id2label } };
}
