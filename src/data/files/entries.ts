/**
 * Files of rows → entries with their values by role: tables of every kind, words with tags, labelled lines. Columns are chosen once for all files that
 * have the same ones; what is guessed, and which files are not used, is said.
 */
import type { InputFile } from '../../lib/bytes.ts';
import { PapilioError } from '../../lib/errors.ts';
import { plainWords } from '../../lib/json.ts';
import { say } from '../../lib/say.ts';
import { someOf } from '../notes.ts';
import type { SplitName } from '../types.ts';
import { CONLL, DELIMITED, extension, readText, TEXTS } from './bytes.ts';
import { decimalMark, isNothing, numberOf, structured, withoutPercent } from './cells.ts';
import { type ColumnMapping, describeMapping, type FoundColumns, mapColumns } from './columns.ts';
import { isConllText, readConll } from './conll.ts';
import type { Role } from './content.ts';
import { type Draft, draftOf, headerJudge, tableOf } from './delimited.ts';
import type { TableOptions } from './dialect.ts';
import { readJson, readJsonl } from './json.ts';
import { readLabelledLines, tableInText } from './labelledText.ts';
import { readParquet } from './parquet.ts';
import type { Entry, Reading } from './rowsOf.ts';
import { type Assigned, assignSplits, splitColumn } from './splits.ts';
import { type Findings, filled, type Row, type Table } from './table.ts';

/** What is known of the columns after reading. */
export interface FoundInTables {
  readonly notes: string[];
  /** The columns of the table, and which is read as what. */
  columns?: readonly string[];
  mapping?: FoundColumns;
  /** Of delimited text: whether the first row names the columns. */
  hasHeader?: boolean;
  /** What each column begins with. */
  firstCells?: Readonly<Record<string, string>>;
}

export interface EntryOptions extends TableOptions {
  readonly mapping?: ColumnMapping;
  /** Whether rows are words with tags. */
  readonly isTagged?: boolean;
  /** Class names by column that lie beside the tables. */
  readonly classNames?: Readonly<Record<string, readonly string[]>>;
}

export type Roles = { readonly needed: readonly Role[]; readonly optional?: readonly Role[] };

/** All rows of some files, their values by role. @throws PapilioError 'bad-data' */
export async function readEntries(
  files: readonly InputFile[],
  options: EntryOptions,
  reading: Reading,
  found: FoundInTables,
  rolesOf: (columns: readonly string[]) => Roles,
): Promise<{ readonly entries: Entry[]; readonly total: number }> {
  const splits = assignSplits(files, ({ name: path }) => path, found.notes);
  const read = await readTables(splits.files, options, reading);
  const { tables, mappings } = mapTables(read, options, reading, found, rolesOf, splits);
  const entries = tables.flatMap((table) => entriesOf(table, mappings.get(table)!, options, reading, splits));
  const total = tables.reduce((sum, table) => sum + table.total, 0);
  if (entries.length === 0) reading.drops.settle(total);
  noteSplits(entries, found.notes);
  return { entries, total };
}

/** What a table takes beside its rows, in rows: a zip may hold ten thousand of a few rows each. */
const ROWS_LIKE_A_TABLE = 8;

async function readTables(
  files: readonly InputFile[],
  options: EntryOptions,
  reading: Reading,
): Promise<Table[]> {
  const drafts = new Map<InputFile, Draft>();
  const ready = new Map<InputFile, Table>();
  for (const file of files) {
    reading.room.take(ROWS_LIKE_A_TABLE, file.name);
    const kind = extension(file.name);
    const isText = kind === '' || TEXTS.includes(kind);
    if (!isText && !DELIMITED.includes(kind) && !CONLL.includes(kind)) continue;
    const text = readText(file.bytes, file.name, reading.notes);
    if (CONLL.includes(kind) || (options.isTagged && (isText || isConllText(text))))
      ready.set(file, readConll(text, file.name, reading));
    else if (isText) {
      const lines = readLabelledLines(text, file.name, reading);
      const draft = lines
        ? null
        : (tableInText(text, file.name, options) ?? draftOf(text, file.name, 'tsv', options));
      if (lines) ready.set(file, lines);
      else drafts.set(file, draft!);
    } else drafts.set(file, draftOf(text, file.name, kind, options));
  }
  const hasHeader = headerJudge([...drafts.values()], options);
  const tables: Table[] = [];
  for (const file of files) {
    const draft = drafts.get(file);
    const table = draft
      ? filled(tableOf(draft, hasHeader(draft), reading, options))
      : (ready.get(file) ?? (await readTable(file, reading)));
    tables.push(options.isTagged && !options.mapping ? sentencesOf(table, reading.notes) : table);
  }
  return tables;
}

