/**
 * PEFT's per-module dictionaries: rank_pattern and alpha_pattern (LoRA's rule) and n_frequency_pattern (the older rule, whose
 * differences are kept because files depend on them).
 */
import { Allowance, prefixMatcher } from './pythonRegex.ts';

type Patterns = Readonly<Record<string, number>>;

/** What a dictionary says of a module; undefined where it says nothing. */
type Lookup = (name: string) => number | undefined;

/** Names that are asked about again and again, by dictionary. */
const kept = { rank: new WeakMap<Patterns, Lookup>(), frequency: new WeakMap<Patterns, Lookup>() };

/** First key in order whose expression matches a whole dotted suffix of the name, or the name itself; else `initial`. */
export function lookupPattern(patterns: Patterns, name: string, initial: number): number {
  const where = 'rank_pattern and alpha_pattern';
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
  rule: keyof typeof kept,
  patterns: Patterns,
  testOf: (key: string, allowance: Allowance) => (name: string) => boolean,
): Lookup {
  const known = kept[rule].get(patterns);
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
  kept[rule].set(patterns, lookup);
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
