/**
 * Whatever the user dropped, pasted or named → a dataset for a task: text, tables (CSV, TSV, JSON, JSONL, Parquet, CoNLL), pictures by folder or
 * table, IDX files, or a zip of any of these. Every way of going wrong is a 'bad-data' sentence, and what is left out is noted.
 */
import { fail } from '../../lib/errors.ts';
import { type ChatFormat, chatFormat } from '../chat.ts';
import { instructionDataset } from '../instructions.ts';
import { createDrops } from '../notes.ts';
import { describePreprocessing, type Preprocessing } from '../preprocessing.ts';
import { documentsDataset, HELD_SHARE, maskedText, textDataset } from '../text.ts';
import { textClassDataset, textValueDataset } from '../text-classes.ts';
import { tokenClassDataset } from '../token-classes.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Dataset, TextDataset } from '../types.ts';
import { type DataFile, extension, gunzip, isHidden, unpackZip } from './bytes.ts';
import { type ColumnMapping, describeMapping, type FoundColumns, mapColumns, type Role } from './columns.ts';
import { CONLL, readConll } from './conll.ts';
import { decodePicture } from './decodePicture.ts';
import type { DialectChoice } from './dialect.ts';
import { readText } from './encoding.ts';
import { idxDataset, isIdxName } from './idx.ts';
import { PICTURES, picturesByFolder, picturesByTable } from './pictureFiles.ts';
import type { ImageDecoder } from './png.ts';
import * as rows from './rowsOf.ts';
import { isTest, isValidation, splitOfPath } from './splits.ts';
import { readTables, TABLES, type Table } from './table.ts';
import { isLabelledTexts, readLabelledTexts } from './textFiles.ts';

/** `text` is a language model's: running text, documents, or prompts with answers, whichever the columns say. */
export type DataTask = 'text' | 'masked-text' | 'text-class' | 'text-value' | 'token-class' | 'image';

