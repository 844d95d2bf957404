/** What a model can be trained for, what data that takes, how it is scored, and the model with the head that the data asks for. */
import type { DataTask } from '../data/files/open.ts';
import { type Dataset, isRows } from '../data/types.ts';
import { fail } from '../lib/errors.ts';
import type { LoadedModel, ModelTask } from '../models/load.ts';
import type { LossKind } from './loss.ts';
import type { OpenedModel } from './openModel.ts';
import type { Task } from './protocol.ts';

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
  model.task.startsWith('bare-') ? undefined : model.scores;

/** Class names of config.json, if there is one for each output. */
export function classNames(model: LoadedModel): readonly string[] | null {
  if (model.labels) return model.labels;
  const named = model.config.id2label as Readonly<Record<string, string>> | undefined;
  const count = outputsOf(model);
  return named && count !== undefined && Object.keys(named).length === count
    ? Array.from({ length: count }, (_, i) => String(named[i] ?? i))
    : null;
}

/** What a new head behind the hidden states of texts can learn. */
const HEADS: readonly Task[] = ['text-classification', 'token-classification', 'regression'];

/** What can be trained on a model that is read as one kind, the usual first. */
function tasksOfKind(kind: ModelTask, model: LoadedModel): readonly Task[] {
  if (kind === 'bare-text' || kind === 'bare-decoder') return HEADS;
  if (kind === 'bare-pictures') return ['image-classification'];
  if (kind === 'other') return [];
  if (kind === 'text-classification' && model.config.problem_type === 'regression')
    return ['regression', 'text-classification'];
  const related = RELATED.filter((group) => group.includes(kind)).flat();
  return [kind, ...related, ...(kind === 'causal-lm' && model.takesHead ? HEADS : [])];
}

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** In the words of a sentence: what a file may give. */
const WORDS: Readonly<Record<ModelTask, string>> = {
  'image-classification': 'scores of classes of pictures',
  'causal-lm': 'scores of words',
  'masked-lm': 'scores of words',
  'token-classification': 'scores of classes of words',
  'text-classification': 'scores of classes of texts',
  regression: 'a number',
  'bare-text': 'hidden states',
  'bare-decoder': 'hidden states',
  'bare-pictures': 'hidden states',
  other: 'something else',
};

/** The sentence on a decoder that can learn labels, but no words. */
export const withoutWords = ({ name, model }: OpenedModel): string =>
  `${name} ends in hidden states (${model.output}) without the language-model head, and config.json does not tie one to its token table, so it is given a new head for labelled texts; to learn texts alone, export the model with its own head (for instance with Optimum's task text-generation).`;

function refuseKind({ name, model }: OpenedModel): never {
  return fail(
    'unsupported-onnx',
    `${name} ${model.instead}, so it cannot be trained here; choose a classifier, a tagger or a language model of texts or pictures alone.`,
  );
}

/** The tasks that a model can be trained for, its own first. @throws PapilioError 'unsupported-onnx' for a model that no data here fits */
export function tasksOf(opened: OpenedModel): readonly Task[] {
  const { model } = opened;
  const tasks = distinct([model.task, ...model.orElse].flatMap((kind) => tasksOfKind(kind, model)));
  return tasks.length === 0 ? refuseKind(opened) : tasks;
}

/** The task of a file that may be read in several ways, if the tokenizer or the classes named in config.json settle it. */
function settled({ model, tokenizer }: OpenedModel): Task | null {
  const may = [model.task, ...model.orElse];
  const words = may.find((kind) => kind === 'masked-lm' || kind === 'causal-lm');
  if (words && tokenizer && tokenizer.vocabSize === model.scores) return words as Task;
  return may.includes('token-classification') && words && tokenizer && model.scores * 2 < tokenizer.vocabSize
    ? 'token-classification'
    : null;
}

/**
 * The task to train for.
 * @param asked what the user wants; must be the model's own or one that a new head makes possible
 * @throws PapilioError 'unsupported-onnx' for a model that no dataset here fits, 'bad-argument' for a task that is not the model's
 */
