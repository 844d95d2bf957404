/**
 * From a dataset to batches: which examples (an order that is a pure function of seed, epoch and batch number, so that
 * a run resumes from those alone), of what length, and what their tensors hold.
 */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import type { PictureSize } from './pictures.ts';
import { bodyOf, rowBatch, textBatch, windowOf } from './tensors.ts';
import type {
  Batch,
  Dataset,
  FloatTensor,
  ImageDataset,
  MaskedTextDataset,
  Rows,
  SplitName,
  TextDataset,
} from './types.ts';

export interface BatchOptions {
  /** Tokens per example. Text: the window, default 128. Classes: the longest allowed, default 128. */
  readonly sequenceLength?: number;
  /** Pictures: x → (x − mean) / std per channel, as the model's preprocessing has it; without it they stay 0 … 1. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Rows of tokens: lengths to choose from, ascending; a batch is padded to the first that all its rows fit in. Default: `sequenceLength`. */
  readonly lengths?: readonly number[];
  /** Masked text: which draw of hidden tokens; the same number hides the same tokens. Default 0. */
  readonly draw?: number;
}

export interface EpochOrder {
  /** Batches in the epoch, the short last one included. */
  readonly count: number;
  /** The example numbers of one batch; the last may be shorter than the batch size. */
  indices(batch: number): Uint32Array;
}

const isText = (dataset: Dataset): dataset is TextDataset | MaskedTextDataset => 'tokens' in dataset.train;

/** Examples in a split: pictures, rows, or windows of `sequenceLength` tokens. */
export function exampleCount(dataset: Dataset, split: SplitName, options: BatchOptions = {}): number {
  if (!isText(dataset)) return dataset[split].count;
  const tokens = dataset[split].tokens.length;
  const body = bodyOf(dataset, windowOf(options.sequenceLength));
  // A tail of one token has nothing to predict.
  return Math.floor(tokens / body) + (tokens % body > 1 ? 1 : 0);
}

export interface OrderOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly epoch: number;
  /** false: as they come (evaluation). */
  readonly shuffle?: boolean;
}

/** The numbers 0 … count − 1 shuffled by (seed, epoch). */
function orderOf(count: number, options: OrderOptions): Uint32Array {
  const { batchSize, seed, epoch } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail(
      'bad-argument',
      say`A batch size of ${batchSize} cannot be used; give a whole number of at least 1.`,
    );
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  if (options.shuffle !== false) rng(seed, 0x0e90c).fork(epoch).shuffle(order);
  return order;
}

/** The order of one epoch. */
export function batches(count: number, options: OrderOptions): EpochOrder {
  const { batchSize } = options;
  const order = orderOf(count, options);
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
    if (!(i >= 0 && i < count))
      fail('bad-argument', say`Example ${i} is not one of the ${count} in ${split}.`);
  }
  if (dataset.kind === 'image') return imageBatch(dataset, split, indices, options);
  const longest = windowOf(options.sequenceLength);
  if (isText(dataset)) return textBatch(dataset, split, indices, longest, options.draw ?? 0);
  return rowBatch(dataset, split, indices, options.lengths ?? [longest]);
}

function imageBatch(
  dataset: ImageDataset,
  split: SplitName,
  indices: ArrayLike<number>,
  options: BatchOptions,
): Batch {
  const size = indices.length;
  const pictures = Array.from(indices, (i) => dataset[split].pixels(i));
  const labels = Int32Array.from(indices, (i) => dataset[split].label(i));
  return {
    size,
    inputs: { pixel_values: pictureTensor(pictures, dataset, options) },
    labels: { dtype: 'int32', shape: [size], data: labels },
  };
}

