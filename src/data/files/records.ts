/**
 * Records of delimited text. Papaparse splits them; a quotation mark that is only a character would swallow the records after it or shift the cells, so
 * such a record is found and its line read as it stands.
 */
import Papa from 'papaparse';
import { createBudget } from '../../lib/budget.ts';

/** How text is divided into cells. */
export interface Marks {
  /** null: the text has one column, a record is a line. */
  readonly delimiter: string | null;
  /** Whether quotation marks wrap cells; else they are characters like others. */
  readonly quotes: boolean;
  /** How a quotation mark inside a wrapped cell is written: doubled, or after a backslash. */
  readonly escape: '"' | '\\';
  /** Whether a space stands between a delimiter and the mark that wraps the next cell. */
  readonly isSpaced?: boolean;
}

export interface Records {
  readonly cells: readonly (readonly string[])[];
  /** Numbers of records, from 0, with quotation marks that wrap nothing. */
  readonly strays: readonly number[];
}

/** A delimiter that no text has. */
const NEVER = '\u001f';
/** Lines of a wrapped cell that are looked at. */
const LOOKED = 50;

interface Bounds {
  /** Cells that a record should have. */
  readonly width?: number;
  /** Whether the cells of a line, read as it stands, make a whole record: then a cell that spans such lines is none. */
  readonly isRecord?: (cells: readonly string[]) => boolean;
  /** The table's, for complaints. */
  readonly name?: string;
  /** Records, and records with stray marks, to read. */
  readonly most?: number;
  readonly mostStrays?: number;
}

/** The text without the spaces between a delimiter and a wrapped cell. */
function withoutSpaces(text: string, delimiter: string): string {
  const mark = delimiter.replace(/[|\\^$.*+?()[\]{}]/g, '\\$&');
  const parts = new RegExp(`("(?:[^"]|"")*")|(${mark}) +(?=")`, 'g');
  return text.replace(parts, (_, cell: string | undefined, between: string) => cell ?? between);
}

/** All records of a text whose lines end in \n; blank lines are records of one empty cell. */
export function readRecords(whole: string, marks: Marks, bounds: Bounds = {}): Records {
  const { delimiter, quotes } = marks;
  const text = marks.isSpaced && delimiter !== null ? withoutSpaces(whole, delimiter) : whole;
  const { most = Number.POSITIVE_INFINITY, mostStrays = Number.POSITIVE_INFINITY } = bounds;
  const split = (line: string): string[] => (delimiter === null ? [line] : line.split(delimiter));
  const budget = createBudget('tableCells', text.length);
  const counted = (row: string[]): string[] => {
    budget.take(row.length, bounds.name ?? 'The table');
    return row;
  };
  if (!quotes) return { cells: linesOf(text, most).map((line) => counted(split(line))), strays: [] };
  const cells: string[][] = [];
  const strays: number[] = [];
  let at = 0;
  let window = WINDOW;
  while (at < text.length && cells.length < most && strays.length < mostStrays) {
    const end = windowEnd(text, at, window);
    const stray = readUntilStray(
      text.slice(at, end),
      marks,
      { ...bounds, most },
      { cells, strays, split, counted },
    );
    if (stray === null) {
      at = end;
      continue;
    }
    const begin = at + stray.begin;
    // A cell that is still open at the end of the window may be closed behind it.
    if (stray.isOpen && end < text.length) {
      window = begin === at ? window * 4 : WINDOW;
      at = begin;
      continue;
    }
    window = WINDOW;
    const lineEnd = text.indexOf('\n', begin);
    const line = text.slice(begin, lineEnd < 0 ? text.length : lineEnd);
    strays.push(cells.length);
    cells.push(counted(split(line)));
    at = begin + line.length + 1;
  }
  return { cells, strays };
}

/** Characters that are read at a time; more only where a cell is so long. */
const WINDOW = 1 << 18;

/** The end of the last line in a window that begins at `at`. */
function windowEnd(text: string, at: number, window: number): number {
  if (text.length - at <= window) return text.length;
  const newline = text.lastIndexOf('\n', at + window);
  return newline > at ? newline + 1 : lineEndAfter(text, at + window);
}

function lineEndAfter(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  return newline < 0 ? text.length : newline + 1;
}

function linesOf(text: string, most: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < text.length && lines.length < most; ) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    lines.push(text.slice(at, end));
    at = end + 1;
  }
  return lines;
}

/** What was read so far, and how more is. */
interface Reading {
  readonly cells: string[][];
  readonly strays: number[];
  readonly split: (line: string) => string[];
  readonly counted: (row: string[]) => string[];
}

/** Adds records up to one with a stray mark, and gives where that begins and whether it may only be unfinished; null at the end. */
function readUntilStray(
  text: string,
  { delimiter, escape: escapeChar }: Marks,
  { width, isRecord, most = Number.POSITIVE_INFINITY }: Bounds,
  { cells, strays, split, counted }: Reading,
): { readonly begin: number; readonly isOpen: boolean } | null {
  let begin = 0;
  let stray: { readonly begin: number; readonly isOpen: boolean } | null = null;
  const isStray = (isMalformed: boolean, count: number, end: number): boolean => {
    const span = text.slice(begin, end).replace(/\n$/, '');
    const isLine = !span.includes('\n');
    if (isMalformed) return !(isLine && width !== undefined && width > 1 && count === width);
    if (isLine || !isRecord) return false;
    return span.split('\n', LOOKED).every((line) => isRecord(split(line)));
  };
  Papa.parse<string[]>(text, {
    delimiter: delimiter ?? NEVER,
    newline: '\n',
    escapeChar,
    skipEmptyLines: false,
    step: ({ data, errors, meta }, parser) => {
      const faults = errors.filter((error) => error.type === 'Quotes');
      const isMalformed = faults.length > 0;
      if (isStray(isMalformed, data.length, meta.cursor)) {
        stray = { begin, isOpen: isMalformed && faults.every((error) => error.code === 'MissingQuotes') };
        parser.abort();
        return;
      }
      // Marks inside a wrapped cell that nobody doubled: what it holds is clear all the same.
      if (isMalformed) strays.push(cells.length);
      if (begin < text.length) cells.push(counted(data));
      begin = meta.cursor;
      if (cells.length >= most) parser.abort();
    },
  });
  return stray;
}
