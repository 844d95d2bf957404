/** Reads Python's `re` syntax (3.11, texts): what people write in target_modules and its kin. */
import {
  type CharSet,
  choice,
  EMPTY,
  inAnyCase,
  type Mode,
  type Place,
  type Regex,
  type RegexNode,
  remembered,
  Source,
  sameInAnyCase,
  sameLetter,
  sequence,
  widthOf,
} from './syntax.ts';

interface Flags {
  readonly ignoreCase: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
  readonly ascii: boolean;
  readonly verbose: boolean;
}

const LETTER_OF: Readonly<Record<string, keyof Flags>> = {
  i: 'ignoreCase',
  m: 'multiline',
  s: 'dotAll',
  a: 'ascii',
  x: 'verbose',
};
const NO_FLAGS: Flags = { ignoreCase: false, multiline: false, dotAll: false, ascii: false, verbose: false };

const NEWLINE = 10;
const MOST_REPEATS = 2 ** 32 - 1;

const isAsciiWord: CharSet = (c) =>
  (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122);
const byExpression = (expression: RegExp): CharSet =>
  remembered((code) => expression.test(String.fromCodePoint(code)));
const isWord = byExpression(/^[\p{L}\p{N}_]$/u);
const isDigit = byExpression(/^\p{Nd}$/u);
/** Python's separators of files, groups, records and units, and next line; U+FEFF is white space in JavaScript alone. */
const isSpace: CharSet = (c) =>
  (c >= 0x1c && c <= 0x1f) || c === 0x85 || (c !== 0xfeff && /^\s$/u.test(String.fromCodePoint(c)));
const isAsciiSpace: CharSet = (c) => c === 32 || (c >= 9 && c <= 13);
const isAsciiDigit: CharSet = (c) => c >= 48 && c <= 57;
const not =
  (has: CharSet): CharSet =>
  (code) =>
    !has(code);

function category(letter: string, { ascii }: Flags): CharSet | null {
  const kind = letter.toLowerCase();
  const sets = {
    d: [isDigit, isAsciiDigit],
    s: [remembered(isSpace), isAsciiSpace],
    w: [isWord, isAsciiWord],
  };
  if (!Object.hasOwn(sets, kind)) return null;
  const has = sets[kind as keyof typeof sets][ascii ? 1 : 0]!;
  return letter === kind ? has : not(has);
}

const atStart: Place = (_text, at) => at === 0;
const atEnd: Place = (text, at) => at === text.length;
const atLineStart: Place = (text, at) => at === 0 || text.charCodeAt(at - 1) === NEWLINE;
const atLineEnd: Place = (text, at) => at === text.length || text.charCodeAt(at) === NEWLINE;
const atLastEnd: Place = (text, at) =>
  at === text.length || (at === text.length - 1 && text.charCodeAt(at) === NEWLINE);

function boundary(flags: Flags, wanted: boolean): Place {
  const has = flags.ascii ? isAsciiWord : isWord;
  // A text without letters has no boundary, and `\B` is not in an empty one.
  return (text, at) => {
    if (text === '') return false;
    const before = at > 0 && has(codeBefore(text, at));
    const after = at < text.length && has(text.codePointAt(at)!);
    return (before !== after) === wanted;
  };
}

function codeBefore(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  const isTrail = unit >= 0xdc00 && unit <= 0xdfff;
  return isTrail && at > 1 ? text.codePointAt(at - (text.codePointAt(at - 2)! > 0xffff ? 2 : 1))! : unit;
}

const SIMPLE: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 };
const simple = (char: string): number | undefined => (Object.hasOwn(SIMPLE, char) ? SIMPLE[char] : undefined);

class PythonReader {
  readonly #source: Source;
  readonly #names = new Map<string, number>();
  readonly #open = new Set<number>();
  #groups: number;
  constructor(text: string, before: number) {
    this.#source = new Source(text);
    this.#groups = before;
  }

