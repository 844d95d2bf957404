/**
 * Values that a tool wrote as text into a cell: JSON, or what Python's repr and numpy print — lists, tuples, dicts, arrays, strings with
 * either quotation mark, True, None, nan. And numbers as other countries write them.
 */

/** Deeper or longer values are no cells that anyone wrote by hand or by to_csv. */
const MAX_DEPTH = 32;
const MAX_LENGTH = 4_000_000;

class Unreadable extends Error {}

const WORDS: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  null: null,
  None: null,
  nan: null,
  NaN: null,
  inf: null,
  Infinity: null,
};

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '0': '\0' };

/** Reads one literal from the front of a text. Functions move `at` past what they read. */
function reader(text: string) {
  let at = 0;
  const bad = (): never => {
    throw new Unreadable();
  };
  const space = () => {
    while (/\s/.test(text[at] ?? '')) at++;
  };

  function string(): string {
    const mark = text[at++]!;
    let out = '';
    for (; at < text.length; at++) {
      const c = text[at]!;
      if (c === mark) {
        at++;
        return out;
      }
      if (c !== '\\') {
        out += c;
        continue;
      }
      const escaped = text[++at] ?? bad();
      const digits = { x: 2, u: 4, U: 8 }[escaped];
      if (digits === undefined) out += ESCAPES[escaped] ?? escaped;
      else {
        const code = Number.parseInt(text.slice(at + 1, at + 1 + digits), 16);
        out += code <= 0x10ffff ? String.fromCodePoint(code) : bad();
        at += digits;
      }
    }
    return bad();
  }

  /** Entries up to `end`, divided by commas or, as numpy prints them, by white space. */
  function entries(end: string, depth: number): unknown[] {
    const out: unknown[] = [];
    at++;
    for (space(); text[at] !== end; space()) {
      if (at >= text.length) bad();
      // numpy shortens long arrays; what it left out is lost.
      if (text.startsWith('...', at)) bad();
      out.push(value(depth + 1));
      space();
      if (text[at] === ',') at++;
    }
    at++;
    return out;
  }

  function dict(depth: number): Record<string, unknown> {
    const out = new Map<string, unknown>();
    at++;
    for (space(); text[at] !== '}'; space()) {
      if (at >= text.length) bad();
      const key = value(depth + 1);
      space();
      if (text[at++] !== ':') bad();
      out.set(String(key), value(depth + 1));
      space();
      if (text[at] === ',') at++;
    }
    at++;
    return Object.fromEntries(out);
  }

  function value(depth: number): unknown {
    if (depth > MAX_DEPTH) bad();
    space();
    const c = text[at] ?? bad();
    if (c === '[') return entries(']', depth);
    if (c === '(') return entries(')', depth);
    if (c === '{') return dict(depth);
    if (c === '"' || c === "'") return string();
    const number = /^[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?/i.exec(text.slice(at, at + 64))?.[0];
    if (number !== undefined) {
      at += number.length;
      return Number(number.replaceAll('_', ''));
    }
    const word = /^[-+]?[A-Za-z_][\w.]*/.exec(text.slice(at, at + 64))?.[0] ?? bad();
    at += word.length;
    const plain = word.replace(/^[-+]/, '');
    if (Object.hasOwn(WORDS, plain)) return WORDS[plain];
    // array([1, 0], dtype=int64), np.int64(3), np.str_('a'): the first argument is the value.
    space();
    if (text[at] !== '(' || !/^(np\.|numpy\.)?(array|u?int\d*|float\d*|str_|bool_?)$/.test(plain)) bad();
    at++;
    const inner = value(depth + 1);
    let open = 1;
    for (; open > 0; at++) {
      if (at >= text.length) bad();
      if (text[at] === '(') open++;
      if (text[at] === ')') open--;
    }
    return inner;
  }

  return {
    whole(): unknown {
      const out = value(0);
      space();
      return at === text.length ? out : bad();
    },
  };
}

/** The list or object that a cell's text stands for; undefined where it is none, or cannot be read. */
export function literalOf(text: string): unknown {
  if (!/^\s*(\[|\(|\{|(np\.|numpy\.)?array\()/.test(text) || text.length > MAX_LENGTH) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Then as Python writes it.
  }
  try {
    return reader(text).whole();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** JSON as Python's json module writes it: NaN and Infinity are no values. @throws SyntaxError as JSON.parse does */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    let mended = false;
    const plain = text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) => {
      if (found.startsWith('"')) return found;
      mended = true;
      return 'null';
    });
    if (!mended) throw error;
    return JSON.parse(plain);
  }
}

/** How a column writes its numbers: with a decimal point, or with a decimal comma (1.234,5). */
export type NumberStyle = 'point' | 'comma';

const COMMA = /^[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+$/;
const GROUPED_POINT = /^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$/;

/** Commas are decimal where some value has one that cannot divide thousands and no value has a decimal point. */
export function numberStyleOf(values: readonly unknown[]): NumberStyle {
  const texts = values.filter((v) => typeof v === 'string').map((v) => v.trim());
  const isDecimal = texts.some((text) => COMMA.test(text) && !GROUPED_POINT.test(text));
  const hasPoint = texts.some(
    (text) => /^[-+]?\d*\.\d+$/.test(text) && !/^[-+]?\d{1,3}(\.\d{3})+$/.test(text),
  );
  return isDecimal && !hasPoint ? 'comma' : 'point';
}

/** The number that a cell holds; null for none. */
export function numberOf(value: unknown, style: NumberStyle): number | null {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || value.trim() === '') return null;
  const text = value.trim().replace(/^\+/, '');
  const plain =
    style === 'comma'
      ? text.replaceAll('.', '').replace(',', '.')
      : GROUPED_POINT.test(text)
        ? text.replaceAll(',', '')
        : text;
  const number = Number(plain);
  return Number.isFinite(number) ? number : null;
}
