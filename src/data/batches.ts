/**
 * From a dataset to batches: which examples (an order that is a pure function of seed, epoch and batch number, so that
 * a run resumes from those alone) and what their tensors hold.
 */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type {
  Batch,
  Dataset,
  ImageDataset,
  IntTensor,
  SplitName,
  TextClassDataset,
  TextDataset,
} from './types.ts';

/** The label that the loss skips (PyTorch's ignore_index). */
export const IGNORED_LABEL = -100;

export interface BatchOptions {
  /** Tokens per example. Text: the window, default 128. Classes: the longest allowed, default 128. */
  readonly sequenceLength?: number;
  /** Pictures: x → (x − mean) / std per channel or for all; default 0.5 and 0.5, that is −1 … 1. */
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
  /** Classes: pad to `sequenceLength` (one plan) or to the batch's longest, rounded up to 16. Default 'fixed'. */
  readonly padTo?: 'fixed' | 'longest';
}

export interface EpochOrder {
  /** Batches in the epoch, the short last one included. */
  readonly count: number;
  /** The example numbers of one batch; the last may be shorter than the batch size. */
  indices(batch: number): Uint32Array;
}

const windowOf = (options: BatchOptions): number => {
  const length = options.sequenceLength ?? 128;
  if (!Number.isInteger(length) || length < 2)
    fail('bad-argument', `A sequence length of ${length} cannot be used; give a whole number of at least 2.`);
  return length;
};

const bodyOf = (dataset: TextDataset, options: BatchOptions): number => {
  const body = windowOf(options) - dataset.prefix.length;
  if (body < 1)
    fail(
      'bad-argument',
      `The sequence length leaves no room after ${dataset.prefix.length} prefix token(s).`,
    );
  return body;
};

/** Examples in a split: pictures, labelled texts, or windows of `sequenceLength` tokens. */
export function exampleCount(dataset: Dataset, split: SplitName, options: BatchOptions = {}): number {
  if (dataset.kind !== 'text') return dataset[split].count;
  const tokens = dataset[split].tokens.length;
  const body = bodyOf(dataset, options);
  // A tail of one token has nothing to predict.
  return Math.floor(tokens / body) + (tokens % body > 1 ? 1 : 0);
}

/** The order of one epoch: shuffled by (seed, epoch), or as it comes with `shuffle: false` (evaluation). */
export function batches(
  count: number,
  options: {
    readonly batchSize: number;
    readonly seed: number;
    readonly epoch: number;
    readonly shuffle?: boolean;
  },
): EpochOrder {
  const { batchSize, seed, epoch } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail('bad-argument', `A batch size of ${batchSize} cannot be used; give a whole number of at least 1.`);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (options.shuffle !== false) rng(seed, 0x0e90c).fork(epoch).shuffle(order);
  return {
    count: Math.ceil(count / batchSize),
    indices: (batch) => order.subarray(batch * batchSize, (batch + 1) * batchSize),
  };
}

/** The tensors of the examples `indices` of a split. Shapes: see {@link Batch}. */
export function batch(
  dataset: Dataset,
  split: SplitName,
  indices: ArrayLike<number>,
  options: BatchOptions = {},
): Batch {
  const count = exampleCount(dataset, split, options);
  for (let k = 0; k < indices.length; k++) {
    const i = indices[k]!;
    if (!(i >= 0 && i < count)) fail('bad-argument', `Example ${i} is not one of the ${count} in ${split}.`);
  }
  if (dataset.kind === 'image') return imageBatch(dataset, split, indices, options);
  if (dataset.kind === 'text') return textBatch(dataset, split, indices, options);
  return textClassBatch(dataset, split, indices, options);
}

const ints = (shape: readonly number[], data: Int32Array): IntTensor => ({ dtype: 'int32', shape, data });

function imageBatch(
  dataset: ImageDataset,
  split: SplitName,
  indices: ArrayLike<number>,
  options: BatchOptions,
): Batch {
  const size = indices.length;
  const { channels, height, width } = dataset;
  const plane = height * width;
  const data = new Float32Array(size * channels * plane);
  const labels = new Int32Array(size);
  const perChannel = (value: number | readonly number[] | undefined, c: number): number =>
    typeof value === 'number' ? value : (value?.[c] ?? 0.5);
  for (let k = 0; k < size; k++) {
    const pixels = dataset[split].pixels(indices[k]!);
    labels[k] = dataset[split].label(indices[k]!);
    for (let c = 0; c < channels; c++) {
      const scale = 1 / perChannel(options.std, c);
      const shift = -perChannel(options.mean, c) * scale;
      const from = c * plane;
      const to = (k * channels + c) * plane;
      for (let p = 0; p < plane; p++) data[to + p] = pixels[from + p]! * scale + shift;
    }
  }
  return {
    size,
    inputs: { pixel_values: { dtype: 'float32', shape: [size, channels, height, width], data } },
    labels: ints([size], labels),
  };
}

function textBatch(
  dataset: TextDataset,
  split: SplitName,
  indices: ArrayLike<number>,
  options: BatchOptions,
): Batch {
  const size = indices.length;
  const length = windowOf(options);
  const body = bodyOf(dataset, options);
  const { prefix } = dataset;
  const { tokens } = dataset[split];
  const ids = new Int32Array(size * length);
  const mask = new Int32Array(size * length);
  const labels = new Int32Array(size * length).fill(IGNORED_LABEL);
  for (let k = 0; k < size; k++) {
    const start = indices[k]! * body;
    const window = tokens.subarray(start, Math.min(start + body, tokens.length));
    const row = k * length;
    const used = prefix.length + window.length;
    ids.set(prefix, row);
    ids.set(window, row + prefix.length);
    mask.fill(1, row, row + used);
    labels.set(ids.subarray(row + 1, row + used), row);
  }
  const shape = [size, length];
  return {
    size,
    inputs: { input_ids: ints(shape, ids), attention_mask: ints(shape, mask) },
    labels: ints(shape, labels),
  };
}

function textClassBatch(
  dataset: TextClassDataset,
  split: SplitName,
  indices: ArrayLike<number>,
  options: BatchOptions,
): Batch {
  const size = indices.length;
  const longest = windowOf(options);
  const rows = Array.from({ length: size }, (_, k) => dataset[split].ids(indices[k]!).subarray(0, longest));
  const needed = rows.reduce((most, row) => Math.max(most, row.length), 1);
  const length = options.padTo === 'longest' ? Math.min(longest, Math.ceil(needed / 16) * 16) : longest;
  const ids = new Int32Array(size * length).fill(dataset.padId);
  const mask = new Int32Array(size * length);
  const labels = new Int32Array(size);
  rows.forEach((row, k) => {
    ids.set(row, k * length);
    mask.fill(1, k * length, k * length + row.length);
    labels[k] = dataset[split].label(indices[k]!);
  });
  const shape = [size, length];
  return {
    size,
    inputs: { input_ids: ints(shape, ids), attention_mask: ints(shape, mask) },
    labels: ints([size], labels),
  };
}