  read(initial: Flags): Regex {
    const node = this.#choice(this.#globalFlags(initial));
    if (!this.#source.done) throw new SyntaxError('unbalanced parenthesis');
    return { node, groups: this.#groups, names: this.#names, emptyRound: 'last' };
  }

  /** `(?im)` at the very start. */
  #globalFlags(initial: Flags): Flags {
    let flags = initial;
    for (;;) {
      const found = this.#source.match(/\(\?([A-Za-z]+)\)/y);
      if (!found) return flags;
      flags = withFlags(flags, found[1]!, true);
    }
  }

  #choice(flags: Flags): RegexNode {
    const options = [this.#sequence(flags)];
    while (this.#source.eat('|')) options.push(this.#sequence(flags));
    return choice(options);
  }

  #sequence(flags: Flags): RegexNode {
    const source = this.#source;
    const parts: RegexNode[] = [];
    for (;;) {
      if (flags.verbose && source.match(/(?:[ \t\n\r\v\f]|#[^\n]*)+/y)) continue;
      if (source.done || source.next === '|' || source.next === ')') return sequence(parts);
      if (source.eat('(?#')) {
        if (!source.match(/[^)]*\)/y)) throw new SyntaxError('missing ), unterminated comment');
        continue;
      }
      const repeat = this.#quantifier();
      if (repeat) {
        const last = parts.pop();
        if (last === undefined || last.kind === 'place') throw new SyntaxError('nothing to repeat');
        if (last.kind === 'repeat') throw new SyntaxError('multiple repeat');
        parts.push({ kind: 'repeat', body: last, ...repeat });
      } else parts.push(this.#atom(flags));
    }
  }

  /** The quantifier that is next, if one is; a brace that is none is a letter. */
  #quantifier(): { min: number; max: number; mode: Mode } | null {
    const found = this.#source.match(/[*+?]|\{(?!\})(\d*)(?:(,)(\d*))?\}/y);
    if (!found) return null;
    const [text, low = '', comma = '', high = ''] = found;
    let bounds = text === '*' ? [0, Infinity] : text === '+' ? [1, Infinity] : [0, 1];
    if (text.startsWith('{')) {
      const least = low === '' ? 0 : Number(low);
      bounds = [least, comma === '' ? least : high === '' ? Infinity : Number(high)];
      if (least >= MOST_REPEATS || (high !== '' && Number(high) >= MOST_REPEATS))
        throw new SyntaxError('the repetition number is too large');
    }
    const [min, max] = bounds as [number, number];
    if (max < min) throw new SyntaxError('min repeat greater than max repeat');
    const mode = this.#source.eat('?') ? 'lazy' : this.#source.eat('+') ? 'possessive' : 'greedy';
    return { min, max, mode };
  }

  #atom(flags: Flags): RegexNode {
    const source = this.#source;
    const char = source.take();
    switch (char) {
      case '.':
        return { kind: 'set', has: flags.dotAll ? () => true : (c) => c !== NEWLINE };
      case '^':
        return { kind: 'place', is: flags.multiline ? atLineStart : atStart };
      case '$':
        return { kind: 'place', is: flags.multiline ? atLineEnd : atLastEnd };
      case '(':
        return source.nested(() => this.#group(flags));
      case '[':
        return { kind: 'set', has: this.#class(flags) };
      case '\\':
        return this.#escape(flags);
      default:
        return letter(char.codePointAt(0)!, flags);
    }
  }

  #escape(flags: Flags): RegexNode {
    const source = this.#source;
    const char = source.take();
    const has = category(char, flags);
    if (has) return { kind: 'set', has };
    if (char === 'A') return { kind: 'place', is: atStart };
    if (char === 'Z') return { kind: 'place', is: atEnd };
    if (char === 'b' || char === 'B') return { kind: 'place', is: boundary(flags, char === 'b') };
    if (/[1-9]/.test(char)) {
      source.at -= 1;
      if (!/^[0-3][0-7]{2}/.test(source.text.slice(source.at, source.at + 3))) {
        const group = Number(source.match(/\d\d?/y)![0]);
        return this.#back(group, flags);
      }
      source.at += 1;
    }
    return letter(this.#code(char), flags);
  }

  /** The code point of an escape that stands for one, whose first letter `char` was taken. */
  #code(char: string): number {
    const source = this.#source;
    if (char === '') throw new SyntaxError('bad escape (end of pattern)');
    if (/[0-7]/.test(char)) {
      const rest = source.match(char === '0' ? /[0-7]{0,2}/y : /[0-7]{2}/y);
      const code = Number.parseInt(char + (rest?.[0] ?? ''), 8);
      if (rest && code <= 0o377) return code;
      throw new SyntaxError(`octal escape value \\${char} outside of range 0-0o377`);
    }
    const known = simple(char);
    if (known !== undefined) return known;
    const digits = char === 'x' ? /[\da-f]{2}/iy : char === 'u' ? /[\da-f]{4}/iy : /[\da-f]{8}/iy;
    if (char === 'x' || char === 'u' || char === 'U') {
      const found = source.match(digits);
      const code = found ? Number.parseInt(found[0], 16) : Number.NaN;
      if (code <= 0x10ffff) return code;
      throw new SyntaxError(`incomplete escape \\${char}`);
    }
    if (/[A-Za-z0-9]/.test(char)) throw new SyntaxError(`bad escape \\${char}`);
    return char.codePointAt(0)!;
  }

  /** What stands behind an opening bracket, which was taken. */
  #class(flags: Flags): CharSet {
    const source = this.#source;
    const negated = source.eat('^');
    const parts: CharSet[] = [];
    for (let first = true; first || source.next !== ']'; first = false) {
      if (source.done) throw new SyntaxError('unterminated character set');
      const low = this.#member(flags);
      if (source.next === '-' && !source.text.startsWith('-]', source.at)) {
        source.take();
        if (source.done) throw new SyntaxError('unterminated character set');
        const high = this.#member(flags);
        if (typeof low !== 'number' || typeof high !== 'number' || high < low)
          throw new SyntaxError('bad character range');
        parts.push((c) => low <= c && c <= high);
      } else parts.push(typeof low === 'number' ? (c) => c === low : low);
    }
    source.take();
    const some: CharSet = (c) => parts.some((has) => has(c));
    const has = flags.ignoreCase ? inAnyCase(some) : some;
    return remembered(negated ? not(has) : has);
  }

  #member(flags: Flags): number | CharSet {
    const char = this.#source.take();
    if (char !== '\\') return char.codePointAt(0)!;
    const escaped = this.#source.take();
    if (escaped === 'b') return 8;
    return category(escaped, flags) ?? this.#code(escaped);
  }

