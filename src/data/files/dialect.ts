/**
 * How a text of rows and cells was written: its delimiter, whether quotation marks enclose cells, whether the first row names the columns.
 * Guessed from the rows themselves and their agreement, never from one line; a person may say otherwise.
 */
import Papa from 'papaparse';
import { isColumnName } from './columns.ts';

export type Delimiter = ',' | ';' | '\t' | '|';

export interface Dialect {
  readonly delimiter: Delimiter;
  /** Cells may be enclosed in quotation marks; else a mark is a character as any other. */
  readonly quoted: boolean;
  /** Lines before the first row: `sep=;` and comments. */
  readonly skipped: number;
}

/** What a person says of a file, in place of the guess. */
export interface DialectChoice {
  readonly header?: boolean;
  readonly delimiter?: Delimiter;
}

const DELIMITERS: readonly Delimiter[] = [',', ';', '\t', '|'];
/** Rows that a guess is made of. */
const SAMPLE = 300;
const MAX_SAMPLE_CHARACTERS = 400_000;

const OWN: Readonly<Record<string, Delimiter>> = { tsv: '\t', tab: '\t' };

/** Cells of every row, quotation marks read or not; a row of nothing is []. */
export function parse(text: string, delimiter: Delimiter, quoted: boolean): Papa.ParseResult<string[]> {
  return Papa.parse<string[]>(text, {
    delimiter,
    skipEmptyLines: false,
    ...(quoted ? {} : { fastMode: true }),
  });
}

const isBlank = (cells: readonly string[]) => cells.every((cell) => cell.trim() === '');

/** The commonest number of cells, and the share of rows that have it. Blank cells at the end do not count. */
function agreement(rows: readonly (readonly string[])[]): { readonly cells: number; readonly share: number } {
  const counts = new Map<number, number>();
  let total = 0;
  for (const cells of rows) {
    if (isBlank(cells)) continue;
    total++;
    counts.set(cells.length, (counts.get(cells.length) ?? 0) + 1);
  }
  let [cells, most] = [0, 0];
  for (const [n, count] of counts) if (count > most) [cells, most] = [n, count];
  return { cells, share: total === 0 ? 0 : most / total };
}

/** The first lines whole, so that a guess costs the same for every size of file. */
function sampleOf(text: string): string {
  let end = 0;
  for (let line = 0; line < SAMPLE && end < text.length; line++) {
    const next = text.indexOf('\n', end);
    if (next < 0) return text;
    end = next + 1;
    if (end > MAX_SAMPLE_CHARACTERS) break;
  }
  return text.slice(0, end);
}

/** Whether quotation marks enclose cells, by which reading makes rows of equal length. */
function isQuoted(text: string, delimiter: Delimiter): boolean {
  if (!text.includes('"')) return false;
  const plain = parse(text, delimiter, false).data;
  const enclosed = parse(text, delimiter, true);
  const [asPlain, asEnclosed] = [agreement(plain), agreement(enclosed.data)];
  const isBroken = enclosed.errors.some((error) => error.type === 'Quotes');
  if (!isBroken && asEnclosed.share > asPlain.share) return true;
  const marked = plain.flat().filter((cell) => cell.startsWith('"'));
  const isClosed = (cell: string) => /^"([^"]|"")*"\s*$/.test(cell);
  if (marked.length === 0) return false;
  // Tab-separated text is seldom quoted: then every mark at the start of a cell must have one at its end.
  if (delimiter === '\t') return !isBroken && marked.every(isClosed);
  return (
    marked.filter(isClosed).length > marked.length / 2 || (!isBroken && asEnclosed.share >= asPlain.share)
  );
}

