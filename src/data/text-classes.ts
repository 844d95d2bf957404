/** Labelled texts for a classifier, and texts with a number to be predicted, split by seed. */
import type { Origin } from './notes.ts';
import { cutNote, frame, type RowOptions, rowSplit, type Source } from './rows.ts';
import { chooseSplit, orderLabels } from './split.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { RowSplit, TextClassDataset, TextValueDataset } from './types.ts';

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

/** What is kept of a row: its text is not. */
interface Example extends Source {
  readonly ids: Int32Array;
  /** Of two texts. */
  readonly segments?: Int32Array;
}

/** The rows as tokens; those that were cut are noted. */
function tokenise(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  options: RowOptions,
  notes: string[],
): Example[] {
  const most = options.sequenceLength ?? Number.POSITIVE_INFINITY;
  const cut: Origin[] = [];
  const examples = rows.map((row) => {
    const { ids, segments, isCut } = frame(tokenizer, row.text, row.pair, most);
    const { origin, split, pair } = row;
    if (isCut) cut.push(origin);
    return pair === undefined ? { origin, split, ids } : { origin, split, ids, segments };
  });
  notes.push(...cutNote(cut, rows.length, most));
  return examples;
}

/** Examples of one split, with their segments where texts come in pairs. */
function textSplit(examples: readonly Example[], members: Uint32Array): RowSplit {
  const { at, ...split } = rowSplit(examples, members);
  const segments = (i: number) => at(i).segments ?? new Int32Array(at(i).ids.length);
  return { ...split, ...(examples.some((example) => example.segments) ? { segments } : {}) };
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
  const examples = tokenise(rows, tokenizer, options, notes);
  const split = chooseSplit(
    rows.map((row) => row.split),
    numbers,
    options.seed,
    name,
  );
  const part = (members: Uint32Array) => ({
    ...textSplit(examples, members),
    label: (i: number) => numbers[members[i]!]!,
  });
  const base = { name, padId: tokenizer.pad, vocabSize: tokenizer.vocabSize };
  return { kind: 'text-class', ...base, labels, train: part(split.train), held: part(split.held) };
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
  const examples = tokenise(rows, tokenizer, options, notes);
  const values = rows.map((row) => row.value);
  const least = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  notes.push(
    `The numbers lie between ${least} and ${most}.${Math.max(-least, most) > LARGE ? ' They are large for a model: divide them, so that they lie around 1.' : ''}`,
  );
  const split = chooseSplit(
    rows.map((row) => row.split),
    null,
    options.seed,
    name,
  );
  const part = (members: Uint32Array) => ({
    ...textSplit(examples, members),
    value: (i: number) => values[members[i]!]!,
  });
  const base = { name, padId: tokenizer.pad, vocabSize: tokenizer.vocabSize };
  return { kind: 'text-value', ...base, train: part(split.train), held: part(split.held) };
}
