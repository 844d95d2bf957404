/**
 * Jinja chat templates, run so that every stretch of the rendering is known to be a message's words or the template's own: the interpreter of
 * @huggingface/jinja, whose strings carry marks through joining, trimming, splitting, slicing and replacing. No text is searched for.
 */
import { Environment, Interpreter, parse, Template, tokenize } from '@huggingface/jinja';
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
        for (const { message, start, end } of this.#marksOf(part, words.length))
          marks.push({ message, start: start + text.length, end: end + text.length });
      text += words;
    }
    return this.#marked(new TextValue(text), marks);
  }

  #piece(source: Text, from: number, to: number): Value {
    const marks = this.#marksOf(source).flatMap(({ message, start, end }): Mark[] => {
      const [s, e] = [Math.max(start, from), Math.min(end, to)];
      return s <= e ? [{ message, start: s - from, end: e - from }] : [];
    });
    return this.#marked(new TextValue(source.value.slice(from, to)), marks);
  }

  /** `result` with the marks of `source`, whose position p lies at `at(p)`. */
  #moved(source: Text, result: Value, at: (p: number) => number): Value {
    const marks = this.#marksOf(source).map((m) => ({ ...m, start: at(m.start), end: at(m.end) }));
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
        (result.value as Value[]).splice(0, parts.length, ...parts);
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
      const value = super.evaluate(node, scope);
      this.#seen.at(opens ? -2 : -1)!.set(node, value);
      return value;
    } finally {
      if (opens) this.#seen.pop();
    }
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
      ...this.#marksOf(left!, length),
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
    if (isText(object) && result.type === 'FunctionValue')
      this.#methods.set(result, { text: object, name: String(name) });
    return result;
  }

  override evaluateSliceExpression(object: Value, node: Node, scope: Environment): Value {
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

  override applyFilter(operand: Value, filter: Node, scope: Environment): Value {
    const callee = filter.type === 'CallExpression' ? (filter.callee as Node) : filter;
    const name = String(callee.value);
    this.#seen.push(new Map());
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
      this.#seen.pop();
    }
  }
}

const argumentsOf = (call: Node, seen: ReadonlyMap<Node, Value>): Value[] =>
  ((call.args as readonly Node[] | undefined) ?? []).map(
    (arg) => (seen.get(arg) ?? seen.get(arg.value as Node))!,
  );

function globals(scope: Environment): void {
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) {
    scope.set(name, value);
    scope.set(name[0]!.toUpperCase() + name.slice(1), value);
  }
  scope.set('raise_exception', (sentence: string) => {
    throw new Error(sentence);
  });
  scope.set('range', (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
  });
  const date = new Template('{{ strftime_now(format) }}');
  scope.set('strftime_now', (format: string) => date.render({ format }));
}

/** A template, ready to be rendered. @throws Error for one that is no Jinja */
export function compileTemplate(
  source: string,
): (
  messages: readonly Readonly<Record<string, unknown>>[],
  around: Readonly<Record<string, unknown>>,
) => Rendering {
  const program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  return (messages, around) => {
    const scope = new Environment();
    globals(scope);
    for (const [name, value] of Object.entries(around)) scope.set(name, value);
    const list = scope.set('messages', messages) as unknown as Value;
    const interpreter = new TracingInterpreter(scope);
    (list.value as Value[]).forEach((message, k) => {
      for (const key of SAID) interpreter.own((message.value as Map<string, Value>).get(key), k);
    });
    return interpreter.rendering(program);
  };
}
