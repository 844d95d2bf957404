/**
 * The small language that the grammars are written in. `[a|b|c]` picks one (nesting allowed, an empty choice too),
 * `{slot}` fills in, `{a slot}` puts "a" or "an" before it, `{Slot}` with a capital capitalises it.
 */
import type { Rng } from '../lib/rng.ts';

/** Words divided by commas. */
export const list = (text: string): readonly string[] => text.split(',').map((word) => word.trim());

export type Slots = Readonly<Record<string, string>>;

export const withArticle = (noun: string): string =>
  /^(?:[aeio]|u(?!ni|se))/i.test(noun) ? `an ${noun}` : `a ${noun}`;
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Expands one template; an unknown slot is a mistake in a grammar and throws. */
export function expand(template: string, slots: Slots, r: Rng): string {
  let text = template;
  // Innermost brackets first, so that choices nest.
  for (let before = ''; before !== text; ) {
    before = text;
    text = text.replace(/\[([^[\]]*)\]/g, (_, body: string) => r.pick(body.split('|')));
  }
  return text.replace(/\{(a |A )?(\w+)\}/g, (_, a: string | undefined, key: string) => {
    const exact = slots[key];
    const lower = exact ?? slots[key.charAt(0).toLowerCase() + key.slice(1)];
    if (lower === undefined) throw new Error(`grammar: no slot "${key}" in "${template}"`);
    const value = a ? withArticle(lower) : lower;
    return a === 'A ' || (!a && exact === undefined) ? capital(value) : value;
  });
}

/** Joins sentences with single spaces and capitalises what starts one (a `she asked` after a spoken question does not). */
export function paragraph(sentences: readonly string[]): string {
  return sentences
    .filter((s) => s !== '')
    .join(' ')
    .replace(/ {2,}/g, ' ')
    .replace(
      /((?:^|[.!?] |\." )"?)([a-z])/g,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    );
}
