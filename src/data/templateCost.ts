/**
 * What rendering a chat template may cost. Templates come with models from anywhere, and Jinja can loop, call itself and make texts that grow with
 * every step: steps and sizes are counted before the work is done.
 */
import { BOUNDS, type BoundName } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';

/** A value of the interpreter, as far as its size goes. */
interface Sized {
  readonly type: string;
  readonly value: unknown;
}

/** Letters of a template and of the longest stretch of blanks in it; the library's time grows with their product. */
const MOST_LETTERS = 2 ** 18;
const MOST_BLANKS = 2_000;

/** Calls inside calls: the interpreter's own stack holds several times as many. */
const MOST_NESTED = 300;

/** Letters that weigh as much as a number. */
const LETTERS = 16;

const { most, advice } = BOUNDS.renderingSteps;

/**
 * Steps that the dataset's budget grows by with every rendering: for itself, and for each letter that it is given. Templates of published models
 * take 60 to 250 for two short messages, and a quarter to two for each letter.
 */
const [EACH_RENDERING, EACH_LETTER] = [400, 4];

/** What all conversations of a dataset may take together. */
export interface DatasetCost {
  left: number;
}

export const datasetCost = (): DatasetCost => ({ left: BOUNDS.datasetRendering.most });

const refuse = (why: string, bound: BoundName = 'renderingSteps'): never =>
  fail('too-large', `The model's chat template ${why}; ${advice}.`, { bound });

/** @throws PapilioError 'too-large' for a template that cannot even be read in reasonable time */
export function refuseLongTemplate(source: string): void {
  if (source.length > MOST_LETTERS)
    refuse(
      `has ${source.length.toLocaleString('en-GB')} letters, and the most is ${MOST_LETTERS.toLocaleString('en-GB')}`,
    );
  let blanks = 0;
  for (let at = 0; at < source.length; at++) {
    blanks = source[at]!.trim() === '' ? blanks + 1 : 0;
    if (blanks > MOST_BLANKS) refuse(`has more than ${MOST_BLANKS.toLocaleString('en-GB')} blanks in a row`);
  }
}

/** Counts what the renderings of one conversation take together. */
export class TemplateCost {
  #left = most;
  #longest = 2 ** 20;
  #depth = 0;
  /** Met so far. */
  #namespaces = 0;
  readonly #weights = new WeakMap<object, number>();
  readonly #all: DatasetCost;

  /** @param all what the dataset has left; nothing beside the conversation where it is none of a dataset */
  constructor(all: DatasetCost = { left: Number.POSITIVE_INFINITY }) {
    this.#all = all;
  }

  /** Another rendering, of messages with so many letters. */
  begin(letters: number): void {
    this.#left += 20_000 + 20 * letters;
    this.#all.left += EACH_RENDERING + EACH_LETTER * letters;
    this.#longest = Math.max(this.#longest, 16 * letters);
    this.#depth = 0;
  }

  /** @throws PapilioError 'too-large' */
  take(steps: number): void {
    // Written so that NaN is too much.
    if (!(steps <= this.#left)) refuse('takes too many steps to render a conversation');
    if (!(steps <= this.#all.left))
      refuse('takes too many steps to render the conversations of the dataset', 'datasetRendering');
    this.#left -= steps;
    this.#all.left -= steps;
  }

  /** A text that is about to be made. @throws PapilioError 'too-large' */
  allow(letters: number): void {
    if (!(letters <= this.#longest)) refuse('makes texts that are far longer than the conversation');
    this.take(letters / LETTERS);
  }

  /** One step into a node of the template and out again. */
  nested<T>(evaluate: () => T): T {
    this.take(1);
    if (++this.#depth > MOST_NESTED) refuse('calls itself too often');
    try {
      return evaluate();
    } finally {
      this.#depth--;
    }
  }

  /** Charges for a value that a step gave: the next one may compare it, print it or go through it. */
  charge(value: Sized): void {
    if (typeof value.value === 'string') {
      if (value.value.length > this.#longest) this.allow(value.value.length);
      this.take(value.value.length / (4 * LETTERS));
    } else if (typeof value.value === 'object' && value.value !== null) this.take(this.#weigh(value, 0) / 8);
  }

  /** Letters that a value has once it is printed, at most; a list that is in another twice counts twice. */
  printed(value: Sized): number {
    return LETTERS * this.#weigh(value, 0);
  }

  #weigh(value: Sized, depth: number): number {
    const { value: inner } = value;
    if (typeof inner === 'string') return 1 + inner.length / LETTERS;
    if (typeof inner !== 'object' || inner === null) return 1;
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    if (depth > MOST_NESTED) refuse('nests lists in lists without end');
    // A namespace is changed in place, and with it whatever holds it: what it weighs is not kept.
    const namespaces = this.#namespaces;
    if (value.type === 'NamespaceValue') this.#namespaces++;
    let weight = 1;
    const items: Iterable<unknown> = Array.isArray(inner)
      ? inner
      : inner instanceof Map
        ? inner.values()
        : [];
    for (const item of items) {
      weight += this.#weigh(item as Sized, depth + 1);
      if (weight > this.#left) refuse('makes lists that are far longer than the conversation');
    }
    if (inner instanceof Map) for (const key of inner.keys()) weight += String(key).length / LETTERS;
    if (this.#namespaces === namespaces) this.#weights.set(value, weight);
    return weight;
  }
}
