/**
 * Reads JavaScript's expressions with the flag `u`, as the tokenizers library makes them of a tokenizer's own. Every single character or set of them is
 * asked of the engine itself, so that it means here what it means there.
 */
import {
  type CharSet,
  choice,
  type Mode,
  type Place,
  type Regex,
  type RegexNode,
  remembered,
  Source,
  sequence,
} from './syntax.ts';

const LINE_ENDS = '\n\r\u2028\u2029';

const isLineStart: Place = (text, at) => at === 0 || LINE_ENDS.includes(text[at - 1]!);
const isLineEnd: Place = (text, at) => at === text.length || LINE_ENDS.includes(text[at]!);

class ScriptReader {
  readonly #source: Source;
  readonly #names = new Map<string, number>();
  #groups = 0;
  constructor(text: string) {
    this.#source = new Source(text);
  }

  read(flags: string): Regex {
    const node = this.#choice(flags);
    if (!this.#source.done) throw new SyntaxError('unmatched )');
    return { node, groups: this.#groups, names: this.#names, emptyRound: 'none' };
  }

  #choice(flags: string): RegexNode {
    const options = [this.#sequence(flags)];
    while (this.#source.eat('|')) options.push(this.#sequence(flags));
    return choice(options);
  }

  #sequence(flags: string): RegexNode {
    const source = this.#source;
    const parts: RegexNode[] = [];
    while (!source.done && source.next !== '|' && source.next !== ')') {
      const body = this.#atom(flags);
      const found = source.match(/([*+?])|\{(\d+)(,?)(\d*)\}/y);
      if (!found) {
        parts.push(body);
        continue;
      }
      const [, sign, low = '', comma, high = ''] = found;
      const min = sign === undefined ? Number(low) : sign === '+' ? 1 : 0;
      const most = comma === '' ? min : high === '' ? Number.POSITIVE_INFINITY : Number(high);
      const max = sign === undefined ? most : sign === '?' ? 1 : Number.POSITIVE_INFINITY;
      const mode: Mode = source.eat('?') ? 'lazy' : 'greedy';
      parts.push({ kind: 'repeat', body, min, max, mode });
    }
    return sequence(parts);
  }

  #atom(flags: string): RegexNode {
    const source = this.#source;
    const start = source.at;
    const char = source.take();
    const set = (): RegexNode => ({ kind: 'set', has: setOf(source.text.slice(start, source.at), flags) });
    switch (char) {
      case '^':
        return { kind: 'place', is: flags.includes('m') ? isLineStart : (_text, at) => at === 0 };
      case '$':
        return { kind: 'place', is: flags.includes('m') ? isLineEnd : (text, at) => at === text.length };
      case '(':
        return source.nested(() => this.#group(flags));
      case '[':
        if (!source.match(/(?:[^\]\\]|\\[\s\S])*\]/uy)) throw new SyntaxError('unterminated set');
        return set();
      case '\\':
        if (source.match(/[bB]/y))
          return { kind: 'place', is: boundary(flags, source.text[start + 1] === 'b') };
        if (source.match(/[1-9k]/y)) throw new SyntaxError('it refers back to a group');
        if (
          !source.match(/[pP]\{[^}]*\}|u\{[^}]*\}|u[\da-f]{4}(?:\\u[\da-f]{4})?|x[\da-f]{2}|c[a-z]|[\s\S]/iuy)
        )
          throw new SyntaxError('it ends in a backslash');
        return set();
      default:
        return set();
    }
  }

  /** What stands behind an opening parenthesis, which was taken. */
  #group(flags: string): RegexNode {
    const source = this.#source;
    const closed = (node: RegexNode): RegexNode => {
      if (source.eat(')')) return node;
      throw new SyntaxError('missing )');
    };
    const look = source.match(/\?(<?)([=!])/y);
    if (look)
      return closed({
        kind: 'look',
        behind: look[1] === '<',
        negated: look[2] === '!',
        body: this.#choice(flags),
      });
    const scoped = source.match(/\?([ims]*)(?:-([ims]*))?:/y);
    if (scoped) {
      const inner = [...new Set(flags + scoped[1])].filter((flag) => !scoped[2]?.includes(flag)).join('');
      return closed(sequence([this.#choice(inner)]));
    }
    const named = source.match(/\?<([^>]*)>/y);
    if (!named && source.next === '?') throw new SyntaxError('unknown kind of group');
    const index = ++this.#groups;
    if (named) this.#names.set(named[1]!, index);
    return closed({ kind: 'group', index, body: this.#choice(flags) });
  }
}

function setOf(text: string, flags: string): CharSet {
  const own = new RegExp(`^(?:${text})$`, flags.includes('u') ? flags : `${flags}u`);
  return remembered((code) => own.test(String.fromCodePoint(code)));
}

function boundary(flags: string, wanted: boolean): Place {
  const isWord = setOf('\\w', flags);
  return (text, at) => {
    const before = at > 0 && isWord(text.charCodeAt(at - 1));
    const after = at < text.length && isWord(text.codePointAt(at)!);
    return (before !== after) === wanted;
  };
}

/** @throws SyntaxError for what the matcher does not know, such as references back to a group */
export function readScript({ source, flags }: RegExp): Regex {
  return new ScriptReader(source).read(flags.replace(/[^imsu]/g, ''));
}
