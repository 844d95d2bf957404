/** The tensors of token examples: windows of a running text, whole or with tokens hidden at random, and padded rows. */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import type {
  Batch,
  FloatTensor,
  IntTensor,
  MaskedTextDataset,
  Masking,
  Rows,
  SplitName,
  TextDataset,
} from './types.ts';

/** The label that the loss skips (PyTorch's ignore_index). */
export const IGNORED_LABEL = -100;

/** @throws PapilioError 'bad-argument' */
export function windowOf(sequenceLength = 128): number {
  if (!Number.isInteger(sequenceLength) || sequenceLength < 2)
    fail(
      'bad-argument',
      say`A sequence length of ${sequenceLength} cannot be used; give a whole number of at least 2.`,
    );
  return sequenceLength;
}

/** Tokens of the text in a window of `length`. */
export function bodyOf(dataset: TextDataset | MaskedTextDataset, length: number): number {
  const around = dataset.prefix.length + (dataset.kind === 'masked-text' ? dataset.masking.suffix.length : 0);
  if (length - around < 1)
    fail('bad-argument', say`The sequence length leaves no room after ${around} prefix token(s).`);
  return length - around;
}

const ints = (shape: readonly number[], data: Int32Array): IntTensor => ({ dtype: 'int32', shape, data });

/** Windows: labels are the ids moved one to the left, or the hidden ids of a masked text. */
export function textBatch(
  dataset: TextDataset | MaskedTextDataset,
  split: SplitName,
  indices: ArrayLike<number>,
  length: number,
  draw: number,
): Batch {
  const size = indices.length;
  const body = bodyOf(dataset, length);
  const { prefix } = dataset;
  const masking = dataset.kind === 'masked-text' ? dataset.masking : null;
  const { tokens } = dataset[split];
  const ids = new Int32Array(size * length).fill(masking?.padId ?? 0);
  const mask = new Int32Array(size * length);
  const labels = new Int32Array(size * length).fill(IGNORED_LABEL);
  for (let k = 0; k < size; k++) {
    const start = indices[k]! * body;
    const window = tokens.subarray(start, Math.min(start + body, tokens.length));
    const row = k * length;
    const from = row + prefix.length;
    const end = from + window.length;
    const used = end + (masking?.suffix.length ?? 0);
    ids.set(prefix, row);
    ids.set(window, from);
    mask.fill(1, row, used);
    if (masking) {
      ids.set(masking.suffix, end);
      const which = { split, example: indices[k]!, draw };
      hideTokens(ids.subarray(from, end), labels.subarray(from, end), masking, dataset.vocabSize, which);
    } else labels.set(ids.subarray(row + 1, end), row);
  }
  const shape = [size, length];
  return {
    size,
    inputs: { input_ids: ints(shape, ids), attention_mask: ints(shape, mask) },
    labels: ints(shape, labels),
  };
}

/** A text as tokens; `segments` is 0 for those of the first text and 1 for those of the second, absent where texts stand alone. */
export interface TokenRow {
  readonly ids: readonly number[] | Int32Array;
  readonly segments?: readonly number[] | Int32Array | undefined;
}

/** What a model is fed for rows: padded to the first of `lengths` that all fit in; what is longer than the last is cut. */
export function rowInputs(
  rows: readonly TokenRow[],
  lengths: readonly number[],
  padId: number,
): Readonly<Record<string, IntTensor>> {
  const size = rows.length;
  const longest = lengths.at(-1)!;
  const needed = rows.reduce((most, { ids }) => Math.max(most, Math.min(ids.length, longest)), 1);
  const length = lengths.find((l) => l >= needed) ?? longest;
  const shape = [size, length];
  const hasSegments = rows.some(({ segments }) => segments !== undefined);
  const ids = new Int32Array(size * length).fill(padId);
  const mask = new Int32Array(size * length);
  const types = new Int32Array(hasSegments ? size * length : 0);
  rows.forEach((row, k) => {
    const used = Math.min(row.ids.length, length);
    ids.set(row.ids.slice(0, used), k * length);
    mask.fill(1, k * length, k * length + used);
    if (row.segments) types.set(row.segments.slice(0, used), k * length);
  });
  return {
    input_ids: ints(shape, ids),
    attention_mask: ints(shape, mask),
    ...(hasSegments ? { token_type_ids: ints(shape, types) } : {}),
  };
}

