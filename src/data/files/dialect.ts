/**
 * How a delimited text is written, guessed from its first part: what stands before the table, what divides the cells, whether quotation marks wrap
 * them, whether the first row is a header. Pure functions; what is told goes before what is guessed, and each guess has a line.
 */
import { commonest, mean } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { isNothing, numberOf, withoutPercent } from './cells.ts';
import { isKnownName } from './columns.ts';
import { countsRows } from './content.ts';
import { type Marks, readRecords } from './records.ts';

/** What may be told of a table; what is left out is guessed. */
export interface TableOptions {
  /** Whether the first row is a header. */
  readonly header?: boolean;
  readonly delimiter?: string;
  /** Whether quotation marks wrap cells; else they are characters like others. */
  readonly quotes?: boolean;
  /** What the comma in numbers is. */
  readonly decimal?: 'point' | 'comma';
}

export interface Dialect extends Marks {
  /** Lines of comments and of `sep=` before the table. */
  readonly lead: number;
  /** Records between them and the table: titles, blank lines. */
  readonly skip: number;
  /** Cells of a record. */
  readonly width: number;
  /** Whether the header lacks the first column, which names the rows, as R writes it. */
  readonly hasRowNames: boolean;
  /** Above 0: the first row looks like a header; 0: nobody can tell. */
  readonly headerScore: number;
  /** The first row of the table, header or not. */
  readonly first: readonly string[];
  /** The rows below it, as far as they were looked at. */
  readonly body: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

/** Characters and records of a text that are looked at. */
const SAMPLE = 1 << 18;
const MOST_RECORDS = 600;
/** With more stray marks among them a reading is wrong anyway. */
const MOST_STRAYS = 100;
const DELIMITERS = [',', ';', '\t', '|'];
const delimiterNames = (): Readonly<Record<string, string>> => ({
  ',': say`commas`,
  ';': say`semicolons`,
  '\t': say`tabs`,
  '|': say`vertical bars`,
});
const delimiterName = (mark: string): string => delimiterNames()[mark] ?? `"${mark}"`;

type Row = readonly string[];

/** The text with \n alone at the end of its lines: \r and \r\n end them too, also beside each other, as pandas reads them. */
export const plainLines = (text: string): string =>
  text.includes('\r') ? text.replaceAll('\r\n', '\n').replaceAll('\r', '\n') : text;

const sampleOf = (text: string): string =>
  text.length <= SAMPLE ? text : text.slice(0, Math.max(text.lastIndexOf('\n', SAMPLE), 1 << 12));

const isBlank = (row: Row): boolean => row.every((cell) => cell.trim() === '');
const filled = (row: Row): number => row.filter((cell) => cell.trim() !== '').length;

/** Cells up to the last that holds something. */
function trimmedCount(row: Row): number {
  let count = row.length;
  while (count > 0 && row[count - 1]!.trim() === '') count--;
  return count;
}

/**
 * The dialect of a text, from its first part.
 * @param text as {@link plainLines} gives it
 * @param kind the ending of its name
 */
export function guessDialect(text: string, kind: string, told: TableOptions = {}): Dialect {
  const sample = sampleOf(text);
  const notes: string[] = [];
  const { lines, delimiter: said } = readSep(sample);
  const comments = leadingComments(sample, lines);
  const from = told.delimiter ?? said;
  // A line that begins with # is a comment, unless it has the cells of the others.
  const rest = linesFrom(sample, comments.end);
  const marks = guessMarks(rest === '' ? sample : rest, kind, from, told.quotes);
  const { delimiter } = marks;
  if (said !== undefined && said === delimiter)
    notes.push(say`the first line says that ${delimiterName(said)} divide the cells`);
  else if (told.delimiter === undefined && delimiter !== null && delimiter !== usual(kind))
    notes.push(say`${delimiterName(delimiter)} divide the cells`);
  if (marks.quotes && marks.escape === '\\')
    notes.push(say`a backslash stands before quotation marks in texts`);
  const own = commentCount(sample, lines, comments.end, marks);
  const lead = rest === '' ? lines : own;
  if (lead > lines)
    notes.push(
      lead - lines === 1
        ? say`line before the table that begin with # are left out`
        : say`lines before the table that begin with # are left out`,
    );
  const { cells } = readRecords(linesFrom(sample, lead), marks, { most: MOST_RECORDS });
  const whole = sample.length < text.length ? cells.slice(0, -1) : cells;
  return { ...marks, lead, notes, ...tableIn(whole.length === 0 ? cells : whole, notes) };
}

const usual = (kind: string): string =>
  kind === 'tsv' || kind === 'tab' ? '\t' : kind === 'psv' ? '|' : ',';

/** Excel's `sep=;` in the first line. */
function readSep(sample: string): { lines: number; delimiter?: string } {
  const sep = /^"?sep=(.|\\t)"?[,;\t]*(?:\n|$)/i.exec(sample)?.[1];
  return sep === undefined ? { lines: 0 } : { lines: 1, delimiter: sep === '\\t' ? '\t' : sep };
}

const lineEnd = (text: string, at: number): number => {
  const newline = text.indexOf('\n', at);
  return newline < 0 ? text.length : newline + 1;
};

function linesFrom(text: string, lines: number): string {
  let at = 0;
  for (let i = 0; i < lines && at < text.length; i++) at = lineEnd(text, at);
  return text.slice(at);
}

/** The text behind its first lines. */
export const behindLead = (text: string, { lead }: Pick<Dialect, 'lead'>): string => linesFrom(text, lead);

/** Lines up to the first that begins without #. */
function leadingComments(sample: string, lines: number): { readonly end: number } {
  const all = sample.split('\n', 200);
  let end = lines;
  while (end < all.length && (all[end]!.startsWith('#') || (end > lines && all[end]!.trim() === ''))) end++;
  return { end: end === all.length ? lines : end };
}

/** How many of the leading lines are comments: up to the first that has the cells of the table. */
function commentCount(sample: string, lines: number, end: number, marks: Marks): number {
  if (end === lines) return lines;
  const { delimiter } = marks;
  if (delimiter === null)
    return sample
      .split('\n', end)
      .slice(lines)
      .every((l) => /^#(\s|$)/.test(l))
      ? end
      : lines;
  const body = readRecords(linesFrom(sample, end), marks, { most: 50 }).cells;
  const width = commonest(body.filter((row) => !isBlank(row)).map(trimmedCount)).value;
  const all = sample.split('\n', end);
  for (let i = lines; i < end; i++) if (trimmedCount(all[i]!.split(delimiter)) === width) return i;
  return end;
}

interface Attempt {
  readonly marks: Marks;
  readonly rows: readonly Row[];
  readonly width: number;
  /** Of the records, how many have `width` cells. */
  readonly share: number;
  readonly strays: number;
}

function attempt(sample: string, marks: Marks): Attempt {
  const { cells, strays } = readRecords(sample, marks, { most: MOST_RECORDS, mostStrays: MOST_STRAYS });
  const rows = cells.filter((row) => !isBlank(row));
  const raw = commonest(rows.map((row) => row.length));
  const trimmed = commonest(rows.map(trimmedCount));
  const { value, share } = trimmed.share > raw.share ? trimmed : raw;
  return { marks, rows, width: value, share, strays: strays.length };
}

function guessMarks(sample: string, kind: string, delimiter?: string, quotes?: boolean): Marks {
  const head = sample.split('\n', MOST_RECORDS);
  // What is not in the lines does not divide them.
  const divides = (mark: string) => head.filter((line) => line.includes(mark)).length >= head.length * 0.3;
  const tries = (delimiter === undefined ? DELIMITERS.filter(divides) : [delimiter])
    .map((mark) => guessQuotes(sample, mark, quotes))
    .map((found) => ({ ...found, score: plausibility(found, kind) }))
    .filter(({ score }) => delimiter !== undefined || score > 0)
    .toSorted((a, b) => b.score - a.score);
  if (tries[0]) return tries[0].marks;
  // One column; its quotation marks wrap lines only where they wrap all.
  const lines = sample.split('\n').filter((line) => line.trim() !== '');
  const wrapped = lines.slice(1).filter((line) => /^".*"$/.test(line)).length;
  return { delimiter: null, quotes: quotes ?? (wrapped > 0 && wrapped >= lines.length - 2), escape: '"' };
}

/** How well a delimiter explains the text; 0 where it divides nothing. */
function plausibility({ marks, rows, width, share }: Attempt, kind: string): number {
  const [first = []] = rows;
  const hasRowNames = namesRows(first, rows.slice(1), width);
  if (width < 2 || (first.length < 2 && !hasRowNames) || rows.length === 0) return 0;
  const names = first.map((cell) => cell.trim().replace(/^"|"$/g, ''));
  const isNamed = names.some(isKnownName) && names.every((name) => name.length <= 60);
  // Prose has spaces after its commas and semicolons.
  const inside = rows.slice(1).flatMap((row) => row.slice(1));
  const isProse =
    marks.delimiter !== '\t' && inside.filter((cell) => /^ \S/.test(cell)).length > inside.length / 2;
  if (share < 0.5 && !isNamed) return 0;
  return (
    share +
    (isNamed ? 0.6 : 0) +
    (first.length >= width || trimmedCount(first) === width ? 0.2 : 0) +
    (marks.delimiter === usual(kind) ? 0.05 : 0) -
    (isProse ? 0.4 : 0)
  );
}

/** The share of lines with a space between a delimiter and a quotation mark. */
function spacedLines(sample: string, delimiter: string): number {
  const lines = sample.split('\n', MOST_RECORDS).filter((line) => line.trim() !== '');
  return lines.filter((line) => line.includes(`${delimiter} "`)).length / Math.max(1, lines.length);
}

/**
 * Whether quotation marks wrap cells. Between tabs they are characters, unless the file is consistent: all texts of a column are wrapped, or just
 * those that need it.
 */
function guessQuotes(sample: string, delimiter: string, quotes?: boolean): Attempt {
  const literal = attempt(sample, { delimiter, quotes: false, escape: '"' });
  if (quotes === false || !sample.includes('"'))
    return quotes ? { ...literal, marks: { ...literal.marks, quotes } } : literal;
  const isSpaced = spacedLines(sample, delimiter) >= 0.5;
  const doubled = attempt(sample, { delimiter, quotes: true, escape: '"', isSpaced });
  const slashed = sample.includes('\\"')
    ? attempt(sample, { delimiter, quotes: true, escape: '\\' })
    : doubled;
  const quoted = slashed.strays < doubled.strays && slashed.share >= doubled.share ? slashed : doubled;
  if (quotes) return quoted;
  if (delimiter === '\t') return quoted.strays === 0 && isConsistent(quoted, sample) ? quoted : literal;
  const isHopeless = quoted.strays > quoted.rows.length / 10 && literal.share >= 0.95;
  return isHopeless ? literal : quoted;
}

function isConsistent({ rows, marks, share }: Attempt, sample: string): boolean {
  const mark = marks.delimiter!;
  // Cells as they stand: what a wrapped one holds tells whether it had to be.
  const all = readRecords(sample, { ...marks, quotes: false }, { most: MOST_RECORDS }).cells.filter(
    (r) => !isBlank(r),
  );
  if (share < 0.9) return false;
  const spans = all.length !== rows.length || all.some((row, i) => row.length !== rows[i]!.length);
  const wrapped = all.flat().filter((cell) => /^".*"$/s.test(cell) && cell.length > 1);
  if (spans) return true;
  if (wrapped.length === 0) return false;
  const width = rows[0]!.length;
  for (let c = 0; c < width; c++) {
    const cells = all
      .slice(1)
      .map((row) => row[c] ?? '')
      .filter((cell) => cell !== '' && numberOf(cell) === null);
    if (cells.length > 0 && cells.filter((cell) => /^".*"$/s.test(cell)).length >= cells.length * 0.95)
      return true;
  }
  return wrapped.every((cell) => cell.slice(1, -1).includes('""') || cell.includes(mark));
}

/** Where the table begins among records, and how it begins. */
function tableIn(
  cells: readonly Row[],
  notes: string[],
): Pick<Dialect, 'skip' | 'width' | 'hasRowNames' | 'headerScore' | 'first' | 'body'> {
  const bodyOf = (at: number): Row[] =>
    cells
      .slice(at + 1)
      .filter((row) => !isBlank(row))
      .slice(0, 300);
  let skip = cells.findIndex((row) => !isBlank(row));
  if (skip < 0) skip = 0;
  const width = commonest(cells.filter((row) => !isBlank(row)).map((row) => row.length)).value;
  // A title above the header: alone in its row.
  let title = skip;
  while (title < Math.min(cells.length - 1, 20) && width > 1 && filled(cells[title]!) < 2) title++;
  if (title > skip && headerScore(cells[title]!, bodyOf(title)) > 0 && filled(cells[title]!) > 1) {
    notes.push(say`what stands above the header in row ${title + 1} is left out`);
    skip = title;
  }
  const first = cells[skip] ?? [];
  const body = bodyOf(skip);
  const hasRowNames = namesRows(first, body, width);
  if (hasRowNames) return { skip, width, hasRowNames, headerScore: 9, first: ['', ...first], body };
  return {
    skip,
    width: Math.max(first.length, 1),
    hasRowNames,
    headerScore: headerScore(first, body),
    first,
    body,
  };
}

/** Whether rows have one cell more than the header, which names them: below a single name only by counting, since texts have commas too. */
function namesRows(first: Row, body: readonly Row[], width: number): boolean {
  if (first.length + 1 !== width) return false;
  const whole = body.filter((row) => row.length === width);
  if (whole.length < 2 || whole.length < body.length * 0.9) return false;
  const names = whole.map((row) => row[0]!);
  return first.length === 1 ? countsRows(names) : new Set(names).size === names.length;
}

const words = (text: string): number => text.trim().split(/\s+/).length;

/** What speaks for a row being the header of others, less what speaks against it. */
export function headerScore(first: Row, body: readonly Row[]): number {
  const names = first.map((cell) => cell.trim());
  const columnOf = (c: number) => body.map((row) => (row[c] ?? '').trim()).filter((cell) => cell !== '');
  // pandas names columns without names by their numbers.
  const numbers = names[0] === '' ? names.slice(1) : names;
  const isCounted = numbers.length > 1 && numbers.every((name, i) => name === String(i));
  if (isCounted && body.some((row) => row.some((cell) => numberOf(cell) === null))) return 5;
  const used = names.filter((name) => name !== '');
  const known = names.some((name, c) => isKnownName(name) && !columnOf(c).includes(name));
  const isIdentifier = (name: string) => /^[\p{L}_#"$@][^.!?]*$/u.test(name) && words(name) <= 5;
  return (
    (known ? 4 : 0) -
    (used.every(isIdentifier) ? 0 : 1.5) +
    names.reduce((sum, name, c) => sum + (name === '' ? 0 : columnEvidence(name, columnOf(c))), 0)
  );
}

function isNumber(cell: string): boolean {
  const text = withoutPercent(cell);
  return numberOf(text) !== null || numberOf(text, 'comma') !== null;
}

/** What one column says of its first cell. */
function columnEvidence(name: string, values: readonly string[]): number {
  if (isNumber(name)) return -3;
  if (values.length === 0 || isNothing(name)) return 0;
  const isNumeric = values.filter((v) => isNumber(v) || isNothing(v)).length >= values.length * 0.95;
  if (isNumeric) return 3;
  const distinct = new Set(values);
  const repeats = distinct.size <= values.length / 2;
  if (distinct.has(name)) return repeats ? -3 : -1;
  const length = mean(values.map(words));
  let evidence = repeats && distinct.size <= 20 && values.length >= 6 ? 2 : 0;
  if (words(name) > 12 || name.length > 100) evidence -= 2;
  if (length >= 4) evidence += words(name) >= Math.max(4, length / 3) ? -2 : words(name) <= 2 ? 1.5 : 0;
  return evidence;
}
