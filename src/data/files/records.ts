/**
 * Records of delimited text. Papaparse splits them; a quotation mark that is only a character would swallow the records after it or shift the cells, so
 * such a record is found and its line read as it stands.
 */
import Papa from 'papaparse';
import { within } from '../../lib/budget.ts';
import { say } from '../../lib/say.ts';

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

/** One record, and where it stands in the text. */
export interface RecordAt {
  /** From 0, blank ones counted. */
  readonly number: number;
  readonly begin: number;
  /** Without the end of its line. */
  readonly end: number;
  readonly cells: readonly string[];
  /** Whether its quotation marks are characters. */
  readonly isPlain: boolean;
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

/** The text without the spaces between a delimiter and a wrapped cell, as records are read from. */
export function withoutSpaces(text: string, { isSpaced, delimiter }: Marks): string {
  if (!isSpaced || delimiter === null) return text;
  const mark = delimiter.replace(/[|\\^$.*+?()[\]{}]/g, '\\$&');
  const parts = new RegExp(`("(?:[^"]|"")*")|(${mark}) +(?=")`, 'g');
  return text.replace(parts, (_, cell: string | undefined, between: string) => cell ?? between);
}

/** All records of a text whose lines end in \n; blank lines are records of one empty cell. For texts of which there is little. */
export function readRecords(whole: string, marks: Marks, bounds: Bounds = {}): Records {
  const cells: (readonly string[])[] = [];
  const strays = eachRecord(withoutSpaces(whole, marks), marks, bounds, (record) => {
    cells.push(record.cells);
  });
  return { cells, strays };
}

/**
 * Gives the records of a text one after the other, none of which has more cells than a window has letters.
 *
 * @param text as {@link withoutSpaces} gives it
 * @returns the numbers of records with quotation marks that wrap nothing
 * @throws PapilioError 'too-large'
 */
export function eachRecord(
  text: string,
  marks: Marks,
  bounds: Bounds,
  give: (record: RecordAt) => void,
): readonly number[] {
  const { most = Number.POSITIVE_INFINITY, mostStrays = Number.POSITIVE_INFINITY } = bounds;
  const reading: Reading = { count: 0, strays: [], give };
  const giveLine = (begin: number): number => {
    const end = lineEndOf(text, begin);
    const line = text.slice(begin, end);
    if (line.length > WINDOW) requireNarrow(line, { ...marks, quotes: false }, bounds.name);
    give({ number: reading.count++, begin, end, cells: splitPlain(line, marks), isPlain: true });
    return end + 1;
  };
  let at = 0;
  if (!marks.quotes) {
    while (at < text.length && reading.count < most) at = giveLine(at);
    return [];
  }
  let window = WINDOW;
  while (at < text.length && reading.count < most && reading.strays.length < mostStrays) {
    const end = windowEnd(text, at, window);
    const part = text.slice(at, end);
    // Only what is longer than a window can have more cells than a window has letters.
    if (part.length > WINDOW) requireNarrow(part, marks, bounds.name);
    const stray = readUntilStray(part, at, marks, { ...bounds, most }, reading);
    if (stray === null) {
      at = end;
      continue;
    }
    // A cell that is still open at the end of the window may be closed behind it.
    if (stray.isOpen && end < text.length) {
      window = stray.begin === at ? window * 4 : WINDOW;
      at = stray.begin;
      continue;
    }
    window = WINDOW;
    reading.strays.push(reading.count);
    at = giveLine(stray.begin);
  }
  return reading.strays;
}

/** Characters that are read at a time; more only where a cell is so long. */
const WINDOW = 1 << 18;

/** The end of the last line in a window that begins at `at`. */
function windowEnd(text: string, at: number, window: number): number {
  if (text.length - at <= window) return text.length;
  const newline = text.lastIndexOf('\n', at + window);
  return newline > at ? newline + 1 : Math.min(text.length, lineEndOf(text, at + window) + 1);
}

function lineEndOf(text: string, at: number): number {
  const newline = text.indexOf('\n', at);
  return newline < 0 ? text.length : newline;
}

const splitPlain = (line: string, { delimiter }: Marks): string[] =>
  delimiter === null ? [line] : line.split(delimiter);

/** Goes through a text for the record with the most cells, before any of them is made. @throws PapilioError 'too-large' */
function requireNarrow(
  text: string,
  { delimiter, quotes, escape: before }: Marks,
  name = say`The table`,
): void {
  if (delimiter === null) return;
  let count = 1;
  let isBegin = true;
  const sign = delimiter.charCodeAt(0);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quotes && isBegin && code === MARK) at = closingMark(text, at, before);
    isBegin = false;
    if (code === NEWLINE) {
      count = 1;
      isBegin = true;
    } else if (code === sign && text.startsWith(delimiter, at)) {
      within('columns', ++count, name);
      at += delimiter.length - 1;
      isBegin = true;
    }
  }
}

