/** Tables from delimited text: rows by the dialect that was guessed or told, every row that is not one named, every guess said. */
import { within } from '../../lib/budget.ts';
import { say } from '../../lib/say.ts';
import { type Drops, rowList } from '../notes.ts';
import { isNothing, numberOf } from './cells.ts';
import { isKnownName } from './columns.ts';
import { countsRows } from './content.ts';
import { behindLead, type Dialect, guessDialect, plainLines, type TableOptions } from './dialect.ts';
import { cellsAgain, eachRecord, type Marks, type RecordAt, withoutSpaces } from './records.ts';
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

/** Whether a file's first row is a header, of files that are opened together. */
export type HeaderJudge = (draft: Draft) => boolean;

/**
 * Whether the first row of a file is a header. Files of one set that begin alike begin with one; where they begin with other rows of the same
 * width, those are data unless they clearly are not.
 */
export function headerJudge(drafts: readonly Draft[], told: TableOptions = {}): HeaderJudge {
  const { header } = told;
  if (header !== undefined) return () => header;
  const spelled = ({ dialect }: Draft): string =>
    JSON.stringify(dialect.first.map((cell) => cell.trim().toLowerCase()));
  const widths = countsOf(drafts.map(({ dialect }) => dialect.first.length));
  const beginnings = countsOf(drafts.map(spelled));
  return (draft) => {
    const isAlike = beginnings.get(spelled(draft))! > 1;
    const hasPeers = widths.get(draft.dialect.first.length)! > 1;
    const evidence = isAlike ? 3 : hasPeers ? -1 : 0;
    return draft.dialect.headerScore + evidence >= 0;
  };
}

