/**
 * PEFT's rule for one module name: exclusions, modules_to_save, expression or list of targets, layer filter - in PEFT's order and
 * with its surprises (full names and expressions bypass the layer filter; layer numbers need a segment and a dot before them).
 */
import { BOUNDS } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { compile, type Found, matchStart, type Program, TooManySteps } from '../lib/regex/program.ts';
import { readPython, splitFlags } from '../lib/regex/python.ts';
import { whole as grouped, say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';

export type Match = 'target' | 'excluded' | 'other';

type Test = (name: string) => boolean;

/** Modules that a task's model class adds to modules_to_save. */
const TASK_HEADS: ReadonlyMap<string | null, readonly string[]> = new Map(
  Object.entries({
    SEQ_CLS: ['classifier', 'score'],
    TOKEN_CLS: ['classifier', 'score'],
    QUESTION_ANS: ['qa_outputs'],
  }),
);

/** modules_to_save with what the task adds, each once. */
export function savedEntries(config: Pick<CommonConfig, 'modules_to_save' | 'task_type'>): string[] {
  return [...new Set([...(config.modules_to_save ?? []), ...(TASK_HEADS.get(config.task_type) ?? [])])];
}

/** The rule of a whole configuration. Throws PapilioError 'illegal-config' for an expression that cannot be read. */
export function moduleMatcher(config: CommonConfig): (name: string) => Match {
  const allowance = new Allowance();
  const excluded = excludedTest(config, allowance);
  const targets = config.target_modules ?? [];
  const target =
    typeof targets === 'string'
      ? fullMatcher(targets, 'target_modules', allowance)
      : listTest(targets, layerTest(config, allowance));
  return (name) => (excluded(name) ? 'excluded' : target(name) ? 'target' : 'other');
}

/** How many of the names each list entry alone targets, exclusions and layer filter included. */
export function countByEntry(
  entries: readonly string[],
  config: CommonConfig,
  names: readonly string[],
): Map<string, number> {
  const allowance = new Allowance();
  const excluded = excludedTest(config, allowance);
  const inLayers = layerTest(config, allowance);
  const counts = new Map(entries.map((entry) => [entry, 0]));
  for (const name of names) {
    const found = endings(name).filter((ending) => counts.has(ending));
    if (found.length === 0 || excluded(name)) continue;
    // The layer filter does not concern a full name.
    for (const entry of found)
      if (entry === name || inLayers(name)) counts.set(entry, counts.get(entry)! + 1);
  }
  return counts;
}

/** Whether a module or one that contains it is saved whole. Its name only has to end with an entry, dot or not. */
export function savedTest(entries: readonly string[]): Test {
  return (name) => {
    for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1)) {
      const path = name.slice(0, end);
      if (entries.some((entry) => path.endsWith(entry))) return true;
    }
    return false;
  };
}

function excludedTest(config: CommonConfig, allowance: Allowance): Test {
  const exclude = config.exclude_modules ?? [];
  const byName =
    typeof exclude === 'string' ? fullMatcher(exclude, 'exclude_modules', allowance) : suffixTest(exclude);
  const saved = savedEntries(config).map((entry) =>
    prefixMatcher(entry, 'modules_to_save', ['(^|.*\\.)', '($|\\..*)'], allowance),
  );
  return (name) => byName(name) || saved.some((test) => test(name));
}

