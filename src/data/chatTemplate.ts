/**
 * Jinja chat templates, run so that every stretch of the rendering is known to be a message's words or the template's own: the interpreter of
 * @huggingface/jinja, whose strings carry marks through joining, trimming, splitting, slicing and replacing. No text is searched for. What a template
 * may cost is counted as it runs.
 */
import { Environment, Interpreter, parse, Template, tokenize } from '@huggingface/jinja';
import { BOUNDS, type BoundName } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { say, whole } from '../lib/say.ts';
import type { Span } from './types.ts';

/** A stretch of a rendering that is words of message `message`; empty where these are trimmed to nothing. */
export interface Mark extends Span {
  readonly message: number;
}

export interface Rendering {
  readonly text: string;
  readonly marks: readonly Mark[];
  /** What each turn of a loop in the template wrote. */
  readonly turns: readonly Span[];
}

/** Keys of a message whose values are what is said in it; roles and names are the template's business. */
const SAID = ['content', 'reasoning_content', 'reasoning', 'thinking', 'tool_calls'];

/** What a template says of a conversation that it will not write, by `raise_exception`. */
export class Refusal extends Error {}

/** In the place of a message's number: a turn of a loop. */
const TURN = -1;

interface Value {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}
interface Text extends Value {
  readonly value: string;
}
interface Method extends Value {
  value: (args: readonly Value[], scope: Environment) => Value;
}
interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** What the library's interpreter is made of; declared private there. */
interface Internals {
  run(program: unknown): Value;
  evaluate(node: Node | undefined, scope: Environment): Value;
  evaluateBlock(nodes: readonly Node[], scope: Environment): Value;
  evaluateFor(node: Node, scope: Environment): Value;
  evaluateBinaryExpression(node: Node, scope: Environment): Value;
  evaluateMemberExpression(node: Node, scope: Environment): Value;
  evaluateSliceExpression(object: Value, node: Node, scope: Environment): Value;
  evaluateCallExpression(node: Node, scope: Environment): Value;
  evaluateArguments(args: readonly Node[], scope: Environment): [Value[], Map<string, Value>];
  applyFilter(operand: Value, filter: Node, scope: Environment): Value;
}

const Base = Interpreter as unknown as new (scope: Environment) => Internals;
const TextValue = new Environment().set('text', '').constructor as new (text: string) => Text;
const isText = (value: Value | undefined): value is Text => value?.type === 'StringValue';

/** Nodes whose parts are asked for by name after they were evaluated. */
const OPENED = ['BinaryExpression', 'MemberExpression', 'CallExpression'];

/** What Python's `str.strip` takes away where it is not told. */
const isSpace = (c: string): boolean => /\p{White_Space}/u.test(c) || (c >= '\u001c' && c <= '\u001f');

/** The bounds of what Python's strip, lstrip or rstrip leave. */
function stripped(text: string, name: string, characters: string | null): Span {
  const goes = (c: string) => (characters === null ? isSpace(c) : characters.includes(c));
  let [start, end] = [0, text.length];
  if (name !== 'rstrip') while (start < end && goes(text[start]!)) start++;
  if (name !== 'lstrip') while (end > start && goes(text[end - 1]!)) end--;
  return { start, end };
}

/** Where position `p` of `text` lies once `from` is replaced by `to`, `count` times at most. */
function replacedAt(text: string, from: string, to: string, count: number, p: number): number {
  if (from === '') return p;
  let moved = 0;
  let at = text.indexOf(from);
  for (let n = 0; at >= 0 && at < p && n < count; n++, at = text.indexOf(from, at + from.length)) {
    if (at + from.length > p) return at + moved + to.length;
    moved += to.length - from.length;
  }
  return p + moved;
}