/** Tables with rows, those of the same columns together. */
function byColumns(tables: readonly Table[]): ReadonlyMap<string, readonly Table[]> {
  const groups = new Map<string, Table[]>();
  for (const table of tables) {
    if (table.rows.length === 0) continue;
    const key = columnsKey(table);
    const group = groups.get(key);
    if (group) group.push(table);
    else groups.set(key, [table]);
  }
  return groups;
}

const columnsKey = ({ columns }: Table): string => JSON.stringify(columns);

/** The columns of every table; a table of test rows without labels is left out. @throws PapilioError 'bad-data' */
function mapTables(
  read: readonly Table[],
  options: EntryOptions,
  reading: Reading,
  found: FoundInTables,
  rolesOf: (columns: readonly string[]) => Roles,
  splits: Assigned,
): { readonly tables: readonly Table[]; readonly mappings: ReadonlyMap<Table, FoundColumns> } {
  const mappings = new Map<Table, FoundColumns>();
  const isHeld = ({ file }: Table) => splits.of(file) === 'held';
  // What is learnt from goes first: what is found in it is what is shown.
  const ordered = [...read.filter((t) => !isHeld(t)), ...read.filter(isHeld)];
  const groups = byColumns(ordered);
  for (const table of ordered) {
    // A file all of whose rows are bad has no columns to ask about.
    if (mappings.has(table) || table.rows.length === 0) continue;
    const alike = groups.get(columnsKey(table))!;
    const columns = table.columns.filter((column) => column !== table.index);
    const rows = alike.flatMap((t) => t.rows);
    try {
      const { mapping, byContent } = mapColumns(
        { file: table.file, columns: table.columns, guessable: columns, rows },
        options.mapping ?? {},
        rolesOf(table.columns),
      );
      for (const t of alike) mappings.set(t, mapping);
      noteColumns(alike, mapping, byContent, found);
    } catch (error) {
      const isUnlabelled = error instanceof PapilioError && error.kind === 'bad-data' && mappings.size > 0;
      if (!isUnlabelled || !alike.every(isHeld)) throw withColumns(error, table);
      reading.notes.push(
        say`${alike.map(({ file }) => file).join(', ')}: left out, since ${error.message.split(/[;；]/)[0]!}.`,
      );
    }
  }
  return { tables: ordered.filter((t) => mappings.has(t) || t.rows.length === 0), mappings };
}

/** An error on columns, with what is needed to choose others. */
function withColumns(error: unknown, table: Table): unknown {
  if (!(error instanceof PapilioError)) return error;
  const { hasHeader: header, columns } = table;
  return new PapilioError(error.kind, error.message, {
    ...error.details,
    columns,
    firstCells: firstCells(table),
    ...(header === undefined ? {} : { hasHeader: header }),
  });
}

