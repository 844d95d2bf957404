/**
 * PEFT's per-module dictionaries: rank_pattern and alpha_pattern (LoRA's rule) and n_frequency_pattern (the older rule, whose
 * differences are kept because files depend on them).
 */
import { prefixMatcher } from './pythonRegex.ts';

/** First key in order whose expression matches a whole dotted suffix of the name, or the name itself; else `initial`. */
export function lookupPattern(
  pattern: Readonly<Record<string, number>>,
  name: string,
  initial: number,
): number {
  for (const [key, value] of Object.entries(pattern)) {
    if (prefixMatcher(`(${key})`, 'rank_pattern and alpha_pattern', '(.*\\.)?', '$')(name)) return value;
  }
  return initial;
}

/**
 * FourierFT's rule: the first key whose `.*\.<key>$` matches from the start (no grouping, so alternatives and anchors act on the
 * halves), else the exact name, else `initial`.
 */
export function lookupFrequencyPattern(
  pattern: Readonly<Record<string, number>>,
  name: string,
  initial: number,
): number {
  for (const [key, value] of Object.entries(pattern)) {
    if (prefixMatcher(key, 'n_frequency_pattern', '.*\\.', '$')(name)) return value;
  }
  return Object.hasOwn(pattern, name) ? pattern[name]! : initial;
}
