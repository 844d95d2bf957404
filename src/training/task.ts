/**
 * A model and its data as one task: the length that fits, the dataset, the head for its classes, and the check that the model has a row
 * and a score for everything in it. Training, preview, comparison, adapters and the Python project all begin here.
 */
import type { BaseParameter } from '../adapters/plan.ts';
import { embeddedDataset } from '../data/catalogue.ts';
import { CONLL, extension } from '../data/files/bytes.ts';
import { checkMapping } from '../data/files/columns.ts';
import { type DataTask, type Found, type OpenOptions, openDataset } from '../data/files/open.ts';
import type { ImageDecoder } from '../data/files/png.ts';
import { atSize, drawingsDataset } from '../data/pictures.ts';
import { maskedText, textDataset } from '../data/text.ts';
import { type Dataset, isRows, type TextDataset } from '../data/types.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { anyOf, paragraph, say } from '../lib/say.ts';
import type { LoadedModel, ModelTask } from '../models/load.ts';
import { type BatchPlan, planBatches } from './batchPlan.ts';
import { checkData, fitLength, withinVocabulary } from './contract.ts';
import { fetchData } from './fetched.ts';
import { readFiles } from './inputFiles.ts';
import { type Host, needHub, type OpenedModel, openModel, tokenizerOf } from './openModel.ts';
import type { DataOptions, DataSource, ModelSource, Task } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import type { LossKind } from './stepGraph.ts';

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
  /** The model's, by PyTorch name. */
  readonly parameters: ReadonlyMap<string, BaseParameter>;
  /** Sentences on what does not follow from the settings alone. */
  readonly notes: readonly string[];
}

/**
 * Opens a model and data for it.
 * @param asked with any length of text, which is cut to what the model reads
 * @throws PapilioError as reading and importing the files do; 'bad-data' on data that cannot be used or does not fit the model
 */
export async function prepareTask(
  source: ModelSource,
  dataSource: DataSource,
  asked: TrainingSettings,
  host: Host,
  onBytes?: (done: number, total: number, what: string) => void,
): Promise<PreparedTask> {
  const first = await openModel(source, host, onBytes);
  const { sequenceLength, exactly, notes } = fitLength(first, asked.sequenceLength);
  const training = sequenceLength === asked.sequenceLength ? asked : { ...asked, sequenceLength };
  const opened = await openData(dataSource, first, training, host);
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
    batches: planBatches(dataset, training, model.image, dataSource.options?.padding, exactly),
    parameters: parametersOf(model),
    notes,
  };
}

export const parametersOf = (model: LoadedModel): ReadonlyMap<string, BaseParameter> =>
  new Map(model.parameters.map((p) => [p.name, p]));

// What a model can be trained for, what data that takes, how it is scored, and the model with the head that the data asks for.