class TracingInterpreter extends Base {
  readonly #marks = new WeakMap<Value, readonly Mark[]>();
  readonly #owners = new WeakMap<Value, number>();
  /** A string's method, to the string. */
  readonly #methods = new WeakMap<Value, { readonly text: Text; readonly name: string }>();
  readonly #loops: { readonly node: Node; readonly turns: Text[] }[] = [];
  readonly #seen: Map<Node, Value>[] = [new Map()];
  readonly #cost: TemplateCost;
  /** Filters whose arguments are being read: they can make far more of a value than it is. */
  readonly #filters: { readonly name: string; readonly operand: Value; readonly args: unknown }[] = [];

  constructor(scope: Environment, cost: TemplateCost) {
    super(scope);
    this.#cost = cost;
  }

  /** All that `value` holds are words of message `message`. */
  own(value: Value | undefined, message: number): void {
    if (value === undefined) return;
    this.#owners.set(value, message);
    if (Array.isArray(value.value)) for (const item of value.value as Value[]) this.own(item, message);
    if (value.value instanceof Map)
      for (const item of (value.value as Map<string, Value>).values()) this.own(item, message);
  }

  rendering(program: unknown): Rendering {
    const result = this.run(program) as Text;
    const marks = this.#marksOf(result);
    return {
      text: result.value,
      marks: marks.filter((m) => m.message !== TURN),
      turns: marks.filter((m) => m.message === TURN),
    };
  }

