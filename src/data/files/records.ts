/**
 * Records of delimited text. Papaparse splits them; a quotation mark that is only a character would swallow the records after it or shift the cells, so
 * such a record is found and its line read as it stands.
 */
import Papa from 'papaparse';

/** How text is divided into cells. */
export interface Marks {
  /** null: the text has one column, a record is a line. */
  readonly delimiter: string | null;
  /** Whether quotation marks wrap cells; else they are characters like others. */
  readonly quotes: boolean;
  /** How a quotation mark inside a wrapped cell is written: doubled, or after a backslash. */
  readonly escape: '"' | '\\';
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
  /** Records to read. */
  readonly most?: number;
}

/** All records of a text whose lines end in \n; blank lines are records of one empty cell. */
export function readRecords(text: string, marks: Marks, bounds: Bounds = {}): Records {
  const { delimiter, quotes } = marks;
  const { most = Number.POSITIVE_INFINITY } = bounds;
  const split = (line: string): string[] => (delimiter === null ? [line] : line.split(delimiter));
  if (!quotes) return { cells: linesOf(text, most).map(split), strays: [] };
  const cells: string[][] = [];
  const strays: number[] = [];
  let at = 0;
  while (at < text.length && cells.length < most) {
    const stray = readUntilStray(text.slice(at), marks, { ...bounds, most }, cells, strays, split);
    if (stray === null) break;
    const begin = at + stray;
    const newline = text.indexOf('\n', begin);
    const end = newline < 0 ? text.length : newline;
    strays.push(cells.length);
    cells.push(split(text.slice(begin, end)));
    at = end + 1;
  }
  return { cells, strays };
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

/** Adds records up to one with a stray mark, and gives where that begins; null at the end. */
function readUntilStray(
  text: string,
  { delimiter, escape: escapeChar }: Marks,
  { width, isRecord, most = Number.POSITIVE_INFINITY }: Bounds,
  cells: string[][],
  strays: number[],
  split: (line: string) => string[],
): number | null {
  let begin = 0;
  let stray: number | null = null;
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
      const isMalformed = errors.some((error) => error.type === 'Quotes');
      if (isStray(isMalformed, data.length, meta.cursor)) {
        stray = begin;
        parser.abort();
        return;
      }
      // Marks inside a wrapped cell that nobody doubled: what it holds is clear all the same.
      if (isMalformed) strays.push(cells.length);
      if (begin < text.length) cells.push(data);
      begin = meta.cursor;
      if (cells.length >= most) parser.abort();
    },
  });
  return stray;
}
