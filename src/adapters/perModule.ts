/**
 * PEFT's per-module dictionaries: rank_pattern and alpha_pattern (LoRA's rule) and n_frequency_pattern (the older rule, whose
 * differences are kept because files depend on them).
 */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { Allowance, prefixMatcher, quoted } from './expressions.ts';

type Patterns = Readonly<Record<string, number>>;

/** What a dictionary says of a module; undefined where it says nothing. */
type Lookup = (name: string) => number | undefined;

/** Names that are asked about again and again, by dictionary. */
const lookups = { rank: new WeakMap<Patterns, Lookup>(), frequency: new WeakMap<Patterns, Lookup>() };

/**
 * First key in order whose expression matches a whole dotted suffix of the name, or the name itself; else `initial`.
 * @throws PapilioError 'illegal-config' where that order is not known, see {@link requireOrder}
 */
export function lookupPattern(patterns: Patterns, name: string, initial: number): number {
  const where = say`rank_pattern and alpha_pattern`;
  return (
    keptLookup('rank', patterns, where, (key, allowance) =>
      isPlain(key)
        ? (text) => endsPlainly(text, key)
        : prefixMatcher(key, where, ['(.*\\.)?(', ')$'], allowance),
    )(name) ?? initial
  );
}

/**
 * FourierFT's rule: the first key whose `.*\.<key>$` matches from the start (no grouping, so alternatives and anchors act on the
 * halves), else the exact name, else `initial`.
 * @throws PapilioError 'illegal-config' where that order is not known, see {@link requireOrder}
 */
export function lookupFrequencyPattern(patterns: Patterns, name: string, initial: number): number {
  const where = 'n_frequency_pattern';
  const found = keptLookup('frequency', patterns, where, (key, allowance) =>
    isPlain(key)
      ? (text) => text.length > key.length && endsPlainly(text, key)
      : prefixMatcher(key, where, ['.*\\.', '$'], allowance),
  )(name);
  return found ?? (Object.hasOwn(patterns, name) ? patterns[name]! : initial);
}

/** A key of a dictionary. */
interface Entry {
  readonly key: string;
  readonly value: number;
  asks(name: string): boolean;
}

function keptLookup(
  rule: keyof typeof lookups,
  patterns: Patterns,
  where: string,
  testOf: (key: string, allowance: Allowance) => (name: string) => boolean,
): Lookup {
  const known = lookups[rule].get(patterns);
  if (known) return known;
  const allowance = new Allowance();
  // Each is read when its turn comes, as PEFT does: most names are settled by the first ones, or the steps are used up.
  const entries = Object.entries(patterns).map(([key, value]): Entry => {
    let test: ((name: string) => boolean) | undefined;
    return {
      key,
      value,
      asks(name) {
        test ??= testOf(key, allowance);
        return test(name);
      },
    };
  });
  const answers = new Map<string, number | undefined>();
  const lookup: Lookup = (name) => {
    if (!answers.has(name)) {
      const first = entries.find(({ asks }) => asks(name));
      if (first !== undefined && isWholeNumber(first.key)) requireOrder(first, entries, name, where);
      answers.set(name, first?.value);
    }
    return answers.get(name);
  };
  lookups[rule].set(patterns, lookup);
  return lookup;
}

/** Such keys come first in every JavaScript object, wherever they stand in the text that it is read from. */
export const isWholeNumber = (key: string): boolean => String(Number(key) >>> 0) === key;

/** Whether it makes no difference where a whole number stood among the keys. @throws PapilioError 'illegal-config' where it does */
function requireOrder(first: Entry, entries: readonly Entry[], name: string, where: string): void {
  const other = entries.find(({ key, asks }) => !isWholeNumber(key) && asks(name));
  if (other === undefined || other.value === first.value) return;
  const [key, otherKey] = [quoted(first.key), quoted(other.key)];
  fail(
    'illegal-config',
    say`${where}: ${key} and ${otherKey} both fit ${name}, and which of them comes first cannot be told, since a key that is a whole number loses its place; write ${quoted(`(${first.key})`)} for ${key}.`,
    { key: first.key, other: other.key },
  );
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
