/** Tables from delimited text: rows by the dialect that was guessed or told, every row that is not one named, every guess said. */

import { within } from '../../lib/budget.ts';
import { commonest } from '../../lib/statistics.ts';
import type { Drops } from '../notes.ts';
import { rowList } from '../notes.ts';
import { isNothing, numberOf } from './cells.ts';
import { isKnownName } from './columns.ts';
import { countsRows } from './content.ts';
import { behindLead, type Dialect, guessDialect, plainLines, type TableOptions } from './dialect.ts';
import { readRecords } from './records.ts';
import type { Findings, Row, Table } from './table.ts';

/** A delimited text whose header is still to be decided on, together with the others of its set. */
export interface Draft {
  readonly path: string;
  readonly text: string;
  readonly dialect: Dialect;
}

export function draftOf(text: string, path: string, kind: string, told: TableOptions = {}): Draft {
  const plain = plainLines(text);
  return { path, text: plain, dialect: guessDialect(plain, kind, told) };
}

const sameCells = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((cell, i) => cell.trim().toLowerCase() === b[i]!.trim().toLowerCase());

/**
 * Whether the first row of a file is a header. Files of one set that begin alike begin with one; where they begin with other rows of the same
 * width, those are data unless they clearly are not.
 */
export function hasHeader({ dialect }: Draft, others: readonly Draft[], told: TableOptions = {}): boolean {
  if (told.header !== undefined) return told.header;
  const peers = others
    .map((o) => o.dialect)
    .filter((d) => d !== dialect && d.first.length === dialect.first.length);
  const alike = peers.some((d) => sameCells(d.first, dialect.first));
  const evidence = alike ? 3 : peers.length > 0 ? -1 : 0;
  return dialect.headerScore + evidence >= 0;
}

/** The table of a draft. */
export function tableOf(draft: Draft, header: boolean, findings: Findings, told: TableOptions = {}): Table {
  const { path, dialect } = draft;
  const isRecord = recordTest(dialect);
  const records = readRecords(behindLead(draft.text, dialect), dialect, {
    width: dialect.width,
    name: path,
    ...(isRecord ? { isRecord } : {}),
  });
  const before = dialect.lead + 1;
  const { cells } = records;
  const first = cells[dialect.skip] ?? [];
  const width = header ? dialect.first.length : widthOf(cells.slice(dialect.skip));
  within('columns', width, path);
  within('tableRows', cells.length, path);
  const names = columnNames(header ? dialect.first : [], width);
  const shape = { path, ...names, first: header ? first : null };
  const rows: Row[] = [];
  let total = 0;
  for (let i = dialect.skip + (header ? 1 : 0); i < cells.length; i++) {
    if (cells[i]!.every((cell) => cell.trim() === '')) continue;
    total++;
    const row = rowOf(cells[i]!, before + i, shape, findings.drops);
    if (row) rows.push(row);
  }
  const decimal =
    told.decimal ?? (dialect.delimiter === ';' || dialect.delimiter === '\t' ? 'comma' : 'point');
  const kept = leaveOut(names, rows);
  const marked = dialect.quotes ? records.strays : begunWithMark(cells);
  findings.notes.push(
    ...said(
      draft,
      header,
      kept,
      marked.map((i) => before + i),
    ),
  );
  return {
    file: path,
    columns: kept.columns,
    ...(kept.index === undefined ? {} : { index: kept.index }),
    rows,
    total,
    classNames: {},
    hasHeader: header,
    decimal,
  };
}

/** The commonest number of cells of rows that hold something. */
function widthOf(cells: readonly (readonly string[])[]): number {
  const held = cells.filter((row) => row.some((cell) => cell.trim() !== ''));
  return Math.max(1, commonest(held.map((row) => row.length)).value);
}

interface Names {
  readonly columns: readonly string[];
  readonly unnamed: ReadonlySet<string>;
  readonly twice: readonly string[];
}