  #marksOf(value: Value, length = value.toString().length): readonly Mark[] {
    const message = this.#owners.get(value);
    return this.#marks.get(value) ?? (message === undefined ? [] : [{ message, start: 0, end: length }]);
  }

  #marked(value: Value, marks: readonly Mark[]): Value {
    if (marks.length > 0) this.#marks.set(value, marks);
    return value;
  }

  /** The text of several, one after another. */
  #joined(parts: readonly (Value | string)[]): Value {
    let text = '';
    const marks: Mark[] = [];
    for (const part of parts) {
      const words = String(part);
      if (typeof part !== 'string')
        for (const { message, start, end } of this.#counted(this.#marksOf(part, words.length), 1))
          marks.push({ message, start: start + text.length, end: end + text.length });
      text += words;
    }
    return this.#marked(new TextValue(text), marks);
  }

  /** Marks that are about to be moved, each at the cost of so many letters. */
  #counted(marks: readonly Mark[], letters: number): readonly Mark[] {
    this.#cost.take((marks.length * (16 + letters)) / 64);
    return marks;
  }

  #piece(source: Text, from: number, to: number): Value {
    const marks = this.#counted(this.#marksOf(source), 1).flatMap(({ message, start, end }): Mark[] => {
      const [s, e] = [Math.max(start, from), Math.min(end, to)];
      return s <= e ? [{ message, start: s - from, end: e - from }] : [];
    });
    return this.#marked(new TextValue(source.value.slice(from, to)), marks);
  }

  /** `result` with the marks of `source`, whose position p lies at `at(p)`. */
  #moved(source: Text, result: Value, at: (p: number) => number): Value {
    const marks = this.#counted(this.#marksOf(source), source.value.length).map((m) => ({
      ...m,
      start: at(m.start),
      end: at(m.end),
    }));
    return this.#marked(result, marks);
  }

  /** What a method or filter made of a string, with the string's marks; strip and its like as in Python. */
  #made(name: string, source: Text, args: readonly Value[], result: Value): Value {
    const text = source.value;
    const [first, second, third] = args;
    switch (name) {
      case 'strip':
      case 'lstrip':
      case 'rstrip':
      case 'trim': {
        const { start, end } = stripped(text, name, isText(first) ? first.value : null);
        return this.#piece(source, start, end);
      }
      case 'split': {
        let at = 0;
        const parts = (result.value as Text[]).map((part) => {
          const from = isText(first) ? at : text.indexOf(part.value, at);
          at = from + part.value.length + (isText(first) ? first.value.length : 0);
          return this.#piece(source, from, from + part.value.length);
        });
        parts.forEach((part, k) => {
          (result.value as Value[])[k] = part;
        });
        return result;
      }
      case 'replace': {
        if (!isText(first) || !isText(second)) return result;
        const most = typeof third?.value === 'number' && third.value >= 0 ? third.value : Infinity;
        return this.#moved(source, result, (p) => replacedAt(text, first.value, second.value, most, p));
      }
      case 'indent': {
        const before = (lines: readonly string[]) => lines.reduce((n, line) => n + line.length + 1, 0);
        const indented = String(result).split('\n');
        return this.#moved(source, result, (p) => {
          const lines = text.slice(0, p).split('\n');
          const line = indented[lines.length - 1]!;
          const added = line.length - text.split('\n')[lines.length - 1]!.length;
          return before(indented.slice(0, lines.length - 1)) + added + lines.at(-1)!.length;
        });
      }
      case 'tojson': {
        const length = String(result).length;
        return this.#moved(source, result, (p) => (p === 0 ? 0 : length));
      }
      case 'upper':
      case 'lower':
      case 'title':
      case 'capitalize':
        return String(result).length === text.length ? this.#moved(source, result, (p) => p) : result;
      default:
        return result;
    }
  }

  override evaluate(node: Node | undefined, scope: Environment): Value {
    if (node === undefined) return super.evaluate(node, scope);
    const opens = OPENED.includes(node.type);
    if (opens) this.#seen.push(new Map());
    try {
      const value = this.#cost.nested(() => super.evaluate(node, scope));
      if (value !== undefined) this.#cost.charge(value);
      if (this.#isLoopedOver(node)) this.#cost.take(ROUND * sizeOf(value));
      this.#seen.at(opens ? -2 : -1)!.set(node, value);
      return value;
    } finally {
      if (opens) this.#seen.pop();
    }
  }

  #isLoopedOver(node: Node): boolean {
    const over = this.#loops.at(-1)?.node.iterable as Node | undefined;
    return over !== undefined && node === (over.type === 'SelectExpression' ? over.lhs : over);
  }

  override evaluateBlock(nodes: readonly Node[], scope: Environment): Value {
    const parts: Value[] = [];
    for (const node of nodes) {
      const value = this.evaluate(node, scope);
      if (value.type !== 'NullValue' && value.type !== 'UndefinedValue') parts.push(value);
    }
    const result = this.#joined(parts) as Text;
    const loop = this.#loops.at(-1);
    if (loop && nodes === loop.node.body) {
      const turn = { message: TURN, start: 0, end: result.value.length };
      this.#marks.set(result, [...this.#marksOf(result), turn]);
      loop.turns.push(result);
    } else if (loop && nodes === loop.node.defaultBlock) loop.turns.push(result);
    return result;
  }

  override evaluateFor(node: Node, scope: Environment): Value {
    const loop = { node, turns: [] as Text[] };
    this.#loops.push(loop);
    try {
      super.evaluateFor(node, scope);
    } finally {
      this.#loops.pop();
    }
    return this.#joined(loop.turns);
  }

  override evaluateBinaryExpression(node: Node, scope: Environment): Value {
    const result = super.evaluateBinaryExpression(node, scope);
    const operator = (node.operator as Value).value;
    if (!isText(result) || (operator !== '+' && operator !== '~')) return result;
    const [left, right] = [node.left, node.right].map((side) => this.#seen.at(-1)!.get(side as Node)!);
    const length = isText(left) ? left.value.length : result.value.length - String(right!.value).length;
    const marks = [
      ...this.#counted(this.#marksOf(left!, length), 1),
      ...this.#marksOf(right!, result.value.length - length).map((m) => ({
        ...m,
        start: m.start + length,
        end: m.end + length,
      })),
    ];
    return this.#marked(result, marks);
  }

  override evaluateMemberExpression(node: Node, scope: Environment): Value {
    const result = super.evaluateMemberExpression(node, scope);
    const object = this.#seen.at(-1)!.get(node.object as Node);
    const name = (node.property as Node).value;
    if (isText(object) && result.type === 'FunctionValue' && !this.#methods.has(result)) {
      this.#methods.set(result, { text: object, name: String(name) });
      const method = result as Method;
      const call = method.value;
      method.value = (args, inner) => {
        allowMade(this.#cost, String(name), object, args);
        return call(args, inner);
      };
    }
    return result;
  }

  override evaluateSliceExpression(object: Value, node: Node, scope: Environment): Value {
    this.#cost.take(sizeOf(object) / 2);
    const result = super.evaluateSliceExpression(object, node, scope);
    const seen = this.#seen.at(-1)!;
    const number = (part: unknown) => seen.get(part as Node)?.value;
    if (!isText(object) || !isText(result) || (number(node.step) ?? 1) !== 1) return result;
    const points = Array.from(object.value);
    const begin = Number(number(node.start) ?? 0);
    const first = begin < 0 ? Math.max(points.length + begin, 0) : Math.min(begin, points.length);
    const from = points.slice(0, first).join('').length;
    return this.#piece(object, from, from + result.value.length);
  }

  override evaluateCallExpression(node: Node, scope: Environment): Value {
    const result = super.evaluateCallExpression(node, scope);
    const seen = this.#seen.at(-1)!;
    const method = this.#methods.get(seen.get(node.callee as Node)!);
    if (!method) return result;
    return this.#made(method.name, method.text, argumentsOf(node, seen), result);
  }

  override evaluateArguments(args: readonly Node[], scope: Environment): [Value[], Map<string, Value>] {
    const [values, named] = super.evaluateArguments(args, scope);
    const filter = this.#filters.at(-1);
    if (filter?.args === args)
      allowMade(this.#cost, filter.name, filter.operand, [...values, ...named.values()]);
    return [values, named];
  }

  override applyFilter(operand: Value, filter: Node, scope: Environment): Value {
    const callee = filter.type === 'CallExpression' ? (filter.callee as Node) : filter;
    const name = String(callee.value);
    this.#seen.push(new Map());
    this.#filters.push({ name, operand, args: filter.args });
    try {
      const result = super.applyFilter(operand, filter, scope);
      if (result === operand) return result;
      const args = argumentsOf(filter, this.#seen.at(-1)!);
      if (isText(operand)) return this.#made(name, operand, args, result);
      if (name === 'join' && Array.isArray(operand.value)) {
        const between = isText(args[0]) ? args[0].value : '';
        return this.#joined(
          (operand.value as Value[]).flatMap((item, k) => (k > 0 ? [between, item] : [item])),
        );
      }
      // JSON of an object or a list that a message has.
      const message = this.#owners.get(operand);
      if (message !== undefined && isText(result)) this.#owners.set(result, message);
      return result;
    } finally {
      this.#filters.pop();
      this.#seen.pop();
    }
  }
}

/** A string's method or filter is about to make a text: how long it can get. */
function allowMade(cost: TemplateCost, name: string, source: Value, args: readonly Value[]): void {
  const number = args.reduce((n, { value }) => (typeof value === 'number' ? Math.max(n, value) : n), 0);
  const longest = args.reduce((n, arg) => (isText(arg) ? Math.max(n, arg.value.length) : n), 0);
  if (name === 'replace' && isText(source) && isText(args[0])) {
    const places =
      args[0].value === '' ? source.value.length + 1 : source.value.split(args[0].value).length - 1;
    cost.allow(source.value.length + places * longest);
  } else if (name === 'join' && (isText(source) || Array.isArray(source.value)))
    cost.allow(cost.printed(source) + (source.value as string | Value[]).length * longest);
  else if (name === 'indent' && isText(source))
    cost.allow(source.value.length + source.value.split('\n').length * number);
  else if (name === 'split' && isText(source))
    cost.take(8 * (isText(args[0]) ? source.value.split(args[0].value).length : source.value.length / 2));
  else if (name === 'tojson') cost.allow(cost.printed(source) * (1 + (longest + 8 * number) / 16));
}

/** What the library makes for every turn of a loop, in steps. */
const ROUND = 16;

/** Letters of a text, items of a list or an object. */
const sizeOf = ({ value }: Value): number =>
  typeof value === 'string' || Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0;

const argumentsOf = (call: Node, seen: ReadonlyMap<Node, Value>): Value[] =>
  ((call.args as readonly Node[] | undefined) ?? []).map(
    (arg) => (seen.get(arg) ?? seen.get(arg.value as Node))!,
  );

function globals(scope: Environment, cost: TemplateCost): void {
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) {
    scope.set(name, value);
    scope.set(name[0]!.toUpperCase() + name.slice(1), value);
  }
  scope.set('raise_exception', (sentence: unknown) => {
    throw new Refusal(typeof sentence === 'string' ? sentence.slice(0, 1000) : say`it does not say why`);
  });
  scope.set('range', (start: unknown, stop?: unknown, step: unknown = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    if (![from, to, step].every(Number.isInteger) || step === 0)
      throw new Error('range() takes whole numbers, and steps other than 0');
    const [first, by] = [from as number, step as number];
    const length = Math.max(0, Math.ceil(((to as number) - first) / by));
    cost.take(length);
    return Array.from({ length }, (_, i) => first + i * by);
  });
  const date = new Template('{{ strftime_now(format) }}');
  scope.set('strftime_now', (format: unknown) => date.render({ format: String(format).slice(0, 1000) }));
}