/** The name, and what of it follows each of its dots. */
function endings(name: string): string[] {
  const found = [name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
    found.push(name.slice(dot + 1));
  return found;
}

function suffixTest(entries: readonly string[]): Test {
  const listed = new Set(entries);
  return (name) => endings(name).some((ending) => listed.has(ending));
}

function listTest(entries: readonly string[], inLayers: Test): Test {
  const exact = new Set(entries);
  const bySuffix = suffixTest(entries);
  return (name) => exact.has(name) || (bySuffix(name) && inLayers(name));
}

function layerTest(config: CommonConfig, allowance: Allowance): Test {
  const wanted = config.layers_to_transform ?? null;
  if (wanted === null || (Array.isArray(wanted) && wanted.length === 0)) return () => true;
  const indices = new Set(Array.isArray(wanted) ? wanted : [wanted]);
  const given = config.layers_pattern ?? [];
  const patterns = (typeof given === 'string' ? [given] : given).filter((pattern) => pattern !== '');
  const sources = patterns.length > 0 ? patterns : ['[^.]*'];
  const around = ['.*?\\.', '\\.(?P<layer_number>\\d+)\\.'] as const;
  const finders = sources.map((source) =>
    prefixGroup('layer_number', source, 'layers_pattern', around, allowance),
  );
  return (name) => {
    for (const finder of finders) {
      const found = finder(name);
      // A group that took no part has no number.
      if (found !== null) return indices.has(Number(found || Number.NaN));
    }
    return false;
  };
}

// Python's `re` for what people write in target_modules and rank_pattern. Expressions come with links and files, so every match has so many steps and no
// more, for one name and for all names together.

/** What several expressions may take together for the names they are asked about. */
class Allowance {
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
function prefixMatcher(
  pattern: string,
  where: string,
  [before, after]: readonly [string, string],
  allowance = new Allowance(),
): (text: string) => boolean {
  const known = compiled(pattern, where, before, after);
  return (text) => counted(known, text, false, pattern, where, allowance) !== null;
}

/** As {@link prefixMatcher}, but the text of a named group; null if it does not match. */
function prefixGroup(
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

const quoted = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);

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

// PEFT's per-module dictionaries: rank_pattern and alpha_pattern (LoRA's rule) and n_frequency_pattern (the older rule, whose
// differences are kept because files depend on them).

type Patterns = Readonly<Record<string, number>>;

/** What a dictionary says of a module; undefined where it says nothing. */
type Lookup = (name: string) => number | undefined;

/** Names that are asked about again and again, by dictionary. */
const lookups = { rank: new WeakMap<Patterns, Lookup>(), frequency: new WeakMap<Patterns, Lookup>() };

/** First key in order whose expression matches a whole dotted suffix of the name, or the name itself; else `initial`. */
export function lookupPattern(patterns: Patterns, name: string, initial: number): number {
  const where = say`rank_pattern and alpha_pattern`;
  return (
    keptLookup('rank', patterns, (key, allowance) =>
      isPlain(key)
        ? (text) => endsPlainly(text, key)
        : prefixMatcher(key, where, ['(.*\\.)?(', ')$'], allowance),
    )(name) ?? initial
  );
}

/**
 * FourierFT's rule: the first key whose `.*\.<key>$` matches from the start (no grouping, so alternatives and anchors act on the
 * halves), else the exact name, else `initial`.
 */
export function lookupFrequencyPattern(patterns: Patterns, name: string, initial: number): number {
  const found = keptLookup('frequency', patterns, (key, allowance) =>
    isPlain(key)
      ? (text) => text.length > key.length && endsPlainly(text, key)
      : prefixMatcher(key, 'n_frequency_pattern', ['.*\\.', '$'], allowance),
  )(name);
  return found ?? (Object.hasOwn(patterns, name) ? patterns[name]! : initial);
}

function keptLookup(
  rule: keyof typeof lookups,
  patterns: Patterns,
  testOf: (key: string, allowance: Allowance) => (name: string) => boolean,
): Lookup {
  const known = lookups[rule].get(patterns);
  if (known) return known;
  const allowance = new Allowance();
  // Each is read when its turn comes, as PEFT does: most names are settled by the first ones, or the steps are used up.
  const tests = Object.entries(patterns).map(([key, value]) => {
    let test: ((name: string) => boolean) | undefined;
    const asks = (name: string): boolean => {
      test ??= testOf(key, allowance);
      return test(name);
    };
    return [asks, value] as const;
  });
  const answers = new Map<string, number | undefined>();
  const lookup: Lookup = (name) => {
    if (!answers.has(name)) answers.set(name, tests.find(([test]) => test(name))?.[1]);
    return answers.get(name);
  };
  lookups[rule].set(patterns, lookup);
  return lookup;
}

/** Most keys are names, whose dots stand for any character. */
const isPlain = (key: string): boolean => /^[\w.-]+$/.test(key);

/** Whether a name is a plain key or ends with a dot and one. */
function endsPlainly(name: string, key: string): boolean {
  const start = name.length - key.length;
  if (start < 0 || (start > 0 && name[start - 1] !== '.')) return false;
  for (let k = 0; k < key.length; k++) if (key[k] !== '.' && key[k] !== name[start + k]) return false;
  return true;
}
