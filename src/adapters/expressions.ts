/**
 * Python's `re` for what people write in target_modules and rank_pattern. Expressions come with links and files, so every match has so many steps and no
 * more, for one name and for all names together.
 */
import { BOUNDS } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { compile, type Found, matchStart, type Program, TooManySteps } from '../lib/regex/program.ts';
import { readPython, splitFlags } from '../lib/regex/python.ts';
import { whole as grouped, say } from '../lib/say.ts';

/** What several expressions may take together for the names they are asked about. */
export class Allowance {
  #steps = 0;
  #questions = 0;
  add(steps: number): boolean {
    this.#steps += steps;
    this.#questions++;
    return this.#steps <= BOUNDS.matchingSteps.most + Math.min(this.#questions * FREE_STEPS, FREE_IN_ALL);
  }
}

/** Steps for a question that no sum is kept of: what an ordinary expression takes; but thousands of expressions for hundreds of names are no ordinary ones. */
const FREE_STEPS = 2_000;
const FREE_IN_ALL = 9_000_000;

/** `re.fullmatch(pattern, text) is not None`. */
export function fullMatcher(
  pattern: string,
  where: string,
  allowance = new Allowance(),
): (text: string) => boolean {
  const known = compiled(pattern, where, '', '');
  return (text) => counted(known, text, true, pattern, where, allowance) !== null;
}

/** `re.match(before + pattern + after, text) is not None`: anchored at the start only. */
export function prefixMatcher(
  pattern: string,
  where: string,
  [before, after]: readonly [string, string],
  allowance = new Allowance(),
): (text: string) => boolean {
  const known = compiled(pattern, where, before, after);
  return (text) => counted(known, text, false, pattern, where, allowance) !== null;
}

/** As {@link prefixMatcher}, but the text of a named group; null if it does not match. */
export function prefixGroup(
  group: string,
  pattern: string,
  where: string,
  [before, after]: readonly [string, string],
  allowance = new Allowance(),
): (text: string) => string | null {
  const known = compiled(pattern, where, before, after);
  const index = known.program.names.get(group)!;
  return (text) => {
    const found = counted(known, text, false, pattern, where, allowance);
    return found && text.slice(found[2 * index]!, found[2 * index + 1]!);
  };
}

function counted(
  known: Known,
  text: string,
  whole: boolean,
  pattern: string,
  where: string,
  allowance: Allowance,
): Found | null {
  const { most } = BOUNDS.matchingSteps;
  const tooMany = (names: string): never =>
    fail(
      'too-large',
      say`${where}: ${quoted(pattern)} takes more than ${grouped(most)} steps to match ${names}; ${BOUNDS.matchingSteps.advice()}.`,
      { pattern, bound: 'matchingSteps' },
    );
  const { found, steps } = answered(known, text, whole);
  if (steps > most) return tooMany(say`the name ${quoted(text)}`);
  return allowance.add(steps) ? found : tooMany(say`the names of this model`);
}

/** What an expression says of a text, from what is kept where it was asked before: a page asks again with every change of a form. */
function answered({ program, answers }: Known, text: string, whole: boolean): Answered {
  const key = `${whole ? '=' : '<'}${text}`;
  const before = answers.get(key);
  if (before !== undefined) return before;
  const { most } = BOUNDS.matchingSteps;
  const steps = { left: most };
  let answer: Answered;
  try {
    const found = matchStart(program, text, steps, whole);
    answer = { found, steps: most - steps.left };
  } catch (error) {
    if (!(error instanceof TooManySteps)) throw error;
    answer = { found: null, steps: most + 1 };
  }
  if (answers.size >= KEPT_ANSWERS) answers.clear();
  answers.set(key, answer);
  return answer;
}

export const quoted = (text: string): string =>
  JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

interface Answered {
  readonly found: Found | null;
  /** More than the bound: it was given up. */
  readonly steps: number;
}

interface Known {
  readonly program: Program;
  readonly answers: Map<string, Answered>;
}

/** Expressions read lately, and what they said of a model's names. */
const KEPT = 500;
const KEPT_ANSWERS = 2_000;
const kept = new Map<string, Known>();

function compiled(pattern: string, where: string, before: string, after: string): Known {
  const key = JSON.stringify([pattern, before, after]);
  const asked = kept.get(key);
  if (asked) return asked;
  const known = { program: compiledNew(pattern, where, before, after), answers: new Map<string, Answered>() };
  if (kept.size >= KEPT) kept.clear();
  kept.set(key, known);
  return known;
}

function compiledNew(pattern: string, where: string, before: string, after: string): Program {
  try {
    // The pattern must stand on its own: "a)(b" would otherwise pair its brackets with PEFT's.
    const alone = readPython(pattern, before.match(/\((?!\?)/g)?.length ?? 0);
    if (before === '' && after === '') return compile(alone);
    // Flags go to the front, where Python up to 3.10 let them act from.
    const { flags, rest } = splitFlags(pattern);
    return compile(readPython(flags + before + rest + after));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(
      'illegal-config',
      say`${where}: ${quoted(pattern)} is not a regular expression that can be used here: ${error.message}.`,
      { pattern },
    );
  }
}