  #back(group: number, flags: Flags): RegexNode {
    if (this.#open.has(group)) throw new SyntaxError('cannot refer to an open group');
    if (group > this.#groups) throw new SyntaxError(`invalid group reference ${group}`);
    return { kind: 'back', group, same: flags.ignoreCase ? sameInAnyCase : sameLetter };
  }

  /** What stands behind an opening parenthesis, which was taken. */
  #group(flags: Flags): RegexNode {
    const source = this.#source;
    const closed = (node: RegexNode): RegexNode => {
      if (source.eat(')')) return node;
      throw new SyntaxError('missing ), unterminated subpattern');
    };
    if (!source.eat('?')) return closed(this.#capture(null, flags));
    const named = source.match(/P<([^>)]*)>/y);
    if (named) return closed(this.#capture(named[1]!, flags));
    const back = source.match(/P=([^)]*)\)/y);
    if (back) return this.#back(this.#named(back[1]!), flags);
    if (source.eat('>')) return closed({ kind: 'atomic', body: this.#choice(flags) });
    const look = source.match(/(<?)([=!])/y);
    if (look) {
      const behind = look[1] === '<';
      const body = this.#choice(flags);
      const [least, most] = widthOf(body);
      if (behind && least !== most) throw new SyntaxError('look-behind requires fixed-width pattern');
      return closed({ kind: 'look', behind, negated: look[2] === '!', body });
    }
    const condition = source.match(/\(([^)]*)\)/y);
    if (condition) return closed(this.#condition(condition[1]!, flags));
    const inner = source.match(/([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])/y);
    if (inner?.[3] === ')') throw new SyntaxError('global flags not at the start of the expression');
    if (!inner) throw new SyntaxError(`unknown extension ?${source.next}`);
    const scoped = withFlags(withFlags(flags, inner[1]!, true), inner[2] ?? '', false);
    // As a part of its own: what is repeated inside may be repeated again.
    return closed({ kind: 'sequence', parts: [this.#choice(scoped)] });
  }

  #capture(name: string | null, flags: Flags): RegexNode {
    const index = ++this.#groups;
    if (name !== null) {
      if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name))
        throw new SyntaxError(`bad character in group name ${JSON.stringify(name)}`);
      if (this.#names.has(name)) throw new SyntaxError(`redefinition of group name ${JSON.stringify(name)}`);
      this.#names.set(name, index);
    }
    this.#open.add(index);
    const body = this.#choice(flags);
    this.#open.delete(index);
    return { kind: 'group', index, body };
  }

  #named(name: string): number {
    const index = this.#names.get(name);
    if (index === undefined) throw new SyntaxError(`unknown group name ${JSON.stringify(name)}`);
    return index;
  }

  #condition(name: string, flags: Flags): RegexNode {
    const group = /^\d+$/.test(name) ? Number(name) : this.#named(name);
    if (group === 0 || group > this.#groups) throw new SyntaxError(`invalid group reference ${name}`);
    const yes = this.#sequence(flags);
    const no = this.#source.eat('|') ? this.#sequence(flags) : EMPTY;
    if (this.#source.next === '|') throw new SyntaxError('conditional backref with more than two branches');
    return { kind: 'condition', group, yes, no };
  }
}

function letter(code: number, flags: Flags): RegexNode {
  const has: CharSet = (c) => c === code;
  return { kind: 'set', has: flags.ignoreCase ? remembered(inAnyCase(has)) : has };
}

function withFlags(flags: Flags, letters: string, value: boolean): Flags {
  const changed: Record<keyof Flags, boolean> = { ...flags };
  for (const one of letters) {
    if (one === 'u' && value) changed.ascii = false;
    else if (Object.hasOwn(LETTER_OF, one)) changed[LETTER_OF[one]!] = value;
    else throw new SyntaxError(`bad inline flag ${one}`);
  }
  return changed;
}

/**
 * @param before groups that will stand before the expression: it may refer to them
 * @throws SyntaxError with Python's reason
 */
export function readPython(pattern: string, before = 0): Regex {
  return new PythonReader(pattern, before).read(NO_FLAGS);
}

/** An expression's global flags, `(?i)`, and what follows them. */
export function splitFlags(pattern: string): { readonly flags: string; readonly rest: string } {
  const flags = /^(?:\(\?[A-Za-z]+\))*/.exec(pattern)![0];
  return { flags, rest: pattern.slice(flags.length) };
}