export function taskOf(opened: OpenedModel, asked?: Task): Task {
  const { name, model } = opened;
  const tasks = tasksOf(opened);
  if (asked === undefined) {
    if (model.orElse.length === 0) return tasks[0]!;
    const may = distinct([model.task, ...model.orElse].map((kind) => WORDS[kind])).join(' or ');
    return (
      settled(opened) ??
      fail(
        'bad-argument',
        `${name} gives ${model.output} of width ${model.scores}, which may be ${may}, and neither names nor config.json say which; choose the task: ${tasks.map((task) => `--task ${task}`).join(', ')}.`,
      )
    );
  }
  if (tasks.includes(asked)) return asked;
  if (model.task === 'bare-decoder' && asked === 'causal-lm') fail('bad-argument', withoutWords(opened));
  const own = model.task.startsWith('bare-')
    ? `gives ${WORDS[model.task]} and can be trained for ${tasks.join(', ')}`
    : `is made for ${tasks[0]}`;
  const isLanguage = model.task === 'causal-lm' || model.task === 'masked-lm';
  const anew =
    isLanguage && HEADS.includes(asked)
      ? `, or this one exported without its head (Optimum's task feature-extraction), which is given a new one`
      : '';
  return fail(
    'bad-argument',
    `${name} ${own}; it cannot be trained for ${asked}. Choose the task ${tasks[0]}, or a model made for ${asked}${anew}.`,
  );
}

/** The classes of a dataset; none for data without. */
export const labelsOf = (dataset: Dataset): readonly string[] => ('labels' in dataset ? dataset.labels : []);

export const lossOf = (dataset: Dataset): LossKind =>
  dataset.kind === 'text-value' ? 'squared-error' : 'cross-entropy';

const SEGMENTS = 'token_type_ids';

/** The model that is told which of two texts each token belongs to, where the data has pairs and the model asks for it. */
function withSegments(model: LoadedModel, dataset: Dataset): LoadedModel {
  const asks = model.inputs.find(({ feed }) => feed === SEGMENTS)?.name;
  if (asks === undefined || !isRows(dataset) || !dataset.train.segments) return model;
  return {
    ...model,
    build: (batch, sequence) => model.build(batch, sequence, [asks]),
    at: (precision) => withSegments(model.at(precision), dataset),
  };
}

/**
 * The model for the classes of the data, named by them; with a new, random head where it has none or their number differs.
 * @throws PapilioError 'unsupported-onnx' where no such head can be made
 */
export function withHeadFor(model: LoadedModel, dataset: Dataset, seed: number): LoadedModel {
  return withSegments(withClassesOf(model, dataset, seed), dataset);
}

/** Whether data of this kind needs a head that the file, read as it is, does not have. */
function needsHead(model: LoadedModel, { kind }: Dataset): boolean {
  const reads = [model.task, ...model.orElse];
  if (!model.takesHead && !reads.some((task) => task.startsWith('bare-'))) return false;
  if (kind === 'token-class') return !reads.includes('token-classification');
  if (kind === 'text-class') return !reads.includes('text-classification');
  return kind === 'text-value' ? !reads.includes('regression') : kind === 'image';
}

function withClassesOf(model: LoadedModel, dataset: Dataset, seed: number): LoadedModel {
  const head = {
    anew: needsHead(model, dataset),
    byToken: dataset.kind === 'token-class',
    ...(isRows(dataset) ? { padId: dataset.padId } : {}),
  };
  if (dataset.kind === 'text-value') {
    const resized = model.withClasses(['LABEL_0'], seed, head);
    return { ...resized, config: { ...resized.config, problem_type: 'regression' } };
  }
  const labels = labelsOf(dataset);
  if (labels.length === 0) return model;
  const resized = model.withClasses(labels, seed, head);
  const id2label = Object.fromEntries(labels.map((label, i) => [i, label]));
  const { problem_type: problem, ...config } = resized.config;
  const warnings =
    typeof problem === 'string' && problem !== 'single_label_classification'
      ? [
          `config.json says problem_type ${problem}; the data has one label for each example, so it is trained with one label each (softmax and cross-entropy), and the merged config.json says so.`,
        ]
      : [];
  const areNamed = (model.labels ?? []).some((label) => !/^LABEL_\d+$/.test(label));
  if (
    resized === model &&
    !areNamed &&
    labels.some((label, i) => label !== String(i) && label !== model.labels?.[i])
  )
    warnings.push(
      `The model does not name its classes: its ${labels.length} scores are taken for ${labels.slice(0, 8).join(', ')}${labels.length > 8 ? ', …' : ''}, in this order.`,
    );
  return {
    ...resized,
    labels,
    config: {
      ...config,
      id2label,
      ...(problem === undefined ? {} : { problem_type: 'single_label_classification' }),
    },
    warnings: [...resized.warnings, ...warnings],
  };
}
