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
export function allLanguages(): [name: string, phrases: Readonly<Record<string, string>>][];
export function holesOf(phrase: string): string;