function noteColumns(
  alike: readonly Table[],
  mapping: FoundColumns,
  byContent: readonly Role[],
  found: FoundInTables,
): void {
  const isFirst = found.mapping === undefined;
  const files = alike.map(({ file }) => file);
  const [table] = alike as [Table];
  if (isFirst) {
    found.columns = table.columns;
    found.mapping = mapping;
    found.firstCells = firstCells(table);
    if (table.hasHeader !== undefined) found.hasHeader = table.hasHeader;
  }
  const which = files.length <= 3 ? files.join(', ') : say`${files.length} files`;
  if (table.hasHeader === false)
    found.notes.push(
      say`No header row in ${which}: ${describeMapping(mapping)}. Columns can be told by their numbers.`,
    );
  else if (isFirst)
    found.notes.push(
      byContent.length === 0
        ? say`Columns: ${describeMapping(mapping)}.`
        : say`Columns: ${describeMapping(mapping)} (${byContent.join(', ')} by what the columns hold).`,
    );
  else if (describeMapping(mapping) !== describeMapping(found.mapping!))
    found.notes.push(say`Columns of ${which}: ${describeMapping(mapping)}.`);
}

/** What a column begins with, for people who must tell columns apart. */
const firstCells = ({ columns, rows: [first] }: Table): Record<string, string> =>
  Object.fromEntries(
    columns.map((column) => {
      const value = first?.values[column];
      const text = plainWords(value ?? '');
      return [column, text.slice(0, 40)];
    }),
  );

/** How numbers to be predicted are read: with their decimal mark, and as percentages where all of them are. */
function numberReader(
  values: readonly unknown[],
  table: Table,
  options: EntryOptions,
  notes: string[],
): (value: unknown) => unknown {
  const given = values.filter((value) => !isNothing(value));
  const percent = given.length > 0 && given.every((value) => withoutPercent(value) !== value);
  const bare = percent ? withoutPercent : (value: unknown) => value;
  if (percent) notes.push(say`${table.file}: its numbers are percentages, 12% is read as 12.`);
  const mark = options.decimal ?? decimalMark(given.map(bare), table.decimal ?? 'point');
  if (mark === 'comma')
    notes.push(say`${table.file}: the comma in its numbers is a decimal one, 3,5 is three and a half.`);
  return (value) =>
    typeof value === 'string' && !isNothing(value) ? (numberOf(bare(value), mark) ?? value) : value;
}

/** How the cells of a role are read in this table. */
function cellReader(
  role: Role,
  column: string,
  table: Table,
  options: EntryOptions,
  notes: string[],
): (value: unknown) => unknown {
  const isDelimited = table.hasHeader !== undefined;
  const values = table.rows.map((row) => row.values[column]);
  if (role === 'value') return numberReader(values, table, options, notes);
  // A label in a list of its own, as datasets with several labels have it.
  const given = role === 'label' && isDelimited ? values.filter((v) => !isNothing(v)).map(structured) : [];
  if (given.length > 0 && given.every(Array.isArray)) return structured;
  // Several right answers as Python's list: only where the column is called so, since an answer may well be a list.
  const lists = role === 'answer' && isDelimited && /s$/i.test(column) ? values.map(structured) : [];
  if (lists.length > 0 && lists.every(Array.isArray)) return structured;
  return isDelimited ? (value) => (isNothing(value) ? null : value) : (value) => value;
}

function entriesOf(
  table: Table,
  mapping: FoundColumns | undefined,
  options: EntryOptions,
  reading: Reading,
  splits: Assigned,
): Entry[] {
  if (!mapping) return [];
  const readers = Object.entries(mapping).map(
    ([role, column]) =>
      [role, column, cellReader(role as Role, column, table, options, reading.notes)] as const,
  );
  const column = mapping.label ?? mapping.tags;
  const names = column === undefined ? undefined : (table.classNames[column] ?? options.classNames?.[column]);
  const splitOf = rowSplits(table, mapping, reading.notes) ?? (() => splits.of(table.file));
  return table.rows.flatMap((row): Entry[] => {
    const split = row.split ?? splitOf(row.values);
    if (split === null) return [];
    return [
      {
        origin: { file: table.file, row: row.row },
        split,
        values: Object.fromEntries(readers.map(([role, c, read]) => [role, read(row.values[c])])),
        ...(names ? { names } : {}),
      },
    ];
  });
}