function countsOf<T>(values: readonly T[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** The table of a draft. */
export function tableOf(draft: Draft, header: boolean, findings: Findings, told: TableOptions = {}): Table {
  const { path, dialect } = draft;
  const { records, strays, width: commonWidth } = recordsOf(draft, findings);
  const before = dialect.lead + 1;
  const width = within('columns', header ? dialect.first.length : commonWidth, path);
  const names = columnNames(header ? dialect.first : [], width);
  const shape = { path, columns: names.columns, first: header ? dialect.first : null };
  const makeRow = rowMaker(records, names.columns);
  const rows: Row[] = [];
  let filled = 0;
  let total = 0;
  for (let i = 0; i < records.count; i++) {
    if (header && records.number(i) === dialect.skip) continue;
    total++;
    const cells = records.cells(i);
    const row = before + records.number(i);
    if (!isWhole(cells, row, shape, findings.drops)) continue;
    rows.push(makeRow(i, row));
    for (let c = Math.min(cells.length, width); c > filled; c--) if (!isNothing(cells[c - 1])) filled = c;
  }
  const decimal =
    told.decimal ?? (dialect.delimiter === ';' || dialect.delimiter === '\t' ? 'comma' : 'point');
  const kept = leaveOut(names, rows, filled);
  findings.notes.push(
    ...said(
      draft,
      header,
      kept,
      strays.map((i) => before + i),
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

/** The records of a draft's table that hold something. */
function recordsOf(draft: Draft, { room }: Findings) {
  const { path, dialect } = draft;
  const text = withoutSpaces(behindLead(draft.text, dialect), dialect);
  const isRecord = recordTest(dialect);
  const records = lazyRecords(text, dialect);
  const begunWithMark: number[] = [];
  const lengths = new Map<number, number>();
  const bounds = { width: dialect.width, name: path, ...(isRecord ? { isRecord } : {}) };
  const strays = eachRecord(text, dialect, bounds, (record) => {
    const { cells, number } = record;
    if (number < dialect.skip || cells.every((cell) => cell.trim() === '')) return;
    room.take(1, path);
    records.add(record);
    lengths.set(cells.length, (lengths.get(cells.length) ?? 0) + 1);
    if (!dialect.quotes && cells.some((cell) => cell.startsWith('"'))) begunWithMark.push(number);
  });
  return {
    records,
    strays: dialect.quotes ? strays : begunWithMark,
    /** The commonest number of cells. */
    width: [...lengths].reduce(
      (top, next) => (next[1] > top[1] || (next[1] === top[1] && next[0] > top[0]) ? next : top),
      [1, 0],
    )[0],
  };
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

/** Whether cells are a row of the table; what is wrong with others is noted. */
function isWhole(
  cells: readonly string[],
  row: number,
  {
    path,
    columns,
    first,
  }: { readonly path: string; readonly columns: readonly string[]; readonly first: readonly string[] | null },
  drops: Drops,
): boolean {
  if (first && first.length > 1 && sameCells(cells, first)) {
    drops.add({ file: path, row }, { what: say`has its header again`, advice: say`delete the row` });
    return false;
  }
  if (cells.length > columns.length && cells.slice(columns.length).some((cell) => cell.trim() !== '')) {
    drops.add(
      { file: path, row },
      {
        what:
          columns.length === 1
            ? say`has 1 column but another number of cells`
            : say`has ${columns.length} columns but another number of cells`,
        advice: say`put quotation marks around texts with commas`,
      },
    );
    return false;
  }
  return true;
}

/**
 * The columns less those that hold nothing and have no name, and less an index that pandas or R wrote.
 *
 * @param filled how many columns there are up to the last that holds something
 */
function leaveOut(names: Names, rows: readonly Row[], filled: number): Names & { readonly index?: string } {
  const { columns, unnamed } = names;
  let count = columns.length;
  while (count > 1 && count > filled && unnamed.has(columns[count - 1]!)) count--;
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
    ...(hasRowNames ? [say`the header lacks the first column, which names the rows`] : []),
    ...(header && headerScore <= 1 ? [say`row 1 (${shown.join(', ')}) is taken as the header`] : []),
    ...(names.index === undefined
      ? []
      : [
          say`${names.unnamed.has(names.index) ? names.index : `"${names.index}"`} counts the rows and is left out`,
        ]),
    ...names.twice
      .slice(0, 5)
      .map((name) => say`"${name}" names two columns, the later is called "${name}.1"`),
  ];
  const out = guesses.length === 0 ? [] : [`${path}: ${guesses.join('; ')}.`];
  if (strays.length > 0)
    out.push(
      quotes
        ? say`${path} has a quotation mark that is not closed or misplaced in ${rowList(strays)}: read as a character.`
        : say`${path}: quotation marks are read as characters (${rowList(strays)}).`,
    );
  return out;
}

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

// Rows of delimited text that are kept as places in it: the cells of a row are made when they are asked for, so a table takes some bytes for each row,
// however many columns it has.

/** A list of whole numbers below 2³², in 4 bytes each. */
function createNumbers() {
  // Small: a zip may hold ten thousand tables of a few rows.
  let numbers = new Uint32Array(16);
  let length = 0;
  return {
    push(value: number): void {
      if (length === numbers.length) {
        const more = new Uint32Array(Math.ceil(length * 1.5));
        more.set(numbers);
        numbers = more;
      }
      numbers[length++] = value;
    },
    at: (i: number): number => numbers[i]!,
    get length() {
      return length;
    },
  };
}

export interface LazyRecords {
  readonly count: number;
  add(record: RecordAt): void;
  /** Of record i of those that were added. */
  number(i: number): number;
  cells(i: number): readonly string[];
  /** One cell, '' where the record has none. */
  cell(i: number, column: number): string;
}

/** @param text which the records stand in */
function lazyRecords(text: string, marks: Marks): LazyRecords {
  const [numbers, begins, ends] = [createNumbers(), createNumbers(), createNumbers()];
  /** The record that was split last: the cells of one are asked for one after the other. */
  let last = -1;
  let asked = -1;
  let lastCells: readonly string[] = [];
  const { delimiter } = marks;
  const cells = (i: number): readonly string[] => {
    if (i === last) return lastCells;
    const end = ends.at(i);
    lastCells = cellsAgain(text.slice(begins.at(i), end >>> 1), marks, (end & 1) === 1);
    last = i;
    return lastCells;
  };
  return {
    get count() {
      return numbers.length;
    },
    add({ number, begin, end, isPlain }) {
      numbers.push(number);
      begins.push(begin);
      // A text has fewer than 2³¹ letters.
      ends.push(end * 2 + (isPlain ? 1 : 0));
    },
    number: numbers.at,
    cells,
    cell(i, column) {
      const end = ends.at(i);
      if (i === last || i === asked || (end & 1) === 0 || delimiter === null) return cells(i)[column] ?? '';
      // Without making the others, until a second one is asked for.
      asked = i;
      const stop = end >>> 1;
      let from = begins.at(i);
      for (let k = 0; ; k++) {
        const next = text.indexOf(delimiter, from);
        const to = next < 0 || next > stop ? stop : next;
        if (k === column) return text.slice(from, to);
        if (to === stop) return '';
        from = next + delimiter.length;
      }
    },
  };
}

/** Makes rows whose values are read from the text each time. */
function rowMaker(records: LazyRecords, columns: readonly string[]): (i: number, row: number) => Row {
  // Columns may be called anything, so what values hold of their own stands under no name.
  const key = Symbol('record');
  const look = Object.create(null) as object;
  columns.forEach((name, column) => {
    Object.defineProperty(look, name, {
      enumerable: true,
      get(this: { readonly [key]: number }) {
        return records.cell(this[key], column);
      },
    });
  });
  function valuesOf(i: number): Readonly<Record<string, unknown>> {
    const values = Object.create(look) as { [key]: number };
    values[key] = i;
    return values as unknown as Readonly<Record<string, unknown>>;
  }
  class LazyRow implements Row {
    readonly row: number;
    private readonly i: number;
    constructor(i: number, row: number) {
      this.i = i;
      this.row = row;
    }
    get values() {
      return valuesOf(this.i);
    }
  }
  return (i, row) => new LazyRow(i, row);
}
