/** An expression of someone else's for JavaScript's string methods: the engine's own where that is fast on every text, else one that counts its steps. */
import { isLinear } from './linear.ts';
import { type Found, matchAt, searchFrom, TooManySteps } from './matcher.ts';
import { compile, type Program } from './program.ts';
import { readScript } from './script.ts';

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
