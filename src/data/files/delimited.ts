/**
 * CSV, TSV and their relatives → a table. Every row of the file is a row of the table or is told of: quotation marks that close nowhere are
 * read as characters, empty columns that a spreadsheet left and counted rows are no columns, columns without a name get one by number.
 */
import { fail } from '../../lib/errors.ts';
import { rowList } from '../notes.ts';
import { extension } from './bytes.ts';
import {
  type Delimiter,
  type Dialect,
  type DialectChoice,
  guessDialect,
  headerEvidence,
  parse,
  withoutLines,
} from './dialect.ts';
import type { Findings, Row, Table } from './table.ts';

/** A row's cells with the number of its first line in the file, from 1. */
interface Line {
  readonly row: number;
  readonly cells: readonly string[];
}

export interface Delimited {
  readonly dialect: Dialect;
  readonly records: readonly Line[];
  /** For the first row being names (> 0) or data (< 0). */
  readonly evidence: number;
}

const DELIMITER_NAMES: Readonly<Record<Delimiter, string>> = {
  ',': 'commas',
  ';': 'semicolons',
  '\t': 'tabs',
  '|': 'bars',
};

const isBlank = (cells: readonly string[]) => cells.every((cell) => cell.trim() === '');

/** Rows and cells, nothing judged yet. */
export function readDelimited(text: string, path: string, choice: DialectChoice, notes: string[]): Delimited {
  const kind = extension(path);
  const dialect = guessDialect(text, kind, choice);
  const { delimiter, quoted, skipped } = dialect;
  const usual = kind === 'tsv' || kind === 'tab' ? '\t' : ',';
  if (delimiter !== usual && choice.delimiter === undefined)
    notes.push(`${path} is read as divided by ${DELIMITER_NAMES[delimiter]}.`);
  const body = withoutLines(text, skipped);
  const parsed = parse(body, delimiter, quoted);
  const isBroken = parsed.errors.some((error) => error.type === 'Quotes');
  const records = isBroken ? mendedRecords(body, dialect, path, notes) : numbered(parsed.data, skipped);
  if (!quoted && body.includes('"')) noteMarks(records, path, notes);
  const [first, ...rest] = records;
  const evidence = first
    ? headerEvidence(
        first.cells,
        rest.map(({ cells }) => cells),
      )
    : 0;
  return { dialect, records, evidence };
}

/** Rows by the line that they begin in. */
function numbered(data: readonly (readonly string[])[], skipped: number): Line[] {
  let line = skipped + 1;
  return data.flatMap((cells) => {
    const row = line;
    line += 1;
    return isBlank(cells) ? [] : [{ row, cells }];
  });
}

/** A quoted cell may go on for so many lines. */
const MAX_CELL_LINES = 200;

/**
 * Rows of a text some of whose quotation marks close nowhere: a line that opens a cell goes on until the mark is closed and the row has as
 * many cells as most; where that never comes its marks are characters.
 */
function mendedRecords(text: string, { delimiter, skipped }: Dialect, path: string, notes: string[]): Line[] {
  const lines = text.split(/\r?\n/);
  const whole = (line: string) => {
    const { data, errors } = parse(line, delimiter, true);
    return errors.some((error) => error.type === 'Quotes') || data.length !== 1 ? null : data[0]!;
  };
  const counts = new Map<number, number>();
  for (const line of lines) {
    const cells = line.trim() === '' ? null : whole(line);
    if (cells) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  }
  const usual = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 1;
  const records: Line[] = [];
  const literal: number[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (line.trim() === '') continue;
    const row = skipped + i + 1;
    const own = whole(line);
    if (own && (own.length === usual || !line.includes('"'))) {
      records.push({ row, cells: own });
      continue;
    }
    const last = goesOnTo(lines, i, (joined) => whole(joined)?.length === usual);
    if (last !== null) {
      records.push({ row, cells: whole(lines.slice(i, last + 1).join('\n'))! });
      i = last;
      continue;
    }
    literal.push(row);
    records.push({ row, cells: parse(line, delimiter, false).data[0] ?? [] });
  }
  if (literal.length > 0)
    notes.push(
      `${path} has a quotation mark that closes nowhere in ${rowList(literal)}: it is read there as a character.`,
    );
  return records;
}

