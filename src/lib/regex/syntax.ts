/** Regular expressions as trees, whichever language they were written in, and what the readers of both languages share. */

/** Whether a set has a code point. */
export type CharSet = (code: number) => boolean;

/** A place in the text, asked with the whole text: line starts, word boundaries. Positions count UTF-16 units. */
export type Place = (text: string, at: number) => boolean;

export type Mode = 'greedy' | 'lazy' | 'possessive';

export type RegexNode =
  | { readonly kind: 'set'; readonly has: CharSet }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly options: readonly RegexNode[] }
  | {
      readonly kind: 'repeat';
      readonly body: RegexNode;
      readonly min: number;
      readonly max: number;
      readonly mode: Mode;
    }
  | { readonly kind: 'group'; readonly index: number; readonly body: RegexNode }
  | { readonly kind: 'atomic'; readonly body: RegexNode }
  | {
      readonly kind: 'look';
      readonly behind: boolean;
      readonly negated: boolean;
      readonly body: RegexNode;
    }
  | { readonly kind: 'place'; readonly is: Place }
  | { readonly kind: 'back'; readonly group: number; readonly same: (a: number, b: number) => boolean }
  | {
      readonly kind: 'condition';
      readonly group: number;
      readonly yes: RegexNode;
      readonly no: RegexNode;
    };

export interface Regex {
  readonly node: RegexNode;
  /** Groups that capture, the whole match not counted. */
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
  /** What an optional round that takes nothing is: the last one (Python), or no match (JavaScript). */
  readonly emptyRound: 'last' | 'none';
}

/** What an expression may have: beyond it is refused, so that neither reading nor matching it can run out of the stack. */
const MOST_CHARACTERS = 20_000;
const MOST_NESTED = 200;

export const EMPTY: RegexNode = { kind: 'sequence', parts: [] };

export const sequence = (parts: readonly RegexNode[]): RegexNode =>
  parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };

export const choice = (options: readonly RegexNode[]): RegexNode =>
  options.length === 1 ? options[0]! : { kind: 'choice', options };

const bothWays = (code: number): readonly number[] => {
  const text = String.fromCodePoint(code);
  const [lower, upper] = [text.toLowerCase(), text.toUpperCase()];
  return [code, lower.codePointAt(0)!, ...(upper.length === text.length ? [upper.codePointAt(0)!] : [])];
};

/** The set with both cases of its letters. */
export const inAnyCase =
  (has: CharSet): CharSet =>
  (code) =>
    bothWays(code).some(has);

export const sameLetter = (a: number, b: number): boolean => a === b;
export const sameInAnyCase = (a: number, b: number): boolean =>
  bothWays(a).some((x) => bothWays(b).includes(x));

/** The least and the most characters that it takes. */
export function widthOf(node: RegexNode): readonly [number, number] {
  switch (node.kind) {
    case 'set':
      return [1, 1];
    case 'sequence':
      return node.parts.map(widthOf).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    case 'choice':
      return node.options.map(widthOf).reduce(([a, b], [c, d]) => [Math.min(a, c), Math.max(b, d)]);
    case 'repeat': {
      const [least, most] = widthOf(node.body);
      return [least * node.min, most === 0 ? 0 : most * node.max];
    }
    case 'group':
    case 'atomic':
      return widthOf(node.body);
    case 'condition':
      return widthOf({ kind: 'choice', options: [node.yes, node.no] });
    case 'look':
    case 'place':
      return [0, 0];
    case 'back':
      return [0, Infinity];
  }
}

/** Membership kept for the first characters, where most texts are. */
export function remembered(has: CharSet): CharSet {
  const known = new Int8Array(0x250);
  return (code) => {
    if (code >= known.length) return has(code);
    const before = known[code]!;
    if (before !== 0) return before > 0;
    const is = has(code);
    known[code] = is ? 1 : -1;
    return is;
  };
}

/** What the readers of both languages walk over. */
export class Source {
  readonly text: string;
  at = 0;
  #depth = 0;
  constructor(text: string) {
    if (text.length > MOST_CHARACTERS)
      throw new SyntaxError(`it has ${text.length} characters, and the most is ${MOST_CHARACTERS}`);
    this.text = text;
  }
  get done(): boolean {
    return this.at >= this.text.length;
  }
  /** The next character; '' at the end. */
  get next(): string {
    const code = this.text.codePointAt(this.at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }
  /** Takes one character. */
  take(): string {
    const char = this.next;
    this.at += char.length;
    return char;
  }
  /** Takes `text` if it is next. */
  eat(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
  /** Takes what a sticky expression finds here. */
  match(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text);
    if (found) this.at += found[0].length;
    return found;
  }
  /** Reads what stands in brackets. */
  nested<T>(read: () => T): T {
    if (++this.#depth > MOST_NESTED)
      throw new SyntaxError(`its groups are nested more than ${MOST_NESTED} deep`);
    const result = read();
    this.#depth--;
    return result;
  }
}