/** Letters of what a template is given. */
function lettersOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 1;
  return Object.entries(value).reduce((sum, [key, item]) => sum + key.length + lettersOf(item), 1);
}

/**
 * A template, ready to be rendered.
 * @throws Error for one that is no Jinja, PapilioError 'too-large' for one that is too long
 */
export function compileTemplate(
  source: string,
): (
  messages: readonly Readonly<Record<string, unknown>>[],
  around: Readonly<Record<string, unknown>>,
  cost?: TemplateCost,
) => Rendering {
  refuseLongTemplate(source);
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return (messages, around, cost = new TemplateCost()) => {
    cost.begin(lettersOf(messages) + lettersOf(around));
    const scope = new Environment();
    globals(scope, cost);
    for (const [name, value] of Object.entries(around)) scope.set(name, value);
    const list = scope.set('messages', messages) as unknown as Value;
    const interpreter = new TracingInterpreter(scope, cost);
    (list.value as Value[]).forEach((message, k) => {
      for (const key of SAID) interpreter.own((message.value as Map<string, Value>).get(key), k);
    });
    return interpreter.rendering(program);
  };
}

// What rendering a chat template may cost. Templates come with models from anywhere, and Jinja can loop, call itself and make texts that grow with
// every step: steps and sizes are counted before the work is done.

