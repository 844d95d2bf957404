/** JSON from elsewhere: its text read with a bound on its depth, and its values as words and numbers, whatever they are. */
import { type Budget, createBudget } from './budget.ts';
import { fail, passOn } from './errors.ts';

/** Nobody writes deeper; what walks a value would run out of stack. */
const DEEPEST = 500;

/** What values take in memory, about: an object, a list, an entry of either, a key of an object with many, a text. */
const [OBJECT, LIST, ENTRY, KEY, TEXT] = [56, 48, 8, 80, 24];

/**
 * Goes through a text before anything is made of it.
 *
 * @returns about how many bytes its values will take
 * @throws SyntaxError for text that is nested more deeply than {@link DEEPEST}
 */
function costOf(text: string): number {
  let depth = 0;
  let cost = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      const from = at;
      // To the end of the string; what is broken is JSON.parse's to say.
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++)
        if (text.charCodeAt(at) === 0x5c) at++;
      cost += TEXT + at - from;
    } else if (code === 0x2c) cost += ENTRY;
    else if (code === 0x3a) cost += KEY;
    else if (code === 0x5b || code === 0x7b) {
      cost += code === 0x5b ? LIST : OBJECT;
      if (++depth > DEEPEST) throw new SyntaxError(`it is nested more than ${DEEPEST} deep`);
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return cost;
}

/** What JSON texts of one file take together. */
export const jsonBudget = (bytes: number): Budget => createBudget('jsonBytes', bytes);

/**
 * Counts what the values of a JSON text would take, before who parses it makes them.
 * @throws SyntaxError for text that is nested too deeply to be walked; PapilioError 'too-large' for one with too many values
 */
export const countJson = (text: string, what: string, budget: Budget = jsonBudget(text.length)): void =>
  budget.take(costOf(text), what);

/**
 * The value of a JSON text.
 * @param what it is, as a sentence's subject
 * @param budget of the file it is a part of; unless given, the text is counted alone
 * @throws SyntaxError for text that is none, or is nested too deeply to be walked; PapilioError 'too-large' for one with too many values
 */
export function jsonOf(
  text: string,
  what = 'A JSON text',
  budget: Budget = jsonBudget(text.length),
): unknown {
  countJson(text, what, budget);
  return JSON.parse(text) as unknown;
}

/**
 * The settings in a small file beside a model.
 * @throws PapilioError 'malformed-file' for text that is no JSON object; 'too-large'
 */
export function settingsIn(text: string, name: string): Record<string, unknown> {
  try {
    const value = jsonOf(text, name, createBudget('settingsBytes', text.length));
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    passOn(cause);
  }
  return fail(
    'malformed-file',
    `${name} is no JSON object; take it anew from where the model came from, or leave it out.`,
  );
}

/** A value of JSON as words: an object may bring a `toString` that is no function. */
export const plainWords = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

/** A number, or the text of one; NaN for anything else. */
export const numberFrom = (value: unknown): number =>
  typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