/** Splits that a column of the table states row by row; null for rows that are left out. */
function rowSplits(
  table: Table,
  mapping: FoundColumns,
  notes: string[],
): ((values: Readonly<Record<string, unknown>>) => SplitName | null) | null {
  const used = Object.values(mapping);
  const said = splitColumn(
    table.columns.filter((column) => !used.includes(column)),
    table.rows,
  );
  if (!said) return null;
  const all = table.rows.map(({ values }) => said.of(values[said.column]));
  const tests = all.includes('validation') ? all.filter((split) => split === 'test').length : 0;
  notes.push(
    tests === 0
      ? say`${table.file}: the column "${said.column}" says which rows are held out.`
      : say`${table.file}: the column "${said.column}" says which rows are held out; the ${tests} of the test split are left out, the validation split is measured on.`,
  );
  return (values) => {
    const split = said.of(values[said.column]);
    return split === 'test' && tests > 0 ? null : split === 'train' ? 'train' : 'held';
  };
}

/** Which files are held out, by their names. */
function noteSplits(entries: readonly Entry[], notes: string[]): void {
  const files = (of: (split: Entry['split']) => boolean) => [
    ...new Set(entries.filter(({ split }) => of(split)).map(({ origin }) => origin.file)),
  ];
  const held = files((split) => split === 'held');
  const rest = files((split) => split !== 'held');
  // Splits inside one file are not the names'.
  if (held.length === 0 || rest.length === 0 || held.some((file) => rest.includes(file))) return;
  notes.push(say`Held out by name: ${someOf(held, 4)}; learnt from: ${someOf(rest, 4)}.`);
}

/** Reads one file that is no delimited text. @throws PapilioError 'bad-data' where it is no table at all */
async function readTable(file: InputFile, findings: Findings): Promise<Table> {
  const kind = extension(file.name);
  if (kind === 'parquet') return filled(await readParquet(file, findings));
  const text = readText(file.bytes, file.name, findings.notes);
  return filled((kind === 'json' ? readJson : readJsonl)(text, file.name, findings));
}

// Tables with one word a row, sentences told apart by a column of their numbers: the words and tags of each sentence become one row.

const SENTENCE = /^(sentence ?#|sentence|sent|sentence[_ ](id|idx|no|number)|sent[_ ](id|idx)|sentence#)$/i;
const WORD = /^(word|words|token|tokens|form)$/i;

/** The table itself where its rows are whole sentences. */
function sentencesOf(table: Table, notes: string[]): Table {
  const number = table.columns.find((column) => SENTENCE.test(column.trim()));
  const word = table.columns.find((column) => WORD.test(column.trim()));
  if (number === undefined || word === undefined || table.rows.length === 0) return table;
  const isOneWord = table.rows.every(({ values }) => !/\s/.test(plainWords(values[word] ?? '').trim()));
  if (!isOneWord) return table;
  const sentences: Row[][] = [];
  let current: unknown;
  for (const row of table.rows) {
    const of = row.values[number];
    // Some write the number in the sentence's first row alone.
    if (sentences.length === 0 || (!isNothing(of) && of !== current)) sentences.push([]);
    if (!isNothing(of)) current = of;
    sentences.at(-1)!.push(row);
  }
  const others = table.columns.filter(
    (column) => column !== number && column !== word && column !== table.index,
  );
  const name = (column: string) =>
    /^(tag|tags|ner|ner_tag|label|labels)$/i.test(column.trim()) ? 'tags' : column;
  const columns = ['tokens', ...others.map(name)];
  notes.push(
    say`${table.file} has a word a row: the column "${number}" tells its ${sentences.length} sentences apart.`,
  );
  const rows = sentences.map(
    (sentence): Row => ({
      row: sentence[0]!.row,
      values: Object.fromEntries([
        ['tokens', sentence.map(({ values }) => values[word])],
        ...others.map((column) => [name(column), sentence.map(({ values }) => values[column])]),
      ]),
    }),
  );
  // Bad rows were words; what is left out is counted in sentences.
  return { ...table, columns, rows, total: rows.length + (table.total - table.rows.length) };
}