/** A value of the interpreter, as far as its size goes. */
interface Sized {
  readonly type: string;
  readonly value: unknown;
}

/** Letters of a template and of the longest stretch of blanks in it; the library's time grows with their product. */
const MOST_LETTERS = 2 ** 18;
const MOST_BLANKS = 2_000;

/** Calls inside calls: the interpreter's own stack holds several times as many. */
const MOST_NESTED = 300;

/** Letters that weigh as much as a number. */
const LETTERS = 16;

const { most, advice } = BOUNDS.renderingSteps;

/**
 * Steps that the dataset's budget grows by with every rendering: for itself, and for each letter that it is given. Templates of published models
 * take 60 to 250 for two short messages, and a quarter to two for each letter.
 */
const [EACH_RENDERING, EACH_LETTER] = [400, 4];

/** What all conversations of a dataset may take together. */
export interface DatasetCost {
  left: number;
}

export const datasetCost = (): DatasetCost => ({ left: BOUNDS.datasetRendering.most });

const refuse = (why: string, bound: BoundName = 'renderingSteps'): never =>
  fail('too-large', say`The model's chat template ${why}; ${advice()}.`, { bound });

/** @throws PapilioError 'too-large' for a template that cannot even be read in reasonable time */
function refuseLongTemplate(source: string): void {
  if (source.length > MOST_LETTERS)
    refuse(say`has ${whole(source.length)} letters, and the most is ${whole(MOST_LETTERS)}`);
  let blanks = 0;
  for (let at = 0; at < source.length; at++) {
    blanks = source[at]!.trim() === '' ? blanks + 1 : 0;
    if (blanks > MOST_BLANKS) refuse(say`has more than ${whole(MOST_BLANKS)} blanks in a row`);
  }
}

