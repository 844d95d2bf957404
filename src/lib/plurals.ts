/** Sentences that differ by a number, and numbers as a language writes them. A language with more forms than English has names the one by CLDR's categories. */

/**
 * A sentence in as many forms as its language has for a number: `of` is the number of the value that decides, and each other name is a category of
 * `Intl.PluralRules`: {"of": "0", "one": "{0} plik", "few": "{0} pliki", "many": "{0} plików", "other": "{0} pliku"}.
 */
export type Forms = Readonly<Record<string, string>> & { readonly of: string; readonly other: string };

/** The sign between whole and parts: 0.5 or 0,5. */
export const pointOf = (locale: string): string =>
  new Intl.NumberFormat(locale).formatToParts(0.5).find(({ type }) => type === 'decimal')?.value ?? '.';

/** The number that a text has, as a language writes it: 1.234,5 is 1234.5 in German. NaN where it has none. */
export function numberOf(text: string, point: string): number {
  const [digits] = /-?\d[\d\s.,'’]*/.exec(text.replace('−', '-')) ?? [];
  if (digits === undefined) return Number.NaN;
  const [whole, ...parts] = digits.split(point);
  return Number(`${whole!.replaceAll(/[^\d-]/g, '')}.${parts.join('').replaceAll(/\D/g, '') || '0'}`);
}

/** The form that belongs to a value. */
export function formOf(forms: Forms, value: unknown, rules: Intl.PluralRules, point: string): string {
  const number = typeof value === 'number' ? value : numberOf(String(value), point);
  return forms[Number.isNaN(number) ? 'other' : rules.select(number)] ?? forms.other;
}