/** The rows `indices` of a split, see {@link rowInputs}. */
export function rowBatch(
  dataset: Rows,
  split: SplitName,
  indices: ArrayLike<number>,
  lengths: readonly number[],
): Batch {
  const part = dataset[split];
  const rows = Array.from(indices, (i) => ({ ids: part.ids(i), segments: part.segments?.(i) }));
  const inputs = rowInputs(rows, lengths, dataset.padId);
  return {
    size: rows.length,
    inputs,
    labels: rowLabels(dataset, split, indices, inputs.input_ids!.shape[1]!),
  };
}

function rowLabels(
  dataset: Rows,
  split: SplitName,
  indices: ArrayLike<number>,
  length: number,
): IntTensor | FloatTensor {
  const size = indices.length;
  if (dataset.kind === 'text-class') {
    const part = dataset[split];
    return ints(
      [size],
      Int32Array.from(indices, (i) => part.label(i)),
    );
  }
  if (dataset.kind === 'text-value') {
    const part = dataset[split];
    const data = new Float32Array(2 * size).fill(1);
    for (let k = 0; k < size; k++) data[k] = part.value(indices[k]!);
    return { dtype: 'float32', shape: [2, size], data };
  }
  const labels = new Int32Array(size * length).fill(IGNORED_LABEL);
  for (let k = 0; k < size; k++) {
    const i = indices[k]!;
    const own = labels.subarray(k * length, (k + 1) * length);
    if (dataset.kind === 'token-class') own.set(dataset[split].labels(i).subarray(0, length));
    else {
      const ids = dataset[split].ids(i);
      const learnt = dataset[split].learnt(i);
      for (let t = 0; t + 1 < Math.min(ids.length, length); t++)
        if (learnt[t + 1] === 1) own[t] = ids[t + 1]!;
    }
  }
  return ints([size, length], labels);
}

// Hides tokens for a masked language model as BERT was trained: 15 % are to be guessed; of these 80 % become the mask, 10 % another token, 10 % stay.

const HIDDEN = 0.15;
const MASKED = 0.8;
const REPLACED = 0.1;

const STREAMS: Readonly<Record<SplitName, number>> = { train: 1, held: 2 };

/**
 * Hides tokens of `ids` in place and writes their ids into `labels`. At least one token is hidden where any may be. The draw follows from
 * `which` alone.
 */
export function hideTokens(
  ids: Int32Array,
  labels: Int32Array,
  masking: Masking,
  vocabSize: number,
  which: { readonly split: SplitName; readonly example: number; readonly draw: number },
): void {
  const random = rng(0x3a5c, STREAMS[which.split]).fork(which.example).fork(which.draw);
  const open = [...ids.keys()].filter((t) => !masking.specials.has(ids[t]!));
  if (open.length === 0) return;
  const chosen = open.filter(() => random.uniform() < HIDDEN);
  if (chosen.length === 0) chosen.push(random.pick(open));
  for (const t of chosen) {
    labels[t] = ids[t]!;
    const fate = random.uniform();
    if (fate < MASKED) ids[t] = masking.id;
    else if (fate < MASKED + REPLACED) ids[t] = otherToken(random.int, vocabSize, masking.specials);
  }
}

function otherToken(draw: (n: number) => number, vocabSize: number, specials: ReadonlySet<number>): number {
  for (let tries = 0; tries < 32; tries++) {
    const id = draw(vocabSize);
    if (!specials.has(id)) return id;
  }
  return 0;
}