/** Counts what the renderings of one conversation take together. */
export class TemplateCost {
  #left = most;
  #longest = 2 ** 20;
  #depth = 0;
  /** Met so far. */
  #namespaces = 0;
  readonly #weights = new WeakMap<object, number>();
  readonly #all: DatasetCost;

  /** @param all what the dataset has left; nothing beside the conversation where it is none of a dataset */
  constructor(all: DatasetCost = { left: Number.POSITIVE_INFINITY }) {
    this.#all = all;
  }

  /** Another rendering, of messages with so many letters. */
  begin(letters: number): void {
    this.#left += 20_000 + 20 * letters;
    this.#all.left += EACH_RENDERING + EACH_LETTER * letters;
    this.#longest = Math.max(this.#longest, 16 * letters);
    this.#depth = 0;
  }

  /** @throws PapilioError 'too-large' */
  take(steps: number): void {
    // Written so that NaN is too much.
    if (!(steps <= this.#left)) refuse(say`takes too many steps to render a conversation`);
    if (!(steps <= this.#all.left))
      refuse(say`takes too many steps to render the conversations of the dataset`, 'datasetRendering');
    this.#left -= steps;
    this.#all.left -= steps;
  }

  /** A text that is about to be made. @throws PapilioError 'too-large' */
  allow(letters: number): void {
    if (!(letters <= this.#longest)) refuse(say`makes texts that are far longer than the conversation`);
    this.take(letters / LETTERS);
  }

  /** One step into a node of the template and out again. */
  nested<T>(evaluate: () => T): T {
    this.take(1);
    if (++this.#depth > MOST_NESTED) refuse(say`calls itself too often`);
    try {
      return evaluate();
    } finally {
      this.#depth--;
    }
  }

  /** Charges for a value that a step gave: the next one may compare it, print it or go through it. */
  charge(value: Sized): void {
    if (typeof value.value === 'string') {
      if (value.value.length > this.#longest) this.allow(value.value.length);
      this.take(value.value.length / (4 * LETTERS));
    } else if (typeof value.value === 'object' && value.value !== null) this.take(this.#weigh(value, 0) / 8);
  }

  /** Letters that a value has once it is printed, at most; a list that is in another twice counts twice. */
  printed(value: Sized): number {
    return LETTERS * this.#weigh(value, 0);
  }

  #weigh(value: Sized, depth: number): number {
    const { value: inner } = value;
    if (typeof inner === 'string') return 1 + inner.length / LETTERS;
    if (typeof inner !== 'object' || inner === null) return 1;
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    if (depth > MOST_NESTED) refuse(say`nests lists in lists without end`);
    // A namespace is changed in place, and with it whatever holds it: what it weighs is not kept.
    const namespaces = this.#namespaces;
    if (value.type === 'NamespaceValue') this.#namespaces++;
    let weight = 1;
    const items: Iterable<unknown> = Array.isArray(inner)
      ? inner
      : inner instanceof Map
        ? inner.values()
        : [];
    for (const item of items) {
      weight += this.#weigh(item as Sized, depth + 1);
      if (weight > this.#left) refuse(say`makes lists that are far longer than the conversation`);
    }
    if (inner instanceof Map) for (const key of inner.keys()) weight += String(key).length / LETTERS;
    if (this.#namespaces === namespaces) this.#weights.set(value, weight);
    return weight;
  }
}
