/**
 * Words with a class each: every word is encoded by itself as it stands inside the sentence, its first token bears the class and the others
 * none, as Hugging Face's token classification does it.
 */
import { fail } from '../lib/errors.ts';
import { type Origin, originList } from './notes.ts';
import { cutNote, type RowOptions, rowSplit, type Source } from './rows.ts';
import { chooseSplit } from './split.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { TokenClassDataset } from './types.ts';

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
    fail('bad-data', `${name} has only one tag ("${found[0] ?? ''}"); a tagger needs at least two.`);
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
      ids = tokenizer.encode(word);
      if (encoded.size < MOST_KNOWN_WORDS) encoded.set(word, ids);
    }
    return ids;
  };
  const examples = rows.map((row) => {
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
    return { ...row, ids: Int32Array.from(ids), marks: Int32Array.from(marks) };
  });
  notes.push(...cutNote(cut, rows.length, most));
  if (lost.length > 0)
    notes.push(`Words for which the tokenizer has no token do not count: ${originList(lost)}.`);
  const split = chooseSplit(
    rows.map((row) => row.split),
    null,
    options.seed,
    name,
  );
  const part = (members: Uint32Array) => {
    const base = rowSplit(examples, members);
    return { ...base, labels: (i: number) => base.at(i).marks };
  };
  const base = { name, padId: tokenizer.pad, vocabSize: tokenizer.vocabSize };
  return { kind: 'token-class', ...base, labels, train: part(split.train), held: part(split.held) };
}
