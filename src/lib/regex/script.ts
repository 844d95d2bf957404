/**
 * JavaScript's expressions with the flag `u`, as the tokenizers library makes them of a tokenizer's own: read, proven to be fast or else run with counted
 * steps. Every single character or set of them is asked of the engine itself, so that it means here what it means there.
 */
import { compile, type Found, matchAt, type Program, searchFrom, TooManySteps } from './program.ts';
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
  widthOf,
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
      const found = source.match(/([*+?])|\{(\d+)(?:(,)(\d*))?\}/y);
      if (!found) {
        parts.push(body);
        continue;
      }
      const [, sign, low = '', comma = '', high = ''] = found;
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

// Whether an engine that backtracks goes through a text with an expression in time that grows with the text's length alone, as far as that can be seen
// from the expression: what tokenizers usually have, and not what repeats repetitions or scans the same stretch from each of its places.

/** A part of one alternative: so many of a set, or something short. */
type Part =
  | { readonly kind: 'run'; readonly has: CharSet; readonly isLazy: boolean }
  | { readonly kind: 'short'; readonly node: RegexNode };

/** Ways and characters of a part that is short. */
const MOST_WAYS = 1000;
const MOST_WIDTH = 64;

export function isLinear(node: RegexNode): boolean {
  const alternatives = alternativesOf(node).map(partsOf);
  if (!alternatives.every((parts) => parts !== null)) return false;
  if (!alternatives.every(isSoonCompiled)) return false;
  return alternatives.every((parts, k) => {
    const exposed = exposedRuns(parts);
    if (exposed.length === 0) return true;
    const run = exposed[0]!;
    return exposed.length === 1 && !run.isLazy && isScannedOnce(run.has, k, alternatives);
  });
}

/** V8 looks up to eight characters ahead, and takes seconds to work out what may stand there where each is of a set of many ranges. */
const MOST_RAGGED = 5;
/** Places where a set begins or ends, among the characters that are looked at. */
const MANY_RANGES = 48;
const LOOKED_AT = 0x1000;

function isSoonCompiled(parts: readonly Part[]): boolean {
  let inARow = 0;
  for (const part of parts) {
    inARow = part.kind === 'run' ? 0 : inARow + raggedIn(part.node);
    if (inARow > MOST_RAGGED) return false;
  }
  return true;
}

/** Sets of many ranges in a row, as the engine writes out what is repeated a few times. */
function raggedIn(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
      return isRagged(node.has) ? 1 : 0;
    case 'sequence': {
      let sum = 0;
      for (const part of node.parts) if ((sum += raggedIn(part)) > MOST_RAGGED) break;
      return sum;
    }
    case 'choice':
      return Math.max(...node.options.map(raggedIn));
    case 'repeat':
      return raggedIn(node.body) * Math.min(node.max, 3);
    case 'group':
    case 'atomic':
      return raggedIn(node.body);
    default:
      return 0;
  }
}

function isRagged(has: CharSet): boolean {
  let ranges = 0;
  let before = false;
  for (let code = 0; code < LOOKED_AT; code++) {
    const is = has(code);
    if (is !== before && ++ranges > MANY_RANGES) return true;
    before = is;
  }
  return false;
}

const alternativesOf = (node: RegexNode): readonly RegexNode[] =>
  node.kind === 'choice'
    ? node.options.flatMap(alternativesOf)
    : (node.kind === 'group' || (node.kind === 'sequence' && node.parts.length === 1)) &&
        bodyOf(node).kind === 'choice'
      ? alternativesOf(bodyOf(node))
      : [node];

const bodyOf = (node: Extract<RegexNode, { kind: 'group' | 'sequence' }>): RegexNode =>
  node.kind === 'group' ? node.body : node.parts[0]!;