const MARK = 0x22;
const NEWLINE = 0x0a;

/** Where the mark stands that closes the cell opened at `at`; the end of the text where none does. */
function closingMark(text: string, at: number, before: Marks['escape']): number {
  for (let from = at + 1; ; ) {
    const mark = text.indexOf('"', from);
    if (mark < 0) return text.length;
    if (before === '"' && text.charCodeAt(mark + 1) === MARK) from = mark + 2;
    else if (before === '\\' && text[mark - 1] === '\\') from = mark + 1;
    else return mark;
  }
}

/** The cells of one record again, as {@link eachRecord} gave them. */
export function cellsAgain(record: string, marks: Marks, isPlain: boolean): readonly string[] {
  if (isPlain) return splitPlain(record, marks);
  return splitWrapped(record, marks) ?? parsedAlone(record, marks);
}

/** The cells of a record in which marks are where they should be; null for any other. */
function splitWrapped(record: string, { delimiter, escape: before }: Marks): string[] | null {
  const between = delimiter ?? NEVER;
  const cells: string[] = [];
  for (let at = 0; ; ) {
    let end: number;
    if (record.charCodeAt(at) === MARK) {
      const mark = closingMark(record, at, before);
      end = mark + 1;
      if (mark === record.length || (end < record.length && !record.startsWith(between, end))) return null;
      // By split and join: replaceAll takes 60 bytes for every mark that it finds.
      cells.push(
        record
          .slice(at + 1, mark)
          .split(`${before}"`)
          .join('"'),
      );
    } else {
      const next = record.indexOf(between, at);
      end = next < 0 ? record.length : next;
      cells.push(record.slice(at, end));
    }
    if (end >= record.length) return cells;
    at = end + between.length;
  }
}

function parsedAlone(record: string, { delimiter, escape: escapeChar }: Marks): readonly string[] {
  const { data } = Papa.parse<string[]>(record, {
    ...{ delimiter: delimiter ?? NEVER, newline: '\n', escapeChar, skipEmptyLines: false },
  });
  return data[0] ?? [''];
}

/** What was read so far, and who is given it. */
interface Reading {
  count: number;
  readonly strays: number[];
  readonly give: (record: RecordAt) => void;
}

/**
 * Gives records up to one with a stray mark, and tells where that begins and whether it may only be unfinished; null at the end.
 *
 * @param at where the text begins in the whole
 */
function readUntilStray(
  text: string,
  at: number,
  marks: Marks,
  { width, isRecord, most = Number.POSITIVE_INFINITY }: Bounds,
  reading: Reading,
): { readonly begin: number; readonly isOpen: boolean } | null {
  let begin = 0;
  let stray: { readonly begin: number; readonly isOpen: boolean } | null = null;
  const endOf = (cursor: number): number =>
    cursor > begin && text.charCodeAt(cursor - 1) === NEWLINE ? cursor - 1 : cursor;
  const isStray = (isMalformed: boolean, count: number, span: string): boolean => {
    const isLine = !span.includes('\n');
    if (isMalformed) return !(isLine && width !== undefined && width > 1 && count === width);
    if (isLine || !isRecord) return false;
    return span.split('\n', LOOKED).every((line) => isRecord(splitPlain(line, marks)));
  };
  Papa.parse<string[]>(text, {
    delimiter: marks.delimiter ?? NEVER,
    newline: '\n',
    escapeChar: marks.escape,
    skipEmptyLines: false,
    step: ({ data, errors, meta }, parser) => {
      const faults = errors.filter((error) => error.type === 'Quotes');
      const isMalformed = faults.length > 0;
      const end = endOf(meta.cursor);
      const span = text.slice(begin, end);
      if (isStray(isMalformed, data.length, span)) {
        stray = {
          begin: at + begin,
          isOpen: isMalformed && faults.every((error) => error.code === 'MissingQuotes'),
        };
        parser.abort();
        return;
      }
      // Marks inside a wrapped cell that nobody doubled: what it holds is clear all the same.
      if (isMalformed) reading.strays.push(reading.count);
      if (begin < text.length)
        reading.give({
          ...{ number: reading.count++, begin: at + begin, end: at + end, cells: data },
          isPlain: !span.includes('"'),
        });
      begin = meta.cursor;
      if (reading.count >= most) parser.abort();
    },
  });
  return stray;
}
