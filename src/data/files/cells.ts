/** What a cell holds: nothing, a number in the point's or the comma's notation, a list, the first of several answers. */
import { readLiteral } from './literal.ts';

/** How databases, pandas and spreadsheets write that there is nothing. */
const NOTHING = new Set(['', '\\N', 'NULL', 'nan', 'NaN', '<NA>', '#N/A']);

export const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === 'string' && NOTHING.has(value.trim()));

/** Text in brackets, or numpy's `array(…)`. */
const BRACKETED = /^\s*(?:\[[\s\S]*\]|\([\s\S]*\)|\{[\s\S]*\}|(?:np\.|numpy\.)?array\([\s\S]*\))\s*$/;

/** The list or object that a cell of text holds as JSON, Python or numpy write it; anything else as it stands. */
export function structured(value: unknown): unknown {
  if (typeof value !== 'string' || !BRACKETED.test(value)) return value;
  const read = readLiteral(value);
  return typeof read === 'object' && read !== null ? read : value;
}

/** A list, also as the text of one, or as words between spaces; null for anything else. */
export function listOf(value: unknown): unknown[] | null {
  const read = structured(value);
  if (Array.isArray(read)) return read as unknown[];
  // What is in square brackets and cannot be read would give words with brackets and quotation marks.
  if (typeof read !== 'string' || isNothing(read) || /^\s*(\[.*\]|array\(.*\))\s*$/s.test(read)) return null;
  return read.trim().split(/\s+/);
}

/** Whether text is in square brackets and yet no list. */
export const isBrokenList = (value: unknown): boolean =>
  typeof value === 'string' && !isNothing(value) && listOf(value) === null;

type Fields = Readonly<Record<string, unknown>>;
export const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** SQuAD's `{text: […], answer_start: […]}`, its older list of `{text, answer_start}`, or the text of either. */
export function isSquad(value: unknown): boolean {
  const read = structured(value);
  if (isRecord(read))
    return 'text' in read && Object.keys(read).every((key) => /^(text|answer_start|answer_end)$/.test(key));
  return Array.isArray(read) && read.length > 0 && read.every((entry) => isRecord(entry) && isSquad(entry));
}

/** The first answer of SQuAD's form; null where a question has none. */
export function squadAnswer(value: unknown): string | null {
  const read = structured(value);
  const first: unknown = Array.isArray(read) ? (read as unknown[])[0] : read;
  const text = isRecord(first) ? first.text : first;
  const answer: unknown = Array.isArray(text) ? (text as unknown[])[0] : text;
  return typeof answer === 'string' && answer.trim() !== '' ? answer : null;
}

/** A percentage without its sign, `12 %` as `12`; anything else as it stands. */
export const withoutPercent = (value: unknown): unknown =>
  typeof value === 'string' ? value.replace(/(?<=\d)\s*%\s*$/, '') : value;

export type DecimalMark = 'point' | 'comma';

const COMMAS = /^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$/;
const THOUSANDS = /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/;

/**
 * What the commas in a column of numbers are: decimal (3,5), or between thousands (1,234.5). Where every number could be both (1,234), `otherwise`
 * says.
 */
export function decimalMark(values: readonly unknown[], otherwise: DecimalMark): DecimalMark {
  const texts = values.filter((v): v is string => typeof v === 'string').map((v) => v.trim());
  const withComma = texts.filter((text) => text.includes(','));
  if (withComma.length === 0) return 'point';
  const decimal = withComma.filter((text) => COMMAS.test(text) && !THOUSANDS.test(text)).length;
  const thousands = withComma.filter((text) => THOUSANDS.test(text) && !COMMAS.test(text)).length;
  if (decimal === thousands) return otherwise;
  return decimal > thousands ? 'comma' : 'point';
}

const fromComma = (text: string): string =>
  COMMAS.test(text) || /^[+-]?\d{1,3}(\.\d{3})+$/.test(text)
    ? text.replaceAll('.', '').replace(',', '.')
    : text;

/** A number as a cell holds it; null for anything else. */
export function numberOf(value: unknown, mark: DecimalMark = 'point'): number | null {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') return typeof value === 'number' && Number.isFinite(value) ? value : null;
  const text = value.trim();
  if (text === '') return null;
  const plain = mark === 'comma' ? fromComma(text) : THOUSANDS.test(text) ? text.replaceAll(',', '') : text;
  const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}