/** The parts of an alternative in order; null where one is neither a run nor short. */
function partsOf(node: RegexNode): readonly Part[] | null {
  if (node.kind === 'sequence') {
    const parts = node.parts.map(partsOf);
    return parts.every((part) => part !== null) ? parts.flat() : null;
  }
  if (node.kind === 'group') return partsOf(node.body);
  if (node.kind === 'repeat' && node.body.kind === 'set' && node.max === Number.POSITIVE_INFINITY) {
    if (node.min > MOST_WIDTH) return null;
    const one: Part = { kind: 'short', node: node.body };
    const run: Part = { kind: 'run', has: node.body.has, isLazy: node.mode === 'lazy' };
    return [...Array.from({ length: node.min }, () => one), run];
  }
  const isShort =
    waysOf(node) <= MOST_WAYS && (node.kind === 'look' ? widthOf(node.body) : widthOf(node))[1] <= MOST_WIDTH;
  return isShort ? [{ kind: 'short', node }] : null;
}

/** In how many ways a part can be tried. */
function waysOf(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
    case 'place':
      return 1;
    case 'sequence':
      return node.parts.reduce((ways, part) => ways * waysOf(part), 1);
    case 'choice':
      return node.options.reduce((ways, option) => ways + waysOf(option), 0);
    case 'repeat':
      return node.max > MOST_WIDTH
        ? Number.POSITIVE_INFINITY
        : (node.max - node.min + 1) * waysOf(node.body) ** node.max;
    case 'group':
    case 'atomic':
    case 'look':
      return waysOf(node.body);
    case 'back':
    case 'condition':
      return Number.POSITIVE_INFINITY;
  }
}

const mayFail = (part: Part): boolean => part.kind === 'short' && canFail(part.node);

function canFail(node: RegexNode): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.parts.some(canFail);
    case 'choice':
      return node.options.every(canFail);
    case 'repeat':
      return node.min > 0 && canFail(node.body);
    case 'group':
    case 'atomic':
      return canFail(node.body);
    default:
      return true;
  }
}

/** The runs that give back what they took when something behind them fails. */
function exposedRuns(parts: readonly Part[]): Extract<Part, { kind: 'run' }>[] {
  const last = parts.findLastIndex(mayFail);
  return parts.slice(0, Math.max(0, last)).filter((part) => part.kind === 'run');
}

/**
 * Whether a stretch of the set's characters, once it was scanned in vain by alternative `k`, is taken as a whole by one that cannot fail, before an
 * alternative takes less of it. Alternatives that scan it too succeed once in a stretch at most: they end at the last place that suits them.
 */
function isScannedOnce(run: CharSet, k: number, alternatives: readonly (readonly Part[])[]): boolean {
  const taker = alternatives.findIndex((parts) => takesAll(parts, run));
  if (taker < 0 || k > taker) return false;
  return alternatives.slice(0, taker).every((parts) => exposedRuns(parts).length > 0 || leaves(parts, run));
}

/** An optional character, one of a larger set and all that follow of it, and nothing that may fail. */
function takesAll(parts: readonly Part[], run: CharSet): boolean {
  const [first, second, ...rest] = withoutPrefix(parts);
  return (
    first?.kind === 'short' &&
    first.node.kind === 'set' &&
    second?.kind === 'run' &&
    !second.isLazy &&
    !rest.some(mayFail) &&
    isWithin(run, first.node.has) &&
    isWithin(run, second.has)
  );
}

/** After an optional character comes one outside the set, so that a match begins with the last of a stretch or beyond it. */
function leaves(parts: readonly Part[], run: CharSet): boolean {
  const first = withoutPrefix(parts)[0];
  if (first?.kind !== 'short') return false;
  const begins = beginningsOf(first.node);
  return begins?.every((has) => isWithin(run, (code) => !has(code))) ?? false;
}

function withoutPrefix(parts: readonly Part[]): readonly Part[] {
  const [first] = parts;
  const isOptional =
    first?.kind === 'short' &&
    first.node.kind === 'repeat' &&
    first.node.min === 0 &&
    first.node.max === 1 &&
    first.node.body.kind === 'set';
  return isOptional ? parts.slice(1) : parts;
}