/** What openDataset is asked for. */
const dataTasks: Readonly<Record<Task, DataTask>> = {
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
    : fail(
        'bad-argument',
        say`There is no task "${word}"; choose one of ${Object.keys(dataTasks).join(', ')}.`,
      );
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
const wordsOf = (kind: ModelTask): string =>
  ({
    'image-classification': say`scores of classes of pictures`,
    'causal-lm': say`scores of words`,
    'masked-lm': say`scores of words`,
    'token-classification': say`scores of classes of words`,
    'text-classification': say`scores of classes of texts`,
    regression: say`a number`,
    'bare-text': say`hidden states`,
    'bare-decoder': say`hidden states`,
    'bare-pictures': say`hidden states`,
    other: say`something else`,
  })[kind];

/** The sentence on a decoder that can learn labels, but no words. */
const withoutWords = ({ name, model }: OpenedModel): string =>
  say`${name} ends in hidden states (${model.output}) without the language-model head, and config.json does not tie one to its token table, so it is given a new head for labelled texts; to learn texts alone, export the model with its own head (for instance with Optimum's task text-generation).`;

function refuseKind({ name, model }: OpenedModel): never {
  return fail(
    'unsupported-onnx',
    say`${name} ${model.instead}, so it cannot be trained here; choose a classifier, a tagger or a language model of texts or pictures alone.`,
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
    const may = distinct([model.task, ...model.orElse].map(wordsOf));
    return (
      settled(opened) ??
      fail(
        'bad-argument',
        say`${name} gives ${model.output} of width ${model.scores}, which may be ${anyOf(may)}, and neither names nor config.json say which; choose the task: ${tasks.map((task) => `--task ${task}`).join(', ')}.`,
      )
    );
  }
  if (tasks.includes(asked)) return asked;
  if (model.task === 'bare-decoder' && asked === 'causal-lm') fail('bad-argument', withoutWords(opened));
  const own = model.task.startsWith('bare-')
    ? say`${name} gives ${wordsOf(model.task)} and can be trained for ${tasks.join(', ')}; it cannot be trained for ${asked}.`
    : say`${name} is made for ${tasks[0]!}; it cannot be trained for ${asked}.`;
  const isLanguage = model.task === 'causal-lm' || model.task === 'masked-lm';
  const advice =
    isLanguage && HEADS.includes(asked)
      ? say`Choose the task ${tasks[0]!}, a model made for ${asked}, or this one exported without its head (Optimum's task feature-extraction), which is given a new one.`
      : say`Choose the task ${tasks[0]!}, or a model made for ${asked}.`;
  return fail('bad-argument', paragraph([own, advice]));
}

/** The classes of a dataset; none for data without. */
export const labelsOf = (dataset: Dataset): readonly string[] => ('labels' in dataset ? dataset.labels : []);

export const lossOf = (dataset: Dataset): LossKind =>
  dataset.kind === 'text-value' ? 'squared-error' : 'cross-entropy';

const SEGMENTS = 'token_type_ids';

/** The model fed with `token_type_ids`, where the data has pairs of texts and the model asks for them. */
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
function withHeadFor(model: LoadedModel, dataset: Dataset, seed: number): LoadedModel {
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
          say`config.json says problem_type ${problem}; the data has one label for each example, so it is trained with one label each (softmax and cross-entropy), and the merged config.json says so.`,
        ]
      : [];
  const areNamed = (model.labels ?? []).some((label) => !/^LABEL_\d+$/.test(label));
  if (
    resized === model &&
    !areNamed &&
    labels.some((label, i) => label !== String(i) && label !== model.labels?.[i])
  )
    warnings.push(
      say`The model does not name its classes: its ${labels.length} scores are taken for ${labels.slice(0, 8).join(', ')}${labels.length > 8 ? ', …' : ''}, in this order.`,
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

// Opens the dataset of a run in the model's own terms, and says what was found in it.

/** A dataset with what was found out while reading it. */
export interface OpenedData {
  readonly dataset: Dataset;
  readonly task: Task;
  /** What the dataset's hash is taken of. */
  readonly bytes: readonly Uint8Array[];
  readonly found: Found;
}

/** @throws PapilioError 'bad-data' on data that cannot be used or does not fit the model */
async function openData(
  from: DataSource,
  opened: OpenedModel,
  settings: { readonly seed: number; readonly sequenceLength: number },
  host: Pick<Host, 'decodeImage' | 'hub'>,
): Promise<OpenedData> {
  const { tokenizer } = opened;
  const { seed } = settings;
  const source =
    from.kind === 'hub' || from.kind === 'url'
      ? { kind: 'files' as const, files: await fetchData(from, await needHub(host)) }
      : from;
  let task = taskForData(opened, source, from.options?.task);
  const needTokenizer = () => tokenizerOf(opened);
  const encoded = (text: string) => [new TextEncoder().encode(text)];
  let found: Found = { notes: [] };
  /** A running text as the model reads it. */
  const asText = (dataset: TextDataset): Dataset =>
    task === 'masked-lm' ? maskedText(dataset, needTokenizer()) : dataset;
  /** Pictures that are no files come as the model takes them: at its size, nothing cut away. */
  const sized = (dataset: Dataset): Dataset =>
    dataset.kind === 'image' && opened.model.image ? atSize(dataset, opened.model.image) : dataset;
  let dataset: Dataset;
  let bytes: readonly Uint8Array[];
  switch (source.kind) {
    case 'embedded': {
      const given = embeddedDataset(source.name, { seed: 0, ...(tokenizer ? { tokenizer } : {}) });
      dataset = given.kind === 'text' ? asText(given) : sized(given);
      bytes = encoded(source.name);
      break;
    }
    case 'text':
      dataset = asText(textDataset(say`Your text`, source.text, needTokenizer()));
      bytes = encoded(source.text);
      break;
    case 'drawings':
      dataset = sized(drawingsDataset(source.classes, source.size, { seed }));
      bytes = source.classes.flatMap((c) => [
        ...encoded(c.label),
        ...c.images.map((i) => new Uint8Array(i.buffer, i.byteOffset, i.byteLength)),
      ]);
      break;
    case 'files': {
      const files = await readFiles(source.files);
      const given = { files, options: from.options ?? {}, settings, decodeImage: host.decodeImage };
      ({ dataset, found, task } = await openFiles(opened, given, task));
      bytes = [...files.map((f) => f.bytes), ...(from.options ? encoded(JSON.stringify(from.options)) : [])];
      break;
    }
  }
  const wanted = dataTasks[task];
  if (dataset.kind === 'text' && wanted !== 'text' && opened.model.task === 'bare-decoder')
    fail('bad-data', withoutWords(opened));
  if (dataset.kind !== wanted && !(wanted === 'text' && dataset.kind === 'instruction')) {
    fail(
      'bad-data',
      say`${opened.name} is made for ${task}, but ${dataset.name} is ${dataset.kind} data; choose data or model to match.`,
    );
  }
  return { dataset, task, bytes, found };
}

interface GivenData {
  readonly files: readonly InputFile[];
  readonly options: DataOptions;
  readonly settings: { readonly seed: number; readonly sequenceLength: number };
  readonly decodeImage: ImageDecoder;
}

/** Files as data for a task; for their labels, where nobody chose the task and a decoder can be given a head for them as well. */
async function openFiles(
  opened: OpenedModel,
  given: GivenData,
  task: Task,
): Promise<{ readonly dataset: Dataset; readonly found: Found; readonly task: Task }> {
  const { files, options, settings, decodeImage } = given;
  const found: Found = { notes: [] };
  const open = () => openDataset(files, openOptions(opened, task, settings, options, decodeImage), found);
  const takesLabels = task === 'causal-lm' && opened.model.takesHead && options.task === undefined;
  const labels = () => (takesLabels ? unreadLabels(found, task) : []);
  const dataset = await open().catch((error: unknown) =>
    labels().length > 0 ? null : adviseTask(error, opened, options.task),
  );
  const [label] = labels();
  if (label === undefined && dataset) {
    found.notes.push(...labelsLeft(found, task));
    return { dataset, found, task };
  }
  const classes = await openFiles(opened, given, 'text-classification');
  classes.found.notes.push(
    say`The column "${label!}" is learnt with a new head; to learn the texts alone, choose the task causal-lm.`,
  );
  return classes;
}

/** The task: what was asked for, what the model is for, or for an encoder without a head what the files are. */
function taskForData(opened: OpenedModel, source: DataSource, asked: Task | undefined): Task {
  const isTagged =
    source.kind === 'files' &&
    source.files.every(({ name }) => CONLL.includes(extension(name.replace(/\.gz$/, ''))));
  const isBare = opened.model.takesHead && opened.model.image === null && opened.model.orElse.length === 0;
  return taskOf(opened, asked ?? (isBare && isTagged ? 'token-classification' : undefined));
}

/** Complaints about data say what else the model could be trained for, where nobody chose the task. */
function adviseTask(error: unknown, opened: OpenedModel, asked: Task | undefined): never {
  if (!(error instanceof PapilioError) || error.kind !== 'bad-data' || asked !== undefined) throw error;
  const { name, model } = opened;
  const advice =
    model.task === 'bare-decoder'
      ? [withoutWords(opened)]
      : model.task.startsWith('bare-text')
        ? [
            say`${name} gives hidden states and no scores, so it is given a new head for the labels of the data; for tags of words choose the task token-classification, for numbers regression.`,
          ]
        : model.task === 'regression'
          ? [
              say`${name} gives one number for a text; for classes choose the task text-classification, which gives it a new classifier.`,
            ]
          : [];
  throw new PapilioError(error.kind, paragraph([error.message, ...advice]), error.details);
}

/** Columns that look like labels beside the text that a language model reads. */
function unreadLabels({ columns = [], mapping = {} }: Found, task: Task): string[] {
  if (task !== 'causal-lm' && task !== 'masked-lm') return [];
  const read = new Set<unknown>(Object.values(mapping));
  return columns.filter(
    (column) => /^(label|labels|class|category|sentiment|target)$/i.test(column) && !read.has(column),
  );
}

function labelsLeft(found: Found, task: Task): string[] {
  return unreadLabels(found, task)
    .slice(0, 1)
    .map(
      (label) =>
        say`The column "${label}" is not read: the model scores words and learns the texts alone. For labels choose a classifier, or a file that ends in hidden states (Optimum's task feature-extraction), which is given a new head.`,
    );
}

function openOptions(
  opened: OpenedModel,
  task: Task,
  settings: { readonly seed: number; readonly sequenceLength: number },
  { mapping, keepClasses, task: _, padding: __, ...table }: DataOptions,
  decodeImage: ImageDecoder,
): OpenOptions {
  const { model, tokenizer } = opened;
  const labels = classNames(model);
  return {
    task: dataTasks[task],
    ...settings,
    decodeImage,
    ...(task === 'image-classification' && model.image ? { preprocessing: model.image } : {}),
    ...(tokenizer ? { tokenizer } : {}),
    ...(task === 'causal-lm' ? { chat: opened.chat() } : {}),
    ...(labels ? { labels } : {}),
    ...(mapping ? { mapping: checkMapping(mapping) } : {}),
    ...(keepClasses ? { keepClasses } : {}),
    ...table,
  };
}