/** The line that ends the row begun in line `from`; null where none does. */
function goesOnTo(
  lines: readonly string[],
  from: number,
  isWhole: (joined: string) => boolean,
): number | null {
  let joined = lines[from]!;
  for (let last = from + 1; last < lines.length && last <= from + MAX_CELL_LINES; last++) {
    joined += `\n${lines[last]}`;
    if (lines[last]!.includes('"') && isWhole(joined)) return last;
  }
  return null;
}

function noteMarks(records: readonly Line[], path: string, notes: string[]): void {
  const rows = records
    .filter(({ cells }) => cells.some((cell) => cell.startsWith('"')))
    .map(({ row }) => row);
  if (rows.length > 0)
    notes.push(
      `${path} has cells that begin with a quotation mark (${rowList(rows)}): it is read as a character.`,
    );
}

/** The rows as a table with named columns. */
export function tableOf(
  { records }: Delimited,
  path: string,
  hasHeader: boolean,
  { drops, notes }: Findings,
): Table {
  const body = hasHeader ? records.slice(1) : records;
  const width = hasHeader ? records[0]!.cells.length : usualWidth(records);
  const filled = Array.from(
    { length: width },
    (_, k) => body.filter(({ cells }) => (cells[k] ?? '').trim() !== '').length,
  );
  const names = hasHeader
    ? columnNames(records[0]!.cells, path, notes)
    : Array.from({ length: width }, (_, k) => `column ${k + 1}`);
  const isCount = (k: number) => isRowCount(names[k]!, hasHeader, body, k);
  const kept = names.flatMap((name, k) =>
    (hasHeader && /^Unnamed: \d+$/.test(name) && filled[k] === 0) || isCount(k) ? [] : [{ name, k }],
  );
  if (kept.length === 0) fail('bad-data', `${path} has no column with values.`);
  const rows = body.flatMap(({ row, cells }): Row[] => {
    const extra = cells.slice(width);
    // Spreadsheets leave empty cells at the end of a row, and write none for columns that most rows leave empty.
    const lacks = filled.slice(cells.length).some((count) => count > body.length / 2);
    if (!isBlank(extra) || lacks) {
      drops.add(
        { file: path, row },
        {
          what: `has ${width} columns but another number of cells`,
          advice: 'put quotation marks around texts that hold the delimiter',
        },
      );
      return [];
    }
    return [{ row, values: Object.fromEntries(kept.map(({ name, k }) => [name, cells[k] ?? ''])) }];
  });
  return {
    file: path,
    columns: kept.map(({ name }) => name),
    rows,
    total: body.length,
    classNames: {},
    hasHeader,
  };
}

function usualWidth(records: readonly Line[]): number {
  const counts = new Map<number, number>();
  for (const { cells } of records) counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || b[0] - a[0])[0]?.[0] ?? 0;
}

/** pandas' names: `Unnamed: 2` (from 0) for none, `text.1` for a second `text`. */
function columnNames(cells: readonly string[], path: string, notes: string[]): string[] {
  const taken = new Set<string>();
  const again: string[] = [];
  const names = cells.map((cell, k) => {
    const own = cell.replace(/^\ufeff/, '').trim() || `Unnamed: ${k}`;
    let name = own;
    for (let n = 1; taken.has(name); n++) name = `${own}.${n}`;
    if (name !== own) again.push(`"${own}" (as "${name}")`);
    taken.add(name);
    return name;
  });
  if (again.length > 0) notes.push(`${path} has columns of one name: ${again.join(', ')}.`);
  return names;
}

/** A first column that counts the rows, as pandas and R write one: no name, or "Unnamed: 0", and whole numbers that go up by one. */
function isRowCount(name: string, hasHeader: boolean, body: readonly Line[], k: number): boolean {
  if (k !== 0 || body.length < 2 || !hasHeader || !/^(Unnamed: 0|index)$/i.test(name)) return false;
  const first = Number(body[0]!.cells[0]);
  return body.every(({ cells }, i) => cells[0]!.trim() !== '' && Number(cells[0]) === first + i);
}
