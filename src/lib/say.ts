/**
 * Sentences in the reader's language. English stands in the code, where it is read: say`Layer ${name} has ${n} rows`. Another language is one table
 * from the English sentence with its values numbered, "Layer {0} has {1} rows", to its own; what a table lacks is said in English. Sentences are made
 * when they are needed, never once and for all when a file is loaded: the language may change.
 */

import { type Forms, formOf, pointOf } from './plurals.ts';

/** From English sentences to those of a language, or to their forms by a number; {0}, {1} … stand for the values, in any order. */
export type Phrases = Readonly<Record<string, string | Forms>>;

export interface Language {
  /** As BCP 47 has it: of numbers, dates and the page. */
  readonly locale: string;
  readonly phrases: Phrases;
}

const ENGLISH: Language = { locale: 'en-GB', phrases: {} };
let current = ENGLISH;
/** Sentences as they have been cut in this language, by their place in the code; those in several forms are cut each time. */
let cut = new WeakMap<readonly string[], readonly string[]>();
let group = new Intl.NumberFormat(ENGLISH.locale, { maximumFractionDigits: 0 });
let rules = new Intl.PluralRules(ENGLISH.locale);
let point = pointOf(ENGLISH.locale);
const listeners = new Set<(language: Language) => void>();

/** The language that is spoken now. */
export const language = (): Language => current;

function take(next: Language): void {
  current = next;
  cut = new WeakMap();
  group = new Intl.NumberFormat(next.locale, { maximumFractionDigits: 0 });
  rules = new Intl.PluralRules(next.locale);
  point = pointOf(next.locale);
}

/** Speaks another language from now on, English without one. */
export function speak(next: Language = ENGLISH): void {
  take(next);
  for (const listener of listeners) listener(next);
}

/** Hears of every change of language. @returns what ends that */
export function onLanguage(listener: (language: Language) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Has something made in English, whatever is spoken: files that others read are in English. Nothing in it may wait, since the language is everyone's.
 */
export function inEnglish<T>(make: () => T): T {
  const spoken = current;
  if (spoken === ENGLISH) return make();
  take(ENGLISH);
  try {
    return make();
  } finally {
    take(spoken);
  }
}

/** An English sentence as tables have it: "Layer {0} has {1} rows". */
const phraseOf = (parts: readonly string[]): string =>
  parts.reduce((text, part, i) => `${text}{${i - 1}}${part}`);

/** A sentence cut at its values: texts, and between them the number of a value. */
const piecesOf = (phrase: string): string[] => phrase.split(/\{(\d+)\}/);

function cutIn(parts: readonly string[], values: readonly unknown[]): readonly string[] {
  const english = phraseOf(parts);
  const own = Object.hasOwn(current.phrases, english) ? current.phrases[english] : '';
  if (typeof own === 'object') return piecesOf(formOf(own, values[Number(own.of)], rules, point) || english);
  const pieces = piecesOf(own || english);
  cut.set(parts, pieces);
  return pieces;
}

/** A sentence in the language spoken, as texts and values in its order. */
export const pieces = <T>(parts: readonly string[], values: readonly T[]): (string | T)[] =>
  (cut.get(parts) ?? cutIn(parts, values)).map((piece, i) =>
    i % 2 === 0 ? piece : asWritten(values[Number(piece)]!),
  );

/** Digits with a point as the language writes it: 0,5. What others read, CSS and code keep the point. */
export const local = (digits: string): string => (point === '.' ? digits : digits.replace('.', point));

/** So many places behind the point. */
export const fixed = (value: number, places: number): string => local(value.toFixed(places));

/** A number that nobody has written yet. */
const asWritten = <T>(value: T): T | string =>
  typeof value === 'number' && !Number.isInteger(value) ? local(String(value)) : value;

/** More of what was said is not remembered. */
const MOST_REMEMBERED = 4000;
/** How what was said is said again, in the language that is spoken then; the newest last. Null where nobody asks for it. */
let memory: Map<string, () => string> | null = null;

/** From now on {@link allAgain} and {@link englishOf} know what was said here. A worker's sentences are few; the page draws thousands. */
export function rememberSaid(): void {
  memory ??= new Map();
}

/** All that was said here and is remembered, and what it is in the language that is spoken now, where that differs. */
export function allAgain(): [said: string, now: string][] {
  return [...(memory ?? [])].flatMap(([said, again]): [string, string][] => {
    const now = again();
    return now === said ? [] : [[said, now]];
  });
}

/** What was said here, in English, as files for others have it; itself, where that is no longer known. */
export const englishOf = (said: string): string => inEnglish(() => memory?.get(said)?.() ?? said);

/**
 * @param values what it was made of, sentences among them
 * @param again makes it of the same values, said anew
 */
function remembered<T>(said: string, values: readonly T[], again: (values: readonly T[]) => string): string {
  // What is only passed on is known already.
  if (memory === null || values.some((value) => value === (said as unknown))) return said;
  const own = values.map((value) => (typeof value === 'string' ? memory?.get(value) : undefined));
  memory.delete(said);
  if (memory.size >= MOST_REMEMBERED) memory.delete(memory.keys().next().value!);
  memory.set(said, () => again(values.map((value, i) => (own[i]?.() as T | undefined) ?? value)));
  return said;
}

/** A sentence in the language spoken. Values are put in as they are: numbers are written by whoever knows their unit, shapes as 2,3. */
export const say = (
  parts: TemplateStringsArray,
  ...values: readonly (string | number | readonly number[])[]
): string => remembered(pieces(parts, values).join(''), values, (anew) => say(parts, ...anew));

/** "a, b or c" */
export const anyOf = (items: readonly string[]): string =>
  remembered(listed(items, 'disjunction'), items, anyOf);

/** "a, b and c" */
export const listOf = (items: readonly string[]): string =>
  remembered(listed(items, 'conjunction'), items, listOf);

/** Between the last "and" or "or" of a list in Chinese and what is written in Latin letters: there a space belongs. */
const BESIDE_LATIN = /(?<=[\w%°)])(?=[和或])|(?<=[和或])(?=[\w(])/g;

const listed = (items: readonly string[], type: 'conjunction' | 'disjunction'): string =>
  new Intl.ListFormat(current.locale, { type }).format(items).replaceAll(BESIDE_LATIN, ' ');

/** Whether signs of punctuation are as wide as characters, and no space stands beside them: in Chinese and Japanese. */
const isWide = (): boolean => /^(zh|ja)\b/.test(current.locale);

/** What stands between two sentences: nothing in Chinese and Japanese. */
export const gap = (): string => (isWide() ? '' : ' ');

/** "12 prompt tokens, 40 new": things beside each other that no word joins. */
export const facts = (items: readonly string[]): string =>
  remembered(items.join(isWide() ? '，' : ', '), items, facts);

/** Whole sentences one after the other. */
export const paragraph = (sentences: readonly string[]): string =>
  remembered(sentences.join(gap()), sentences, paragraph);

/** A sentence as part of another: without its full stop. */
export const clause = (sentence: string): string =>
  remembered(sentence.replace(/[.。]$/, ''), [sentence], ([anew]) => clause(anew!));

/** 1,234 */
export const whole = (n: number): string => group.format(n);
