/**
 * Python's `re` for what people write in target_modules and rank_pattern. Expressions come with links and files, so every match has so many steps and no
 * more, for one name and for all names together.
 */
import { BOUNDS } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { type Found, matchStart, TooManySteps } from '../lib/regex/matcher.ts';
import { compile, type Program } from '../lib/regex/program.ts';
import { readPython, splitFlags } from '../lib/regex/python.ts';

/** What several expressions may take together for the names they are asked about. */
export class Allowance {
  #steps = 0;
  #questions = 0;
  add(steps: number): boolean {
    this.#steps += steps;
    this.#questions++;
    return this.#steps <= BOUNDS.matchingSteps.most + this.#questions * FREE_STEPS;
  }
}

/** Steps for a question that no sum is kept of: what an ordinary expression takes. */
const FREE_STEPS = 2_000;

/** `re.fullmatch(pattern, text) is not None`. */
export function fullMatcher(
  pattern: string,
  where: string,
  allowance = new Allowance(),
): (text: string) => boolean {
  const program = compiled(pattern, where, '', '');
  return (text) => counted(program, text, true, pattern, where, allowance) !== null;
}

/** `re.match(before + pattern + after, text) is not None`: anchored at the start only. */
export function prefixMatcher(
  pattern: string,
  where: string,
  [before, after]: readonly [string, string],
  allowance = new Allowance(),
): (text: string) => boolean {
  const program = compiled(pattern, where, before, after);
  return (text) => counted(program, text, false, pattern, where, allowance) !== null;
}

/** As {@link prefixMatcher}, but the text of a named group; null if it does not match. */
export function prefixGroup(
  group: string,
  pattern: string,
  where: string,
  [before, after]: readonly [string, string],
  allowance = new Allowance(),
): (text: string) => string | null {
  const program = compiled(pattern, where, before, after);
  const index = program.names.get(group)!;
  return (text) => {
    const found = counted(program, text, false, pattern, where, allowance);
    return found && text.slice(found[2 * index]!, found[2 * index + 1]!);
  };
}

function counted(
  program: Program,
  text: string,
  whole: boolean,
  pattern: string,
  where: string,
  allowance: Allowance,
): Found | null {
  const { most } = BOUNDS.matchingSteps;
  const steps = { left: most };
  const tooMany = (names: string): never =>
    fail(
      'too-large',
      `${where}: ${quoted(pattern)} takes more than ${most.toLocaleString('en-GB')} steps to match ${names}; ${BOUNDS.matchingSteps.advice}.`,
      { pattern, bound: 'matchingSteps' },
    );
  try {
    const found = matchStart(program, text, steps, whole);
    return allowance.add(most - steps.left) ? found : tooMany('the names of this model');
  } catch (error) {
    if (error instanceof TooManySteps) return tooMany(`the name ${quoted(text)}`);
    throw error;
  }
}

const quoted = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

/** Expressions read lately: the same few are asked about again with every change of a form. */
const KEPT = 500;
const kept = new Map<string, Program>();

function compiled(pattern: string, where: string, before: string, after: string): Program {
  const key = JSON.stringify([pattern, before, after]);
  const known = kept.get(key);
  if (known) return known;
  const program = compiledNew(pattern, where, before, after);
  if (kept.size >= KEPT) kept.clear();
  kept.set(key, program);
  return program;
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
      `${where}: ${quoted(pattern)} is not a regular expression that can be used here: ${error.message}.`,
      { pattern },
    );
  }
}
