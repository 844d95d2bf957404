/** Opens the dataset of a run in the model's own terms, and says what was found in it. */
import { type BatchOptions, exampleCount } from '../data/batches.ts';
import { embeddedDataset } from '../data/catalogue.ts';
import { extension } from '../data/files/bytes.ts';
import { checkMapping } from '../data/files/columns.ts';
import { CONLL } from '../data/files/endings.ts';
import { type Found, type OpenOptions, openDataset } from '../data/files/open.ts';
import type { ImageDecoder } from '../data/files/png.ts';
import { atSize, drawingsDataset } from '../data/pictures.ts';
import { maskedText, textDataset } from '../data/text.ts';
import type { Dataset, TextDataset } from '../data/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { fetchData } from './fetched.ts';
import { readGiven } from './givenFiles.ts';
import { needHub, type OpenedModel, type Surroundings, tokenizerOf } from './openModel.ts';
import type { DataOptions, DataReport, DataSource, NamedFile, Task } from './protocol.ts';
import { classNames, dataTasks, labelsOf, taskOf, withoutWords } from './tasks.ts';

/** A dataset with what was found out while reading it. */
export interface OpenedData {
  readonly dataset: Dataset;
  readonly task: Task;
  /** What the dataset's hash is taken of. */
  readonly bytes: readonly Uint8Array[];
  readonly found: Found;
}

/** @throws PapilioError 'bad-data' on data that cannot be used or does not fit the model */
export async function openData(
  from: DataSource,
  opened: OpenedModel,
  settings: { readonly seed: number; readonly sequenceLength: number },
  around: Pick<Surroundings, 'decodeImage' | 'hub'>,
): Promise<OpenedData> {
  const { tokenizer } = opened;
  const { seed } = settings;
  const source =
    from.kind === 'hub' || from.kind === 'url'
      ? { kind: 'files' as const, files: await fetchData(from, await needHub(around)) }
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
      dataset = asText(textDataset('Your text', source.text, needTokenizer()));
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
      const files = await readGiven(source.files);
      const given = { files, options: from.options ?? {}, settings, decodeImage: around.decodeImage };
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
      `${opened.name} is made for ${task}, but ${dataset.name} is ${dataset.kind} data; choose data or model to match.`,
    );
  }
  return { dataset, task, bytes, found };
}

interface GivenData {
  readonly files: readonly NamedFile[];
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
  const open = () =>
    openDataset(
      files.map((f) => ({ path: f.name, bytes: f.bytes })),
      openOptions(opened, task, settings, options, decodeImage),
      found,
    );
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
    `The column "${label}" is learnt with a new head; to learn the texts alone, choose the task causal-lm.`,
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
      ? ` ${withoutWords(opened)}`
      : model.task.startsWith('bare-text')
        ? ` ${name} gives hidden states and no scores, so it is given a new head for the labels of the data; for tags of words choose the task token-classification, for numbers regression.`
        : model.task === 'regression'
          ? ` ${name} gives one number for a text; for classes choose the task text-classification, which gives it a new classifier.`
          : '';
  throw new PapilioError(error.kind, `${error.message}${advice}`, error.details);
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
        `The column "${label}" is not read: the model scores words and learns the texts alone. For labels choose a classifier, or a file that ends in hidden states (Optimum's task feature-extraction), which is given a new head.`,
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
      `${dataset.train.tokens.length} tokens to learn from, ${dataset.held.tokens.length} held out, in windows of ${options.sequenceLength}.`,
    );
  else notes.push(`${trainExamples} examples to learn from, ${heldExamples} held out.`);
  if (options.lengths && options.lengths.length > 1)
    notes.push(
      `Batches are padded to ${options.lengths.join(', ')} tokens, by the length of their examples.`,
    );
  if (labels.length > 0)
    notes.push(
      `${labels.length} classes: ${labels.slice(0, NAMED_CLASSES).map(shortened).join(', ')}${labels.length > NAMED_CLASSES ? ', …' : ''}.`,
    );
  const picture =
    dataset.kind === 'image' && options.mean && options.std
      ? {
          picture: {
            ...{ width: dataset.width, height: dataset.height, channels: dataset.channels },
            ...{ mean: options.mean, std: options.std },
          },
        }
      : {};
  return { name: dataset.name, kind: dataset.kind, labels, trainExamples, heldExamples, ...picture, notes };
}