export interface OpenOptions extends DialectChoice {
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

/** What opening finds out besides the data. */
export interface Found {
  /** What was left out, cut or assumed: sentences. */
  readonly notes: string[];
  /** The columns of the table, and which is read as what. */
  columns?: readonly string[];
  mapping?: FoundColumns;
  /** Whether the first row names the columns, and what each column begins with. */
  hasHeader?: boolean;
  firstCells?: Readonly<Record<string, string>>;
}

const TEXTS = ['txt', 'md', 'text'];

/** Opens files as a dataset. @throws PapilioError 'bad-data', or 'bad-argument' where the caller gave too little */
export async function openDataset(
  given: readonly DataFile[],
  options: OpenOptions,
  found: Found = { notes: [] },
): Promise<Dataset> {
  const files = withoutModelFiles(unpack(given));
  if (files.length === 0) fail('bad-data', 'There are no files in what was opened.');
  const name = options.name ?? (given.length === 1 ? given[0]!.path : commonName(given));
  const opening = { name, files: withoutTests(files, found.notes), options, found };
  return options.task === 'image' ? openPictures(opening) : openTexts(opening);
}

function unpack(given: readonly DataFile[]): DataFile[] {
  return given
    .filter((file) => !isHidden(file.path))
    .flatMap((file) => (extension(file.path) === 'zip' ? unpackZip(file.bytes, file.path) : [file]))
    .map((file) =>
      extension(file.path) === 'gz' && !isIdxName(file.path)
        ? { path: file.path.slice(0, -3), bytes: gunzip(file.bytes, file.path) }
        : file,
    )
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** JSON that goes with a model, an adapter, a run or a dataset's description. */
const ABOUT =
  /(^|\/)((tokenizer|preprocessor|processor|generation|adapter|sentence_bert|quantize)_config|config(_sentence_transformers)?|tokenizer|special_tokens_map|added_tokens|vocab|modules|dataset_infos?|dataset_dict|state|run|card)\.json$/i;

/** A folder that holds model and data alike: what is the model's is no data, unless there is nothing else. */
function withoutModelFiles(files: readonly DataFile[]): readonly DataFile[] {
  const data = files.filter((file) => !ABOUT.test(file.path));
  return data.length > 0 && data.some(({ path }) => extension(path) !== 'onnx') ? data : files;
}

const commonName = (files: readonly DataFile[]): string => {
  const folder = files[0]!.path.split('/')[0]!;
  return files.every((f) => f.path.startsWith(`${folder}/`)) ? folder : files[0]!.path;
};

/** Where there is a validation split, the test split is not touched. */
function withoutTests(files: readonly DataFile[], notes: string[]): readonly DataFile[] {
  const tests = files.filter((file) => isTest(file.path));
  if (tests.length === 0 || !files.some((file) => isValidation(file.path))) return files;
  notes.push(
    `Quality is measured on the validation split; ${tests.length === 1 ? `${tests[0]!.path} is` : `${tests.length} files of the test split are`} left out.`,
  );
  return files.filter((file) => !tests.includes(file));
}

interface Opening {
  readonly name: string;
  readonly files: readonly DataFile[];
  readonly options: OpenOptions;
  readonly found: Found;
}

const ofKinds = (files: readonly DataFile[], kinds: readonly string[]) =>
  files.filter((file) => kinds.includes(extension(file.path)));

const kindsSeen = (files: readonly DataFile[]): string =>
  [...new Set(files.map((file) => extension(file.path) || 'no extension'))].slice(0, 6).join(', ');

function readingOf({ options, found }: Opening): rows.Reading {
  return {
    drops: createDrops(),
    notes: found.notes,
    ...(options.labels ? { labels: options.labels } : {}),
    ...(options.keepClasses ? { keepClasses: true } : {}),
  };
}

/** Says what lies beside the files that are used. */
function noteUnused({ files, found }: Opening, used: readonly DataFile[]): void {
  const rest = files.filter((file) => !used.includes(file));
  if (rest.length > 0)
    found.notes.push(`${rest.length} file(s) of other kinds are not used (${kindsSeen(rest)}).`);
}

async function openPictures(opening: Opening): Promise<Dataset> {
  const { name, files, options } = opening;
  const { preprocessing: steps, seed = 0, decodeImage = decodePicture } = options;
  if (!steps) return fail('bad-argument', 'Pictures need the size that the model takes.');
  opening.found.notes.push(describePreprocessing(steps), ...steps.notes);
  if (files.some((file) => isIdxName(file.path)))
    return idxDataset(name, files, steps, { seed, ...(options.labels ? { labels: options.labels } : {}) });
  const pictures = ofKinds(files, PICTURES);
  const tables = ofKinds(files, TABLES);
  const reading = readingOf(opening);
  if (tables.length > 0) {
    noteUnused(opening, [...tables, ...pictures]);
    const { entries } = await readRows(opening, tables, reading, () => ({ needed: ['image', 'label'] }));
    return picturesByTable(name, entries, files, { steps, seed, decodeImage }, reading);
  }
  if (pictures.length === 0)
    fail(
      'bad-data',
      `${name} holds no pictures (found: ${kindsSeen(files)}); give a folder or .zip with one folder per class, a table of pictures, or IDX files.`,
    );
  noteUnused(opening, pictures);
  return picturesByFolder(name, pictures, { steps, seed, decodeImage }, reading);
}

type Roles = { readonly needed: readonly Role[]; readonly optional?: readonly Role[] };

/** All rows of the tables, their values by role. */
async function readRows(
  opening: Opening,
  files: readonly DataFile[],
  reading: rows.Reading,
  rolesOf: (columns: readonly string[]) => Roles,
): Promise<{ readonly entries: rows.Entry[]; readonly total: number }> {
  const { found, options } = opening;
  const isWords = (file: DataFile) =>
    CONLL.includes(extension(file.path)) ||
    (options.task === 'token-class' && extension(file.path) === 'txt');
  const words = files
    .filter(isWords)
    .map((file) => readConll(readText(file.bytes, file.path, found.notes), file.path, reading));
  const others = files.filter((file) => !isWords(file));
  const texts = others.filter((file) => TEXTS.includes(extension(file.path)));
  const tables = [
    ...words,
    ...(await readTables(
      others.filter((file) => !texts.includes(file)),
      reading,
      options,
    )),
    ...(texts.length > 0 ? [await readLabelledTexts(texts, reading)] : []),
  ];
  const entries = tables.flatMap((table) => entriesOf(table, opening, rolesOf(table.columns)));
  const total = tables.reduce((sum, table) => sum + table.total, 0);
  if (entries.length === 0) reading.drops.settle(total);
  noteSplits(entries, found.notes);
  return { entries, total };
}

/** Rows that a guess by content looks at. */
const LOOKED_AT = 500;

function entriesOf(table: Table, { found, options }: Opening, roles: Roles): rows.Entry[] {
  // A file all of whose rows are bad has no columns to ask about.
  if (table.rows.length === 0) return [];
  const { hasHeader = true, columns } = table;
  const known = found.mapping;
  const isAlike = known !== undefined && Object.values(known).every((column) => columns.includes(column));
  const content = { rows: table.rows.slice(0, LOOKED_AT).map(({ values }) => values), hasHeader };
  const mapping = isAlike ? known : mapColumns(table.file, columns, options.mapping ?? {}, roles, content);
  if (!known) {
    found.columns = columns;
    found.mapping = mapping;
    found.hasHeader = hasHeader;
    found.firstCells = firstCells(table);
    found.notes.push(
      hasHeader
        ? `Columns: ${describeMapping(mapping)}.`
        : `${table.file} has no header row: ${describeMapping(mapping)}.`,
    );
  }
  const named = mapping.label ?? mapping.tags;
  const names = named === undefined ? undefined : table.classNames[named];
  const byFile = splitOfPath(table.file);
  return table.rows.map(({ row, values, split, file = table.file }) => ({
    origin: { file, row },
    split: split ?? (file === table.file ? byFile : splitOfPath(file)),
    values: Object.fromEntries(Object.entries(mapping).map(([role, c]) => [role, values[c]])),
    ...(names ? { names } : {}),
  }));
}

/** What a column begins with, for people who must tell columns apart. */
const firstCells = ({ columns, rows: [first] }: Table): Record<string, string> =>
  Object.fromEntries(
    columns.map((column) => {
      const value = first?.values[column];
      const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? '');
      return [column, text.slice(0, 40)];
    }),
  );

/** Which files are held out, by their names. */
function noteSplits(entries: readonly rows.Entry[], notes: string[]): void {
  const files = (of: (split: rows.Entry['split']) => boolean) => [
    ...new Set(entries.filter(({ split }) => of(split)).map(({ origin }) => origin.file)),
  ];
  const held = files((split) => split === 'held');
  const rest = files((split) => split !== 'held');
  // Splits inside one file are not the names'.
  if (held.length === 0 || rest.length === 0 || held.some((file) => rest.includes(file))) return;
  const shown = (names: readonly string[]) =>
    `${names.slice(0, 4).join(', ')}${names.length > 4 ? ` and ${names.length - 4} more` : ''}`;
  notes.push(`Held out by name: ${shown(held)}; learnt from: ${shown(rest)}.`);
}

async function openTexts(opening: Opening): Promise<Dataset> {
  const { name, files, options, found } = opening;
  const { tokenizer, task } = options;
  if (!tokenizer)
    return fail(
      'bad-argument',
      'Text needs the tokenizer of the model: put its tokenizer.json beside the .onnx.',
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
    const kinds = task === 'token-class' ? [...TABLES, ...CONLL, 'txt'] : TABLES;
    const own = ofKinds(files, kinds);
    const texts = ofKinds(files, TEXTS);
    const tables = own.length === 0 && task === 'text-class' && isLabelledTexts(texts) ? texts : own;
    if (tables.length === 0)
      fail('bad-data', `${name} holds no .csv or .jsonl (found: ${kindsSeen(files)}); ${NEEDS[task]}.`);
    noteUnused(opening, tables);
    const { entries, total } = await readRows(opening, tables, reading, () => ROLES[task]);
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
    const read = texts.map((file) => ({
      text: readText(file.bytes, file.path, notes),
      split: splitOfPath(file.path),
    }));
    const of = (isHeld: boolean) => read.filter((r) => (r.split === 'held') === isHeld).map((r) => r.text);
    if (of(false).length > 0 && of(true).length > 0)
      return whole(documentsDataset(name, of(false), of(true), tokenizer));
    return whole(textDataset(name, read.map((r) => r.text).join('\n\n'), tokenizer, share));
  }
  const tables = ofKinds(files, TABLES);
  if (tables.length === 0)
    fail(
      'bad-data',
      `${name} holds no text (found: ${kindsSeen(files)}); give .txt, or .jsonl or .csv with a text column.`,
    );
  noteUnused(opening, tables);
  const mapping = options.mapping ?? {};
  const asChats = (columns: readonly string[]) => task === 'text' && rows.holdsChats(columns, mapping);
  const { entries, total } = await readRows(opening, tables, reading, (columns) =>
    asChats(columns) ? rows.chatRoles(columns, mapping) : { needed: ['text'] },
  );
  if (asChats(found.columns ?? [])) {
    const chats = rows.chatRows(entries, reading);
    const chat = options.chat ?? chatFormat({});
    return instructionDataset(name, chats, tokenizer, chat, { ...rowOptions, drops, total }, notes);
  }
  const documents = rows.documentRows(entries, reading);
  settle(total);
  return whole(splitDocuments(name, documents, tokenizer, options.heldShare ?? HELD_SHARE));
}

const NEEDS = {
  'text-class': 'a text classifier needs rows of text and label',
  'text-value': 'a regression needs rows of text and number',
  'token-class': 'a tagger needs rows of tokens and tags',
} as const;

const ROLES: Readonly<Record<keyof typeof NEEDS, Roles>> = {
  'text-class': { needed: ['text', 'label'], optional: ['pair'] },
  'text-value': { needed: ['text', 'value'], optional: ['pair'] },
  'token-class': { needed: ['tokens', 'tags'] },
};

/** Documents as the files split them, else the last ones held. */
function splitDocuments(
  name: string,
  documents: readonly { readonly text: string; readonly split?: 'train' | 'held' | undefined }[],
  tokenizer: Tokenizer,
  share: number,
): TextDataset {
  const of = (isHeld: boolean) => documents.filter((d) => (d.split === 'held') === isHeld).map((d) => d.text);
  if (of(false).length > 0 && of(true).length > 0)
    return documentsDataset(name, of(false), of(true), tokenizer);
  const texts = documents.map((d) => d.text);
  const cut = texts.length - Math.max(1, Math.round(texts.length * share));
  return documentsDataset(name, texts.slice(0, cut), texts.slice(cut), tokenizer);
}
