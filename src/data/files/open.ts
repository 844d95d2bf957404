/**
 * Whatever the user dropped, pasted or named → a dataset for a task: text, tables (CSV, TSV, JSON, JSONL, Parquet, CoNLL), pictures by folder or
 * table, IDX files, or a zip of any of these. Every way of going wrong is a 'bad-data' sentence, and what is left out is noted.
 */
import { createBudget, within } from '../../lib/budget.ts';
import type { InputFile } from '../../lib/bytes.ts';
import { fail } from '../../lib/errors.ts';
import { listOf, say } from '../../lib/say.ts';
import { type ChatFormat, chatFormat } from '../chat.ts';
import { textClassDataset, textValueDataset, tokenClassDataset } from '../classes.ts';
import { instructionDataset } from '../instructions.ts';
import { createDrops, someOf } from '../notes.ts';
import { describePreprocessing, type Preprocessing } from '../preprocessing.ts';
import { documentsDataset, HELD_SHARE, maskedText, textDataset } from '../text.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Dataset, SplitName, TextDataset } from '../types.ts';
import { CONLL, extension, gunzip, isHidden, PICTURES, readText, TABLES, TEXTS, unpackZip } from './bytes.ts';
import { namesBeside } from './card.ts';
import type { ColumnMapping } from './columns.ts';
import { decodePicture } from './decodePicture.ts';
import type { TableOptions } from './dialect.ts';
import { type EntryOptions, type FoundInTables, type Roles, readEntries } from './entries.ts';
import { idxDataset, isIdxName } from './idx.ts';
import { classFolders, entriesOfFolders, isLabelled } from './labelledText.ts';
import { picturesByFolder, picturesByTable } from './pictureFiles.ts';
import type { ImageDecoder } from './png.ts';
import * as rows from './rowsOf.ts';
import { assignSplits, splitNamed } from './splits.ts';
import { isAbout } from './table.ts';

export interface OpenOptions extends TableOptions {
  readonly task: DataTask;
  readonly name?: string;
  readonly seed?: number;
  /** The model's tokenizer; needed for all but pictures. */
  readonly tokenizer?: Tokenizer;
  /** The model's chat format, for prompts with answers; without it a plain one. */
  readonly chat?: ChatFormat;
  /** What the model's own preprocessing does; needed for `image`. */
  readonly preprocessing?: Preprocessing;
  /** The model's own class names, used where all found labels are among them. */
  readonly labels?: readonly string[];
  /** Labels that the model does not have are errors, instead of reason for a new classifier. */
  readonly keepClasses?: boolean;
  /** Which column is what; what is not told is guessed. */
  readonly mapping?: ColumnMapping;
  /** Longer examples are cut. */
  readonly sequenceLength?: number;
  /** Share of a running text that is held. */
  readonly heldShare?: number;
  /** Decodes pictures; without it PNG and JPEG only. */
  readonly decodeImage?: ImageDecoder;
}

/** What opening finds out besides the data: what was left out, cut or assumed, in sentences, and which column is read as what. */
export type Found = FoundInTables;

/** Opens files as a dataset. @throws PapilioError 'bad-data', or 'bad-argument' where the caller gave too little */
export async function openDataset(
  given: readonly InputFile[],
  options: OpenOptions,
  found: Found = { notes: [] },
): Promise<Dataset> {
  const unpacked = unpack(given);
  const files = withoutAbout(unpacked);
  if (files.length === 0) fail('bad-data', say`There are no files in what was opened.`);
  const name = options.name ?? (given.length === 1 ? given[0]!.name : commonName(given));
  const opening = { name, files, classNames: namesBeside(unpacked), options, found };
  return options.task === 'image' ? openPictures(opening) : openTexts(opening);
}

