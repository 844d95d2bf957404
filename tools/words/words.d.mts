export interface Said {
  /** "Layer {0} has {1} rows" */
  readonly phrase: string;
  /** "src/page/App.tsx:12" */
  readonly at: string;
  /** Whether it is made when it is needed. */
  readonly isLate: boolean;
}
export const LANGUAGES: string;
export function phrasesIn(path: string, text: string): Said[];
/** Words of a file that are not said: "src/page/App.tsx:12: What to see". */
export function unsaidIn(path: string, text: string): string[];
/** Where a space is written after a sentence. */
export function gluedIn(path: string, text: string): string[];
export function allPhrases(): Said[];
/** A sentence of a language, or its forms by a number. */
type Translation = string | Readonly<Record<string, string>>;
/** @param folder {@link LANGUAGES} unless given */
export function allLanguages(
  folder?: string,
): [name: string, phrases: Readonly<Record<string, Translation>>][];
/** Its texts: one, or one for each form. */
export function textsOf(translation: Translation): string[];
/** What is wrong with a sentence of a language, or null. @param locale as the file is named */
export function problemOf(phrase: string, translation: Translation, locale: string): string | null;