/** Pictures [channels, height, width], 0 … 1, as a model is fed them: [pictures, channels, height, width], normalised as {@link BatchOptions} say. */
export function pictureTensor(
  pictures: readonly ArrayLike<number>[],
  { channels, height, width }: PictureSize,
  { mean, std }: Pick<BatchOptions, 'mean' | 'std'>,
): FloatTensor {
  const plane = height * width;
  const data = new Float32Array(pictures.length * channels * plane);
  for (const [k, pixels] of pictures.entries()) {
    for (let c = 0; c < channels; c++) {
      const scale = 1 / (std?.[c] ?? 1);
      const shift = -(mean?.[c] ?? 0) * scale;
      const from = c * plane;
      const to = (k * channels + c) * plane;
      for (let p = 0; p < plane; p++) data[to + p] = pixels[from + p]! * scale + shift;
    }
  }
  return { dtype: 'float32', shape: [pictures.length, channels, height, width], data };
}

// Length buckets: short examples are batched with short ones and padded to their length, so that they do not pay for the long. Each bucket is a
// program of its own, so there are few.

const MOST_BUCKETS = 4;
/** Lengths are multiples of this. */
const STEP = 8;
/** A bucket with fewer examples than this share is not worth its program. */
const LEAST_SHARE = 0.1;

export const lengthsOf = (dataset: Rows, split: 'train' | 'held'): Int32Array =>
  Int32Array.from({ length: dataset[split].count }, (_, i) => dataset[split].ids(i).length);

/**
 * The lengths to pad to, ascending; the last holds everything up to `longest`.
 * @param lengths of the training examples
 * @param batchSize a bucket needs a batch at least
 */
export function bucketLengths(lengths: Int32Array, batchSize: number, longest: number): number[] {
  const rounded = (n: number): number => Math.min(longest, Math.max(2, Math.ceil(n / STEP) * STEP));
  const longestOf = (some: Int32Array): number => rounded(some.reduce((a, b) => Math.max(a, b), 1));
  const least = Math.max(batchSize, lengths.length * LEAST_SHARE);
  const buckets = [longestOf(lengths)];
  for (let half = buckets[0]! / 2; buckets.length < MOST_BUCKETS && half >= STEP / 2; half /= 2) {
    const inside = lengths.filter((length) => length <= half);
    if (inside.length < least) break;
    const bound = longestOf(inside);
    if (bound >= buckets[0]!) continue;
    const above = lengths.reduce((n, length) => n + (length > bound && length <= buckets[0]! ? 1 : 0), 0);
    // A bucket that would be left with few examples of its own gives way to the shorter one.
    if (above < least && buckets.length > 1) buckets[0] = bound;
    else buckets.unshift(bound);
  }
  return buckets;
}

/** The bucket that an example belongs to; what is longer than all is cut to the last. */
function bucketOf(length: number, buckets: readonly number[]): number {
  const at = buckets.findIndex((bound) => length <= bound);
  return at < 0 ? buckets.length - 1 : at;
}

/**
 * The order of one epoch by buckets: every example once, batches of one bucket each. What is left of a bucket goes with the next longer one, so
 * only one batch is short. With `shuffle: false` the shortest come first, in their own order.
 */
export function bucketedBatches(
  lengths: Int32Array,
  buckets: readonly number[],
  options: OrderOptions,
): EpochOrder {
  const order = orderOf(lengths.length, options);
  const members: number[][] = buckets.map(() => []);
  for (const i of order) members[bucketOf(lengths[i]!, buckets)]!.push(i);
  const batches: Uint32Array[] = [];
  let left: number[] = [];
  members.forEach((own, b) => {
    const all = [...left, ...own];
    const isLast = b === members.length - 1;
    const whole = isLast ? all.length : all.length - (all.length % options.batchSize);
    for (let at = 0; at < whole; at += options.batchSize)
      batches.push(Uint32Array.from(all.slice(at, Math.min(at + options.batchSize, whole))));
    left = all.slice(whole);
  });
  if (options.shuffle !== false) rng(options.seed, 0xb0c4).fork(options.epoch).shuffle(batches);
  return { count: batches.length, indices: (k) => batches[k] ?? new Uint32Array(0) };
}
