/** Examples as they come from rows: framed by special tokens, cut to the longest length with a note; and which of them are held out. */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import { type Origin, originList } from './notes.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { Source } from './tokenRows.ts';
import type { SplitName } from './types.ts';

/** What every reader of rows is told. */
export interface RowOptions {
  readonly seed: number;
  /** Longer examples are cut, which is said. Default: none is. */
  readonly sequenceLength?: number;
}

/** Shorter texts are encoded whole. */
const LEAST_LETTERS = 65_536;
const LETTERS_PER_TOKEN = 16;
/** Tokens before a cut that may be others where the text goes on. */
const NEAR_CUT = 256;

/** The first tokens of a text, at least `most` where it has so many: of a book no more is encoded than that takes. */
export function firstTokens(
  tokenizer: Tokenizer,
  text: string,
  most: number,
): { readonly ids: readonly number[]; readonly isWhole: boolean } {
  for (let letters = Math.max(LEAST_LETTERS, most * LETTERS_PER_TOKEN); letters < text.length; letters *= 4) {
    const space = /\s\S*$/.exec(text.slice(letters - 1024, letters))?.index ?? 1024;
    // Not between the halves of a character.
    const start = text.slice(0, letters - 1024 + space).replace(/[\ud800-\udbff]$/, '');
    const ids = tokenizer.encode(start);
    if (ids.length >= most + NEAR_CUT) return { ids, isWhole: false };
  }
  return { ids: tokenizer.encode(text), isWhole: true };
}

/**
 * The tokens of a text, or of two that are read together, with the special tokens around them, at most `most` in all: the longer text loses its
 * end first.
 */
export function frame(
  tokenizer: Tokenizer,
  text: string,
  pair: string | undefined,
  most: number,
): { readonly ids: number[]; readonly segments: number[]; readonly isCut: boolean } {
  const { prefix, middle, suffix } = tokenizer;
  const { ids: first, isWhole } = firstTokens(tokenizer, text, most);
  const { ids: second, isWhole: isWholePair } =
    pair === undefined ? { ids: [], isWhole: true } : firstTokens(tokenizer, pair, most);
  const between = pair === undefined ? [] : middle;
  const room = Math.max(1, most - prefix.length - between.length - suffix.length);
  let [a, b] = [first.length, second.length];
  if (a + b > room) {
    const half = Math.floor(room / 2);
    if (b <= half) a = room - b;
    else if (a <= room - half) b = room - a;
    else [a, b] = [room - half, half];
  }
  const ids = [...prefix, ...first.slice(0, a), ...between, ...second.slice(0, b), ...suffix];
  // As in BERT: what ends the second text belongs to it.
  const secondAt = pair === undefined ? ids.length : prefix.length + a + between.length;
  return {
    ids,
    segments: ids.map((_, t) => (t >= secondAt ? 1 : 0)),
    isCut: !isWhole || !isWholePair || a + b < first.length + second.length,
  };
}

/** The sentence on examples that were cut. */
export function cutNote(cut: readonly Origin[], total: number, length: number): string[] {
  return cut.length === 0
    ? []
    : [
        say`${cut.length} of ${total} examples are longer than ${length} tokens and lose their end: ${originList(cut)}.`,
      ];
}

/**
 * What every dataset of tokens has: its rows split as their files say, else by seed. Throws 'bad-data' when nothing can be held.
 * @param classes of the rows, where they have any
 * @param part of the dataset that `members` names
 */
export function tokenDataset<P>(
  { name, tokenizer, seed }: { readonly name: string; readonly tokenizer: Tokenizer; readonly seed: number },
  rows: readonly Source[],
  classes: ArrayLike<number> | null,
  part: (members: Uint32Array) => P,
) {
  const { train, held } = chooseSplit(rows, classes, seed, name);
  const { pad: padId, vocabSize } = tokenizer;
  return { name, padId, vocabSize, train: part(train), held: part(held) };
}

// Which examples are held: a seeded draw per class, so that every class is in both splits where it has two examples.

/** The share of labelled examples that is held. */
const HELD_EXAMPLES_SHARE = 0.15;

export interface Split {
  readonly train: Uint32Array;
  readonly held: Uint32Array;
}

/** Splits examples by their class numbers; pure in (labels, seed, share). */
export function stratifiedSplit(labels: ArrayLike<number>, seed: number, share = HELD_EXAMPLES_SHARE): Split {
  const byClass = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const known = byClass.get(labels[i]!);
    if (known) known.push(i);
    else byClass.set(labels[i]!, [i]);
  }
  const train: number[] = [];
  const held: number[] = [];
  for (const [label, members] of [...byClass].sort(([a], [b]) => a - b)) {
    rng(seed, 0x5b117).fork(label).shuffle(members);
    const count =
      members.length < 2 ? 0 : Math.min(members.length - 1, Math.max(1, Math.round(members.length * share)));
    members.forEach((member, i) => {
      (i < count ? held : train).push(member);
    });
  }
  return { train: Uint32Array.from(train).sort(), held: Uint32Array.from(held).sort() };
}

/**
 * The split that the files state, where some examples are held by it and others are not (those that say nothing are learnt from); else a draw by
 * seed, per class where there are classes. Throws 'bad-data' when nothing can be held.
 */
export function chooseSplit(
  rows: readonly { readonly split?: SplitName | undefined }[],
  labels: ArrayLike<number> | null,
  seed: number,
  name: string,
): Split {
  const given = (isHeld: boolean) =>
    Uint32Array.from(rows.flatMap((row, i) => ((row.split === 'held') === isHeld ? [i] : [])));
  const split = { train: given(false), held: given(true) };
  if (split.train.length > 0 && split.held.length > 0) return split;
  return requireHeld(stratifiedSplit(labels ?? new Uint8Array(rows.length), seed), name);
}

/**
 * The class names in order: the model's own where every found name is one of them, else numbers by size and the rest
 * by alphabet. Throws 'bad-data' when there is only one class.
 */
export function orderLabels(found: Iterable<string>, name: string, known?: readonly string[]): string[] {
  const names = [...new Set(found)];
  if (names.length < 2)
    fail('bad-data', say`${name} has only one class ("${names[0] ?? ''}"); a classifier needs at least two.`);
  if (known && names.every((label) => known.includes(label))) return [...known];
  const numeric = names.every((label) => label.trim() !== '' && Number.isFinite(Number(label)));
  return names.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : a > b ? 1 : 0));
}

/** Throws 'bad-data' unless something is left to measure on. */
export function requireHeld(split: Split, name: string): Split {
  if (split.held.length === 0)
    fail(
      'bad-data',
      say`${name} has one example per class, so none can be held for measuring; add at least one more.`,
    );
  return split;
}
