/** What a cell holds: nothing, a number in the point's or the comma's notation, a list or a dict as Python and numpy print them, the first of several answers. */
import type { Budget } from '../../lib/budget.ts';
import { passOn } from '../../lib/errors.ts';
import { jsonOf } from '../../lib/json.ts';
import { say } from '../../lib/say.ts';

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
  const number = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

// Values as Python and numpy write them: `['a', "b's"]`, `{'text': array(['a'], dtype=object)}`, `['a' 'b']`, `[1 0]`, `(1, None, nan)`. JSON is
// read too. Nothing is executed: names are known or the value cannot be read.

/** Deeper or longer values are not read. */
const MAX_DEPTH = 24;
const MAX_LENGTH = 1_000_000;

const CONSTANTS: Readonly<Record<string, unknown>> = {
  None: null,
  null: null,
  nan: null,
  NaN: null,
  NaT: null,
  True: true,
  true: true,
  False: false,
  false: false,
  inf: Number.POSITIVE_INFINITY,
  Infinity: Number.POSITIVE_INFINITY,
};
/** Calls whose value is their first argument: containers and numpy's scalars. */
const WRAPPERS =
  /^(np\.|numpy\.)?(array|asarray|list|tuple|set|frozenset|deque|str_|bytes_|bool_?|u?int\d*|float\d*|longlong|Decimal)$/;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\n': '',
};

class Unreadable extends Error {}
const stop = (): never => {
  throw new Unreadable();
};

/** A whole number; its digits as text beyond 2^53, where numbers would be rounded to others. */
function wholeNumber(digits: string): number | string {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : digits;
}

/**
 * JSON's value, with whole numbers beyond 2^53 as text.
 * @param onLarge hears of each such number
 * @throws SyntaxError, and what {@link jsonOf} throws
 */
export function parseJson(text: string, onLarge?: () => void, what?: string, budget?: Budget): unknown {
  if (!/\d{16}/.test(text)) return jsonOf(text, what, budget);
  const exact = text.replace(/"(?:[^"\\]|\\.?)*"?|-?\d[\d.eE+-]*/gs, (token) => {
    if (!/^-?\d{16,}$/.test(token) || typeof wholeNumber(token) === 'number') return token;
    onLarge?.();
    return `"${token}"`;
  });
  return jsonOf(exact, what, budget);
}

/** The value of a literal; undefined for text that is none. */
export function readLiteral(text: string): unknown {
  if (text.length > MAX_LENGTH) return undefined;
  try {
    return parseJson(text, undefined, say`The list in a cell`);
  } catch (cause) {
    passOn(cause);
    // Python's, then.
  }
  try {
    const reader = new Reader(text);
    const value = reader.value(0);
    return reader.isAtEnd() ? value : undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  isAtEnd(): boolean {
    this.space();
    return this.at === this.text.length;
  }

  value(depth: number): unknown {
    if (depth > MAX_DEPTH) stop();
    this.space();
    const next = this.text[this.at] ?? stop();
    if (next === '[') return this.list(']', depth);
    if (next === '(') return this.tuple(depth);
    if (next === '{') return this.braces(depth);
    const prefix = this.match(/[rRuUbB]{0,2}(?=['"])/y);
    if (prefix !== null) return this.string(prefix.toLowerCase());
    const number = this.match(/[+-]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][+-]?\d+)?(?![\w.])/y);
    if (number !== null) {
      const plain = number.replaceAll('_', '');
      return /^[+-]?\d+$/.test(plain) ? wholeNumber(plain.replace('+', '')) : Number(plain);
    }
    return this.named(depth);
  }

  private space(): void {
    this.match(/\s+/y);
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at += found[0].length;
    return found[0];
  }

  private take(mark: string): boolean {
    this.space();
    if (!this.text.startsWith(mark, this.at)) return false;
    this.at += mark.length;
    return true;
  }

  /** Values up to `end`, divided by commas, or as numpy writes them by space alone. */
  private list(end: string, depth: number): unknown[] {
    this.at++;
    const values: unknown[] = [];
    while (!this.take(end)) {
      values.push(this.value(depth + 1));
      this.take(',');
    }
    return values;
  }

  /** A value in brackets is itself, `(1,)` a list. */
  private tuple(depth: number): unknown {
    const begin = this.at;
    const values = this.list(')', depth);
    const isPlain = values.length === 1 && !/,\s*\)$/.test(this.text.slice(begin, this.at));
    return isPlain ? values[0] : values;
  }

  /** A dict, or a set as a list. */
  private braces(depth: number): unknown {
    this.at++;
    const entries: [unknown, unknown][] = [];
    let isDict = true;
    while (!this.take('}')) {
      const key = this.value(depth + 1);
      isDict = this.take(':');
      entries.push([key, isDict ? this.value(depth + 1) : undefined]);
      this.take(',');
    }
    return isDict ? Object.fromEntries(entries.map(([k, v]) => [String(k), v])) : entries.map(([k]) => k);
  }

  private named(depth: number): unknown {
    const sign = this.match(/[+-]/y);
    const name = this.match(/[A-Za-z_][\w.]*/y) ?? stop();
    if (this.text[this.at] === '(') {
      if (!WRAPPERS.test(name)) stop();
      return this.call(depth);
    }
    if (!Object.hasOwn(CONSTANTS, name)) stop();
    const value = CONSTANTS[name];
    return sign === '-' && typeof value === 'number' ? -value : value;
  }

  /** The first argument; `dtype=object` and its like say nothing of the value. */
  private call(depth: number): unknown {
    this.at++;
    if (this.take(')')) return [];
    const value = this.value(depth + 1);
    while (!this.take(')')) {
      if (!this.take(',')) stop();
      this.space();
      this.match(/\w+\s*=\s*/y);
      if (this.match(/[A-Za-z_][\w.]*(?!\()/y) === null && this.text[this.at] !== ')') this.value(depth + 1);
    }
    return value;
  }

  private string(prefix: string): string {
    const quote = this.match(/'''|"""|'|"/y) ?? stop();
    const from = this.at;
    for (;;) {
      const end = this.text.indexOf(quote, this.at);
      if (end < 0) stop();
      let slashes = 0;
      while (this.text[end - 1 - slashes] === '\\' && end - 1 - slashes >= from) slashes++;
      this.at = end + (slashes % 2 === 0 ? quote.length : 1);
      if (slashes % 2 === 0) return plain(this.text.slice(from, end), prefix);
    }
  }
}

function plain(raw: string, prefix: string): string {
  if (prefix.includes('r')) return raw;
  const text = raw.replace(
    /\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|[\s\S])/g,
    (whole, code: string) => {
      if (/^[xuU]./.test(code)) return character(Number.parseInt(code.slice(1), 16), whole);
      if (/^[0-7]/.test(code)) return character(Number.parseInt(code, 8), whole);
      if (['\\', "'", '"'].includes(code)) return code;
      return ESCAPES[code] ?? whole;
    },
  );
  // Bytes: UTF-8 where they are that.
  if (!prefix.includes('b')) return text;
  return new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)));
}

const character = (code: number, whole: string): string =>
  code <= 0x10ffff ? String.fromCodePoint(code) : whole;