/** Lines that are no rows: Excel's `sep=;`, and comments above the table. */
function preamble(text: string): { readonly lines: number; readonly delimiter?: Delimiter } {
  const lines = text.split(/\r?\n/, 40);
  const said =
    /^sep=(.)\s*$/i.exec(lines[0] ?? '')?.[1] ?? (/^sep=\t?$/i.test(lines[0] ?? '') ? '\t' : undefined);
  if (said !== undefined) {
    const delimiter = DELIMITERS.find((d) => d === said);
    return { lines: 1, ...(delimiter ? { delimiter } : {}) };
  }
  const first = lines.findIndex((line) => !/^\s*(#|%|\/\/)/.test(line));
  // A table that only begins with a mark ("#1 in sales,yes") has as many cells there as further down.
  const cells = (line: string) => Math.max(...DELIMITERS.map((d) => line.split(d).length));
  if (first <= 0 || lines.slice(0, first).some((line) => cells(line) >= cells(lines[first]!)))
    return { lines: 0 };
  return { lines: first };
}

/** @param extension of the file's name, which decides between equals */
export function guessDialect(text: string, extension: string, choice: DialectChoice = {}): Dialect {
  const before = preamble(text);
  const sample = sampleOf(withoutLines(text, before.lines));
  const own = OWN[extension] ?? ',';
  const told = choice.delimiter ?? before.delimiter;
  let best: Dialect = { delimiter: told ?? own, quoted: false, skipped: before.lines };
  let bestScore = -1;
  for (const delimiter of told ? [told] : [own, ...DELIMITERS.filter((d) => d !== own)]) {
    const quoted = isQuoted(sample, delimiter);
    const { cells, share } = agreement(parse(sample, delimiter, quoted).data);
    // One cell a row is no division. What rows agree on most wins; a header of as many cells confirms it.
    const header = parse(sample.slice(0, sample.search(/[\r\n]|$/)), delimiter, quoted).data[0]?.length ?? 0;
    const score = cells < 2 ? (told ? 0 : -0.5) : share + (header === cells ? 0.25 : 0);
    if (score > bestScore + 1e-9) [best, bestScore] = [{ delimiter, quoted, skipped: before.lines }, score];
  }
  return best;
}

/** The text after its first lines. */
export function withoutLines(text: string, lines: number): string {
  let at = 0;
  for (let i = 0; i < lines; i++) {
    const next = text.indexOf('\n', at);
    if (next < 0) return '';
    at = next + 1;
  }
  return text.slice(at);
}

const isNumeric = (cell: string) => /^[-+]?[\d.,]*\d([eE][-+]?\d+)?%?$/.test(cell.trim());
const wordsIn = (cell: string) => cell.trim().split(/\s+/).length;
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

/**
 * How much speaks for the first row naming the columns (> 0) or being data (< 0).
 * Evidence: names that tables commonly have; a column of numbers, or of few classes, whose first cell is (or is not) one of them; a
 * column of texts that begins with a single word (or with a text).
 */
export function headerEvidence(first: readonly string[], body: readonly (readonly string[])[]): number {
  const sample = body.slice(0, SAMPLE).filter((cells) => cells.length === first.length);
  let evidence = 0;
  const named = first.filter((cell) => cell.trim() !== '');
  if (named.some((cell) => isColumnName(cell))) evidence += 3;
  if (named.some((cell) => wordsIn(cell) > 8)) evidence -= 2;
  first.forEach((cell, column) => {
    if (cell.trim() === '') return;
    const values = sample.map((cells) => cells[column]!).filter((value) => value.trim() !== '');
    if (values.length < 2) return;
    if (values.filter(isNumeric).length > 0.95 * values.length) evidence += isNumeric(cell) ? -2 : 2;
    else {
      const distinct = new Set(values);
      const isClass = distinct.size <= Math.max(2, values.length / 3) && distinct.size <= 200;
      if (isClass && distinct.has(cell)) evidence -= 3;
      else if (isClass && values.length >= 6 && wordsIn(cell) <= 3) evidence += 1;
      const long = mean(values.map(wordsIn));
      if (long >= 4) evidence += wordsIn(cell) <= 2 ? 1 : wordsIn(cell) >= 4 ? -1 : 0;
    }
  });
  // A row that repeats one of its own cells names no columns.
  if (new Set(named.map((cell) => cell.trim())).size < named.length) evidence -= 1;
  return evidence;
}