function unpack(given: readonly InputFile[]): InputFile[] {
  const files = given
    .filter((file) => !isHidden(file.name))
    .flatMap((file) => (extension(file.name) === 'zip' ? unpackZip(file.bytes, file.name) : [file]));
  const isPacked = ({ name }: InputFile): boolean => extension(name) === 'gz' && !isIdxName(name);
  const packed = files.filter(isPacked);
  if (packed.length > 0) within('packedFiles', packed.length, packed[0]!.name);
  return files
    .map((file) =>
      isPacked(file) ? { name: file.name.slice(0, -3), bytes: gunzip(file.bytes, file.name) } : file,
    )
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Data without the files that tell of it, or of a model beside it, unless there is nothing else. */
function withoutAbout(files: readonly InputFile[]): readonly InputFile[] {
  const data = files.filter((file) => !isAbout(file));
  return data.some((file) => extension(file.name) !== 'onnx') ? data : files;
}

const commonName = (files: readonly InputFile[]): string => {
  const folder = files[0]!.name.split('/')[0]!;
  return files.every((f) => f.name.startsWith(`${folder}/`)) ? folder : files[0]!.name;
};

interface Opening {
  readonly name: string;
  /** Class names by column that lie beside the data. */
  readonly classNames: Readonly<Record<string, readonly string[]>>;
  readonly files: readonly InputFile[];
  readonly options: OpenOptions;
  readonly found: Found;
}

const ofKinds = (files: readonly InputFile[], kinds: readonly string[]) =>
  files.filter((file) => kinds.includes(extension(file.name)));

const kindsSeen = (files: readonly InputFile[]): string =>
  [...new Set(files.map((file) => extension(file.name) || say`no extension`))].slice(0, 6).join(', ');

function readingOf({ files, options, found }: Opening): rows.Reading {
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  return {
    drops: createDrops(),
    room: createBudget('tableRows', bytes),
    json: createBudget('tablesJsonBytes', bytes),
    notes: found.notes,
    ...(options.labels ? { labels: options.labels } : {}),
    ...(options.keepClasses ? { keepClasses: true } : {}),
  };
}

/** Says what lies beside the files that are used. */
function noteUnused({ files, found }: Opening, used: readonly InputFile[]): void {
  const isUsed = new Set(used);
  const rest = files.filter((file) => !isUsed.has(file));
  if (rest.length > 0)
    found.notes.push(say`${rest.length} file(s) of other kinds are not used (${kindsSeen(rest)}).`);
}

async function openPictures(opening: Opening): Promise<Dataset> {
  const { name, files, options } = opening;
  const { preprocessing: steps, seed = 0, decodeImage = decodePicture } = options;
  if (!steps) return fail('bad-argument', say`Pictures need the size that the model takes.`);
  opening.found.notes.push(describePreprocessing(steps), ...steps.notes);
  if (files.some((file) => isIdxName(file.name)))
    return idxDataset(name, files, steps, { seed, ...(options.labels ? { labels: options.labels } : {}) });
  const pictures = ofKinds(files, PICTURES);
  const tables = ofKinds(files, TABLES);
  const reading = readingOf(opening);
  if (tables.length > 0) {
    noteUnused(opening, [...tables, ...pictures]);
    const { entries } = await readEntries(tables, entryOptions(opening), reading, opening.found, () => ({
      needed: ['image', 'label'],
    }));
    return picturesByTable(name, entries, files, { steps, seed, decodeImage }, reading);
  }
  if (pictures.length === 0) refuseKind(files, options.task);
  noteUnused(opening, pictures);
  return picturesByFolder(name, pictures, { steps, seed, decodeImage }, reading);
}

const entryOptions = ({ options, classNames }: Opening): EntryOptions => ({
  classNames,
  ...tableOptions(options),
  ...(options.mapping ? { mapping: options.mapping } : {}),
  isTagged: options.task === 'token-class',
});

/** What was told of how tables are written. */
const tableOptions = ({ header, delimiter, quotes, decimal }: TableOptions): TableOptions => ({
  ...(header === undefined ? {} : { header }),
  ...(delimiter === undefined ? {} : { delimiter }),
  ...(quotes === undefined ? {} : { quotes }),
  ...(decimal === undefined ? {} : { decimal }),
});

/** Entries of files in which classes or numbers go with texts. */
async function labelledEntries(
  opening: Opening,
  task: keyof typeof ROLES,
  reading: rows.Reading,
): Promise<{ readonly entries: readonly rows.Entry[]; readonly total: number }> {
  const { files, options, found } = opening;
  const own = ofKinds(files, task === 'token-class' ? [...TABLES, ...CONLL, 'txt'] : TABLES);
  const folders =
    own.length === 0 && task === 'text-class'
      ? classFolders(files, (folder) => splitNamed(folder) === undefined)
      : null;
  if (folders) {
    const labelled = folders.files.map(({ file }) => file);
    noteUnused(opening, labelled);
    const above = ({ name: path }: InputFile) => [...path.split('/').slice(0, -2), ''].join('/');
    const splits = assignSplits(labelled, above, found.notes);
    return { entries: entriesOfFolders(folders, splits, reading), total: splits.files.length };
  }
  const tables = own.length === 0 ? files.filter((file) => isLabelled(file, options)) : own;
  if (tables.length === 0) refuseKind(files, task);
  noteUnused(opening, tables);
  return readEntries(tables, entryOptions(opening), reading, found, () => ROLES[task]);
}

async function openTexts(opening: Opening): Promise<Dataset> {
  const { name, files, options, found } = opening;
  const { tokenizer, task } = options;
  if (!tokenizer)
    return fail(
      'bad-argument',
      say`Text needs the tokenizer of the model: put its tokenizer.json beside the .onnx.`,
    );
  const reading = readingOf(opening);
  const { drops, notes } = reading;
  const rowOptions = {
    seed: options.seed ?? 0,
    ...(options.sequenceLength === undefined ? {} : { sequenceLength: options.sequenceLength }),
  };
  const classOptions = { ...rowOptions, ...(options.labels ? { labels: options.labels } : {}) };
  const settle = (total: number) => notes.push(...drops.settle(total));
  if (task === 'text-class' || task === 'text-value' || task === 'token-class') {
    const { entries, total } = await labelledEntries(opening, task, reading);
    if (task === 'text-class') {
      const labelled = rows.classRows(entries, reading);
      settle(total);
      return textClassDataset(name, labelled, tokenizer, classOptions, notes);
    }
    if (task === 'text-value') {
      const valued = rows.valueRows(entries, reading);
      settle(total);
      return textValueDataset(name, valued, tokenizer, rowOptions, notes);
    }
    const tagged = rows.taggedRows(entries, reading);
    settle(total);
    return tokenClassDataset(name, tagged, tokenizer, classOptions, notes);
  }
  const whole = (dataset: TextDataset): Dataset =>
    task === 'masked-text' ? maskedText(dataset, tokenizer) : dataset;
  const texts = ofKinds(files, TEXTS);
  const share = options.heldShare === undefined ? {} : { heldShare: options.heldShare };
  if (texts.length > 0) {
    noteUnused(opening, texts);
    const splits = assignSplits(texts, ({ name: path }) => path, notes);
    const read = splits.files.map((file) => ({
      text: readText(file.bytes, file.name, notes),
      split: splits.of(file.name),
    }));
    const stated = asStated(name, read, tokenizer);
    return whole(stated ?? textDataset(name, read.map((r) => r.text).join('\n\n'), tokenizer, share));
  }
  const tables = ofKinds(files, TABLES);
  if (tables.length === 0) refuseKind(files, task);
  noteUnused(opening, tables);
  const mapping = options.mapping ?? {};
  const asChats = (columns: readonly string[]) => task === 'text' && rows.holdsChats(columns, mapping);
  const { entries, total } = await readEntries(tables, entryOptions(opening), reading, found, (columns) =>
    asChats(columns) ? rows.chatRoles(columns, mapping) : { needed: ['text'] },
  );
  if (asChats(found.columns ?? [])) {
    const chats = rows.chatRows(rows.withoutUnanswerable(entries, notes), reading);
    const chat = options.chat ?? chatFormat({});
    return instructionDataset(name, chats, tokenizer, chat, { ...rowOptions, drops, total }, notes);
  }
  const documents = rows.documentRows(entries, reading);
  settle(total);
  return whole(splitDocuments(name, documents, tokenizer, options.heldShare ?? HELD_SHARE));
}

const ROLES = {
  'text-class': { needed: ['text', 'label'], optional: ['pair'] },
  'text-value': { needed: ['text', 'value'], optional: ['pair'] },
  'token-class': { needed: ['tokens', 'tags'] },
} satisfies { readonly [T in DataTask]?: Roles };

interface Document {
  readonly text: string;
  readonly split?: SplitName | undefined;
}

/** Documents as the files split them; null where the files do not. */
function asStated(name: string, documents: readonly Document[], tokenizer: Tokenizer): TextDataset | null {
  const of = (isHeld: boolean) => documents.filter((d) => (d.split === 'held') === isHeld).map((d) => d.text);
  const [train, held] = [of(false), of(true)];
  return train.length > 0 && held.length > 0 ? documentsDataset(name, train, held, tokenizer) : null;
}

/** Documents as the files split them, else the last ones held. */
function splitDocuments(
  name: string,
  documents: readonly Document[],
  tokenizer: Tokenizer,
  share: number,
): TextDataset {
  const texts = documents.map((d) => d.text);
  const cut = texts.length - Math.max(1, Math.round(texts.length * share));
  return (
    asStated(name, documents, tokenizer) ??
    documentsDataset(name, texts.slice(0, cut), texts.slice(cut), tokenizer)
  );
}

// What files are, in words: for the sentence to someone whose files are other data than the model reads.

/** What a dataset is opened for. `text` is a language model's: running text, documents, or prompts with answers, whichever the columns say. */
export type DataTask = 'text' | 'masked-text' | 'text-class' | 'text-value' | 'token-class' | 'image';

const textRead = (): string => say`text: .txt, or a table (.csv, .jsonl, .parquet) with a text column`;
const readBy = (): Readonly<Record<DataTask, string>> => ({
  text: textRead(),
  'masked-text': textRead(),
  'text-class': say`texts with labels: a table (.csv, .jsonl, .parquet), text with a label in each line, or folders of classes`,
  'text-value': say`texts with numbers: a table (.csv, .jsonl, .parquet)`,
  'token-class': say`words with tags: .conll, or a table (.csv, .jsonl, .parquet) of tokens and tags`,
  image: say`pictures: a folder or .zip with one folder per class, a table of pictures, or IDX files`,
});

function kindOf({ name: path }: InputFile): string {
  const ending = extension(path);
  if (isIdxName(path)) return say`pictures as IDX files`;
  if (PICTURES.includes(ending)) return say`pictures`;
  if (CONLL.includes(ending)) return say`words with tags`;
  if (TABLES.includes(ending)) return say`tables`;
  if (TEXTS.includes(ending)) return say`texts`;
  return ending === '' ? say`files without an extension` : say`files of the kind .${ending}`;
}

const SHOWN = 2;

/** `pictures (blue/0.png, blue/1.png and 38 more) and texts (about.txt)` */
function described(files: readonly InputFile[]): string {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const kind = kindOf(file);
    const paths = groups.get(kind);
    if (paths) paths.push(file.name);
    else groups.set(kind, [file.name]);
  }
  const shown = [...groups].map(([kind, paths]) => {
    return `${kind} (${someOf(paths, SHOWN)})`;
  });
  return listOf(shown);
}

/** @throws PapilioError 'bad-data' that says what the files are and what is read for the task */
function refuseKind(files: readonly InputFile[], task: DataTask): never {
  return fail('bad-data', say`The data are ${described(files)}, and the model reads ${readBy()[task]}.`);
}