/** Names of columns: those of the header, `column 3` where it has none; of two alike the later is `text.1`, as in pandas. */
function columnNames(header: readonly string[], width: number): Names {
  const columns = new Set<string>();
  const unnamed = new Set<string>();
  const twice: string[] = [];
  /** By name, how many columns of it there were. */
  const counts = new Map<string, number>();
  for (let c = 0; c < Math.max(width, header.length); c++) {
    const own = (header[c] ?? '').trim();
    const bare = own.replace(/^#\s*/, '');
    const name = c === 0 && bare !== own && isKnownName(bare) ? bare : own;
    if (name === '') {
      columns.add(`column ${c + 1}`);
      unnamed.add(`column ${c + 1}`);
      continue;
    }
    let count = counts.get(name) ?? 0;
    const numbered = (): string => (count === 0 ? name : `${name}.${count}`);
    while (columns.has(numbered())) count++;
    if (count > 0) twice.push(name);
    columns.add(numbered());
    counts.set(name, count + 1);
  }
  return { columns: [...columns], unnamed, twice };
}

function rowOf(
  cells: readonly string[],
  row: number,
  {
    path,
    columns,
    first,
  }: { readonly path: string; readonly columns: readonly string[]; readonly first: readonly string[] | null },
  drops: Drops,
): Row | null {
  if (first && first.length > 1 && sameCells(cells, first)) {
    drops.add({ file: path, row }, { what: 'has its header again', advice: 'delete the row' });
    return null;
  }
  if (cells.slice(columns.length).some((cell) => cell.trim() !== '')) {
    drops.add(
      { file: path, row },
      {
        what: `has ${columns.length === 1 ? '1 column' : `${columns.length} columns`} but another number of cells`,
        advice: 'put quotation marks around texts with commas',
      },
    );
    return null;
  }
  return { row, values: Object.fromEntries(columns.map((name, k) => [name, cells[k] ?? ''])) };
}

/** The columns less those that hold nothing and have no name, and less an index that pandas or R wrote. */
function leaveOut(names: Names, rows: readonly Row[]): Names & { readonly index?: string } {
  const { columns, unnamed } = names;
  const isEmpty = (column: string) =>
    unnamed.has(column) && rows.every(({ values }) => isNothing(values[column]));
  let count = columns.length;
  while (count > 1 && isEmpty(columns[count - 1]!)) count--;
  const kept = columns.slice(0, count);
  const [first] = kept;
  const isIndex =
    kept.length > 1 &&
    (/^unnamed: 0$/i.test(first!) || unnamed.has(first!)) &&
    countsRows(rows.map(({ values }) => values[first!]));
  return { ...names, columns: kept, ...(isIndex ? { index: first! } : {}) };
}

/** What was guessed, in a line, where it is not the usual. */
function said(
  { path, dialect }: Draft,
  header: boolean,
  names: Names & { readonly index?: string },
  strays: readonly number[],
): string[] {
  const { notes, headerScore, first, quotes, hasRowNames } = dialect;
  const shown = first.slice(0, 4).map((cell) => (cell.length > 24 ? `${cell.slice(0, 23)}…` : cell));
  const guesses = [
    ...notes,
    ...(hasRowNames ? ['the header lacks the first column, which names the rows'] : []),
    ...(header && headerScore <= 1 ? [`row 1 (${shown.join(', ')}) is taken as the header`] : []),
    ...(names.index === undefined
      ? []
      : [
          `${names.unnamed.has(names.index) ? names.index : `"${names.index}"`} counts the rows and is left out`,
        ]),
    ...names.twice.slice(0, 5).map((name) => `"${name}" names two columns, the later is called "${name}.1"`),
  ];
  const out = guesses.length === 0 ? [] : [`${path}: ${guesses.join('; ')}.`];
  if (strays.length > 0)
    out.push(
      quotes
        ? `${path} has a quotation mark that is not closed or misplaced in ${rowList(strays)}: read as a character.`
        : `${path}: quotation marks are read as characters (${rowList(strays)}).`,
    );
  return out;
}

const begunWithMark = (cells: readonly (readonly string[])[]): number[] =>
  cells.flatMap((row, i) => (row.some((cell) => cell.startsWith('"')) ? [i] : []));

/** Tells whether cells make a whole record: as many as others have, numbers and classes where the others have them. */
function recordTest({ body, width }: Dialect): ((cells: readonly string[]) => boolean) | undefined {
  const tests = Array.from({ length: width }, (_, c): ((cell: string) => boolean) | null => {
    const values = body.flatMap((row) =>
      row.length === width && row[c]!.trim() !== '' ? [row[c]!.trim()] : [],
    );
    if (values.length < 4) return null;
    if (values.filter((v) => numberOf(v) === null).length <= values.length * 0.05)
      return (cell) => numberOf(cell) !== null;
    const known = new Set(values);
    return known.size <= Math.min(50, values.length / 3) ? (cell) => known.has(cell.trim()) : null;
  });
  if (width < 2 || tests.every((test) => test === null)) return undefined;
  return (cells) => cells.length === width && tests.every((test, c) => test === null || test(cells[c]!));
}
