/**
 * From a dataset to batches: which examples (an order that is a pure function of seed, epoch and batch number, so that
 * a run resumes from those alone) and what their tensors hold.
 */
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import type { PictureSize } from './pictures.ts';
import { bodyOf, rowBatch, textBatch, windowOf } from './tensors.ts';
import type {
  Batch,
  Dataset,
  FloatTensor,
  ImageDataset,
  MaskedTextDataset,
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
export function orderOf(count: number, options: OrderOptions): Uint32Array {
  const { batchSize, seed, epoch } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail('bad-argument', `A batch size of ${batchSize} cannot be used; give a whole number of at least 1.`);
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
    if (!(i >= 0 && i < count)) fail('bad-argument', `Example ${i} is not one of the ${count} in ${split}.`);
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
