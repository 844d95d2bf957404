/** The page's language: chosen by hand, else by the browser. English is in the code; another language is one file of src/languages, fetched when wanted. */
import { type Language, language, say, speak } from '../common.ts';

const KEY = 'papilio-language';
const ENGLISH = 'en-GB';
const FILES = import.meta.glob<Language['phrases']>('../languages/*.json', { import: 'default' });
const fileOf = (locale: string): string => `../languages/${locale}.json`;

/** What can be chosen, as BCP 47 has it. */
export const LOCALES: readonly string[] = [
  ENGLISH,
  ...Object.keys(FILES).map((path) => path.slice(fileOf('').indexOf('.json'), -'.json'.length)),
];

/** A language by its own name: 简体中文. */
export const ownName = (locale: string): string =>
  new Intl.DisplayNames(locale, { type: 'language' }).of(locale) ?? locale;

/** The first of the browser's languages that there is, in whatever script or country. */
export function suited(wanted: readonly string[], locales: readonly string[] = LOCALES): string {
  const tongue = (locale: string) => locale.toLowerCase().split('-')[0];
  const found = wanted.map((one) => locales.find((locale) => tongue(locale) === tongue(one)));
  return found.find((locale) => locale !== undefined) ?? ENGLISH;
}

function kept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Which way a language is written. */
export const directionOf = (locale: string): 'ltr' | 'rtl' =>
  /^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/i.test(locale) ? 'rtl' : 'ltr';

async function begin(locale: string): Promise<void> {
  if (locale === ENGLISH) speak();
  else speak({ locale, phrases: await FILES[fileOf(locale)]!() });
  document.documentElement.lang = locale;
  document.documentElement.dir = directionOf(locale);
}

/** The language to begin with. Nothing is waited for where it is English; what cannot be fetched leaves the page in English. */
export function startLanguage(): Promise<void> | undefined {
  const choice = kept();
  const locale = choice !== null && LOCALES.includes(choice) ? choice : suited(navigator.languages);
  return locale === ENGLISH ? undefined : begin(locale).catch(() => undefined);
}

/** Speaks another language from now on, and at the next visit. @returns what went wrong */
export async function chooseLanguage(locale: string): Promise<string | null> {
  if (locale === language().locale) return null;
  try {
    await begin(locale);
  } catch {
    return say`${ownName(locale)} could not be fetched. Nothing has changed; try again with a network.`;
  }
  try {
    localStorage.setItem(KEY, locale);
  } catch {
    // A browser that keeps nothing still speaks it.
  }
  return null;
}
