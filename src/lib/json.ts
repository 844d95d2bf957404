/** JSON from elsewhere: its text read with a bound on its depth, and its values as words and numbers, whatever they are. */
import { type Budget, createBudget } from './budget.ts';
import { fail, passOn } from './errors.ts';
import { say } from './say.ts';

/** Nobody writes deeper; what walks a value would run out of stack. */
const DEEPEST = 500;

/** What values take in memory, about: an object, a list, an entry of either, a place for a key that other objects share, a key of its own, a text. */
const [OBJECT, LIST, ENTRY, PLACE, KEY, TEXT] = [56, 48, 8, 8, 100, 24];

/** An object with more keys is a table of its own, and so is one whose keys are numbers. */
const MOST_IN_SHAPE = 100;
/** Shapes that are looked for; each further one counts as new. */
const MOST_SHAPES = 2 ** 16;

/** Of the hashes; drawn anew in each process, so that nobody can write keys that pass for one another. */
const MULTIPLIER = Math.floor(Math.random() * 2 ** 31) * 2 + 1;

/**
 * What the keys of a text's objects take. Objects with the same keys in the same order share them, as engines do: the hash of all keys of an
 * object so far tells whether there was one like it.
 */
class KeyCosts {
  private readonly shapes = new Set<number>();
  /** By depth, the hash of the keys so far. */
  private readonly ends: number[] = [];
  private readonly counts: number[] = [];

  enter(depth: number): void {
    this.ends[depth] = 0;
    this.counts[depth] = 0;
  }

  /** @param text what a key takes as a text of its own, which is given back where it is none */
  of(depth: number, key: number, isNumber: boolean, text: number): number {
    const end = Math.imul(this.ends[depth]! ^ key, MULTIPLIER) + 1;
    this.ends[depth] = end;
    if (isNumber || ++this.counts[depth]! > MOST_IN_SHAPE) return KEY;
    if (this.shapes.has(end)) return PLACE - text;
    if (this.shapes.size < MOST_SHAPES) this.shapes.add(end);
    return KEY;
  }
}

/**
 * Goes through a text before anything is made of it.
 *
 * @returns about how many bytes its values will take
 * @throws SyntaxError for text that is nested more deeply than {@link DEEPEST}
 */
function costOf(text: string): number {
  let depth = 0;
  let cost = 0;
  const keys = new KeyCosts();
  let [word, length, isNumber] = [0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      const from = at + 1;
      word = 0;
      // To the end of the string; what is broken is JSON.parse's to say.
      for (at++; at < text.length; at++) {
        const letter = text.charCodeAt(at);
        if (letter === 0x22) break;
        if (letter === 0x5c) at++;
        word = Math.imul(word ^ letter, MULTIPLIER);
      }
      length = TEXT + at - from;
      isNumber = text.charCodeAt(from) <= 0x39;
      cost += length;
    } else if (code === 0x2c) cost += ENTRY;
    else if (code === 0x3a) cost += keys.of(depth, word, isNumber, length);
    else if (code === 0x5b || code === 0x7b) {
      cost += code === 0x5b ? LIST : OBJECT;
      if (++depth > DEEPEST) throw new SyntaxError(`it is nested more than ${DEEPEST} deep`);
      keys.enter(depth);
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
  what = say`A JSON text`,
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
    say`${name} is no JSON object; take it anew from where the model came from, or leave it out.`,
  );
}

/** A value of JSON as words: an object may bring a `toString` that is no function. */
export const plainWords = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

/** A number, or the text of one; NaN for anything else. */
export const numberFrom = (value: unknown): number =>
  typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN;
