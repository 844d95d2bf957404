/** Labelled texts for a classifier, texts with a number to be predicted, and words with tags, split by seed. */
import { fail } from '../lib/errors.ts';
import { greatest, least } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import { type Origin, originList } from './notes.ts';
import { cutNote, firstTokens, frame, orderLabels, type RowOptions, tokenDataset } from './rows.ts';
import type { Tokenizer } from './tokenizer.ts';
import { type Source, TokenRows } from './tokenRows.ts';
import type { RowSplit, TextClassDataset, TextValueDataset, TokenClassDataset } from './types.ts';

export interface TextRow extends Source {
  readonly text: string;
  /** A second text that is read together with the first. */
  readonly pair?: string;
}

export interface ClassRow extends TextRow {
  readonly label: string;
}

export interface ValueRow extends TextRow {
  readonly value: number;
}

/** The rows as tokens, with the segment of each; those that were cut are noted. */
function tokenise(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  options: RowOptions,
  notes: string[],
): (members: Uint32Array) => RowSplit {
  const most = options.sequenceLength ?? Number.POSITIVE_INFINITY;
  const cut: Origin[] = [];
  const examples = new TokenRows((length) => new Int32Array(length));
  let hasPairs = false;
  for (const row of rows) {
    const { ids, segments, isCut } = frame(tokenizer, row.text, row.pair, most);
    if (isCut) cut.push(row.origin);
    if (row.pair !== undefined) hasPairs = true;
    examples.add(row, ids, segments);
  }
  notes.push(...cutNote(cut, rows.length, most));
  return (members) => {
    const { marks: segments, ...split } = examples.part(members);
    return hasPairs ? { ...split, segments } : split;
  };
}

/** Rows of text and label → a dataset. Throws 'bad-data' for one class or nothing to hold. */
export function textClassDataset(
  name: string,
  rows: readonly ClassRow[],
  tokenizer: Tokenizer,
  options: RowOptions & { readonly labels?: readonly string[] },
  notes: string[] = [],
): TextClassDataset {
  const labels = orderLabels(
    rows.map((row) => row.label),
    name,
    options.labels,
  );
  const numberOf = new Map(labels.map((label, i) => [label, i]));
  const numbers = Int32Array.from(rows, (row) => numberOf.get(row.label)!);
  const textSplit = tokenise(rows, tokenizer, options, notes);
  const part = (members: Uint32Array) => ({
    ...textSplit(members),
    label: (i: number) => numbers[members[i]!]!,
  });
  const base = tokenDataset({ name, tokenizer, seed: options.seed }, rows, numbers, part);
  return { kind: 'text-class', labels, ...base };
}

/** Numbers further from 0 than this train badly at usual learning rates. */
const LARGE = 100;

/** Rows of text and number → a dataset. Throws 'bad-data' when there is nothing to hold. */
export function textValueDataset(
  name: string,
  rows: readonly ValueRow[],
  tokenizer: Tokenizer,
  options: RowOptions,
  notes: string[] = [],
): TextValueDataset {
  const textSplit = tokenise(rows, tokenizer, options, notes);
  const values = rows.map((row) => row.value);
  const [low, high] = [least(values), greatest(values)];
  notes.push(
    Math.max(-low, high) > LARGE
      ? say`The numbers lie between ${low} and ${high}. They are large for a model: divide them, so that they lie around 1.`
      : say`The numbers lie between ${low} and ${high}.`,
  );
  const part = (members: Uint32Array) => ({
    ...textSplit(members),
    value: (i: number) => values[members[i]!]!,
  });
  return { kind: 'text-value', ...tokenDataset({ name, tokenizer, seed: options.seed }, rows, null, part) };
}

// Words with a class each: every word is encoded by itself as it stands inside the sentence, its first token bears the class and the others
// none, as Hugging Face's token classification does it.

/** Of a tagged text, so many different words are encoded once. */
const MOST_KNOWN_WORDS = 20_000;

/** PyTorch's ignore_index. */
const NONE = -100;

export interface TaggedRow extends Source {
  readonly words: readonly string[];
  /** One per word. */
  readonly tags: readonly string[];
}

/** Rows of words and tags → a dataset. Throws 'bad-data' for a single tag or nothing to hold. */
export function tokenClassDataset(
  name: string,
  rows: readonly TaggedRow[],
  tokenizer: Tokenizer,
  options: RowOptions & { readonly labels?: readonly string[] },
  notes: string[] = [],
): TokenClassDataset {
  const found = [...new Set(rows.flatMap((row) => row.tags))].sort();
  if (found.length < 2)
    fail('bad-data', say`${name} has only one tag ("${found[0] ?? ''}"); a tagger needs at least two.`);
  const known = options.labels;
  const labels = known && found.every((tag) => known.includes(tag)) ? [...known] : found;
  const numberOf = new Map(labels.map((label, i) => [label, i]));
  const most = options.sequenceLength ?? Number.POSITIVE_INFINITY;
  const cut: Origin[] = [];
  const lost: Origin[] = [];
  // Words come again and again.
  const encoded = new Map<string, readonly number[]>();
  const idsOf = (word: string): readonly number[] => {
    let ids = encoded.get(word);
    if (ids === undefined) {
      ids = firstTokens(tokenizer, word, most).ids;
      if (encoded.size < MOST_KNOWN_WORDS) encoded.set(word, ids);
    }
    return ids;
  };
  const examples = new TokenRows((length) => new Int32Array(length));
  for (const row of rows) {
    const { prefix, suffix } = tokenizer;
    const ids: number[] = [...prefix];
    const marks: number[] = prefix.map(() => NONE);
    const room = Math.max(prefix.length + 1, most - suffix.length);
    let isCut = false;
    let hasLost = false;
    row.words.forEach((word, k) => {
      const own = idsOf(k > 0 && tokenizer.spaced ? ` ${word}` : word);
      if (own.length === 0) hasLost = true;
      if (ids.length + own.length > room) isCut = true;
      if (isCut) return;
      own.forEach((id, j) => {
        ids.push(id);
        marks.push(j === 0 ? numberOf.get(row.tags[k]!)! : NONE);
      });
    });
    if (isCut) cut.push(row.origin);
    if (hasLost) lost.push(row.origin);
    for (const id of suffix) {
      ids.push(id);
      marks.push(NONE);
    }
    examples.add(row, ids, marks);
  }
  notes.push(...cutNote(cut, rows.length, most));
  if (lost.length > 0)
    notes.push(say`Words for which the tokenizer has no token do not count: ${originList(lost)}.`);
  const part = (members: Uint32Array) => {
    const { marks: labels, ...base } = examples.part(members);
    return { ...base, labels };
  };
  const base = tokenDataset({ name, tokenizer, seed: options.seed }, rows, null, part);
  return { kind: 'token-class', labels, ...base };
}