/** The sets of characters that a part begins with; null where it may begin with none. */
function beginningsOf(node: RegexNode): readonly CharSet[] | null {
  switch (node.kind) {
    case 'set':
      return [node.has];
    case 'sequence':
      return node.parts.length === 0 ? null : beginningsOf(node.parts[0]!);
    case 'choice': {
      const all = node.options.map(beginningsOf);
      return all.every((sets) => sets !== null) ? all.flat() : null;
    }
    case 'repeat':
      return node.min === 0 ? null : beginningsOf(node.body);
    case 'group':
    case 'atomic':
      return beginningsOf(node.body);
    default:
      return null;
  }
}

/** Characters by which sets are compared: the scripts in everyday use one by one, the others here and there. */
const SAMPLE = [
  ...Array.from({ length: 0x3400 }, (_, code) => code),
  ...Array.from({ length: 1200 }, (_, k) => 0x3400 + 97 * k),
];

const isWithin = (part: CharSet, whole: CharSet): boolean =>
  SAMPLE.every((code) => !part(code) || whole(code));

// An expression of someone else's for JavaScript's string methods: the engine's own where that is fast on every text, else one that counts its steps.

/** Steps that going through a text may take: so many, and so many more for each of its letters. */
const FREE = 400;
const EACH = 100;
/** Steps beyond that, for all texts together: a dataset has many, and an expression's time is bounded by their letters. */
const SPARE = 1_000_000;

class CountedRegExp extends RegExp {
  readonly #program: Program;
  readonly #refuse: () => never;
  /** Of this expression and of those that string methods make of it. */
  readonly #spare: { left: number };
  #steps: { left: number } | null = null;

  /** String methods make another one of `source` by themselves. */
  constructor(source: RegExp, flags: string, program?: Program, refuse?: () => never) {
    super(source, flags);
    const same = source instanceof CountedRegExp ? source : null;
    this.#program = program ?? same!.#program;
    this.#refuse = refuse ?? same!.#refuse;
    this.#spare = same === null ? { left: SPARE } : same.#spare;
  }

  override exec(text: string): RegExpExecArray | null {
    const isPlaced = this.global || this.sticky;
    const from = isPlaced ? this.lastIndex : 0;
    if (from === 0 || this.#steps === null)
      this.#steps = { left: FREE + EACH * text.length + this.#spare.left };
    const found = from > text.length ? null : this.#find(text, from, this.#steps);
    if (isPlaced) this.lastIndex = found ? found[1]! : 0;
    return found && asExec(found, text);
  }

  #find(text: string, from: number, steps: { left: number }): Found | null {
    const find = this.sticky ? matchAt : searchFrom;
    try {
      return find(this.#program, text, from, steps);
    } catch (error) {
      if (error instanceof TooManySteps) return this.#refuse();
      throw error;
    } finally {
      this.#spare.left = Math.max(0, Math.min(this.#spare.left, steps.left));
    }
  }
}

function asExec(found: Found, text: string): RegExpExecArray {
  const parts = Array.from({ length: found.length / 2 }, (_, k) =>
    found[2 * k + 1]! < 0 ? undefined : text.slice(found[2 * k], found[2 * k + 1]),
  ) as string[];
  return Object.assign(parts, {
    index: found[0]!,
    input: text,
    groups: undefined,
  }) as unknown as RegExpExecArray;
}

/**
 * @param refuse throws what is said when a text takes too many steps
 * @throws SyntaxError for an expression that is not known to be fast and that cannot be counted
 */
export function boundedRegExp(expression: RegExp, refuse: () => never): RegExp {
  const regex = readScript(expression);
  return isLinear(regex.node)
    ? expression
    : new CountedRegExp(expression, expression.flags, compile(regex), refuse);
}
