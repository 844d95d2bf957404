/**
 * Which examples an update sees, as a pure function of the settings and the update's number, so that a run resumes from a number.
 * Batches shorter than the batch size are filled up with rows whose labels do not count: one plan fits all.
 */
import {
  type BatchOptions,
  batch,
  batches,
  bucketedBatches,
  bucketLengths,
  type EpochOrder,
  exampleCount,
  lengthsOf,
} from '../data/batches.ts';
import type { Preprocessing } from '../data/preprocessing.ts';
import { IGNORED_LABEL } from '../data/tensors.ts';
import {
  type Batch,
  type Dataset,
  type FloatTensor,
  type IntTensor,
  isRows,
  type SplitName,
} from '../data/types.ts';
import { sizeOf } from '../graph/shape.ts';
import { rng } from '../lib/rng.ts';
import type { TrainingSettings } from './settings.ts';

export interface BatchPlan {
  readonly options: BatchOptions;
  readonly batchesPerEpoch: number;
  /** Updates in the whole run. */
  readonly totalSteps: number;
  /** The micro-batches of one update. */
  update(step: number): readonly FullBatch[];
  /** Held-out batches in their own order, at most `examples` of them (0: all). */
  held(examples: number): readonly Uint32Array[];
  load(split: SplitName, indices: ArrayLike<number>): FullBatch;
  /** A batch from elsewhere, filled up. */
  fill(batch: Batch): FullBatch;
  readonly batchSize: number;
  /** Tokens per example of the longest batch, for text. */
  readonly sequence: number;
}

/** A batch of the full size; the first `count` rows are real. */
export interface FullBatch {
  readonly inputs: Batch['inputs'];
  /** Class numbers, −100 where none counts; for numbers to be predicted f32 [2, batch], values above weights. */
  readonly labels: Int32Array | Float32Array;
  readonly count: number;
  /** Labels that count in the loss. */
  readonly validLabels: number;
  /** Tokens of the real rows, padding left out; one per picture. */
  readonly tokens: number;
  /** Tokens per example of this batch, for rows of several lengths. */
  readonly sequence?: number;
}

function padRows<T extends FloatTensor | IntTensor>(tensor: T, size: number): T {
  const [rows = 1, ...rest] = tensor.shape;
  const perRow = sizeOf(rest);
  const data = tensor.dtype === 'float32' ? new Float32Array(size * perRow) : new Int32Array(size * perRow);
  // Repeating the first row keeps attention masks and ids legal.
  for (let r = rows; r < size; r++) data.set(tensor.data.subarray(0, perRow), r * perRow);
  data.set(tensor.data, 0);
  return { ...tensor, shape: [size, ...rest], data };
}

function fullBatch(b: Batch, size: number): FullBatch {
  const inputs =
    b.size === size
      ? b.inputs
      : Object.fromEntries(Object.entries(b.inputs).map(([name, tensor]) => [name, padRows(tensor, size)]));
  const mask = b.inputs.attention_mask;
  const tokens = mask ? (mask.data as Int32Array).reduce((n, v) => n + v, 0) : b.size;
  return { inputs, ...fullLabels(b, size), count: b.size, tokens };
}

function fullLabels(b: Batch, size: number): Pick<FullBatch, 'labels' | 'validLabels'> {
  if (b.labels.dtype === 'float32') {
    // Values above weights; rows that only fill up weigh nothing.
    const labels = new Float32Array(2 * size);
    labels.set(b.labels.data.subarray(0, b.size));
    labels.set(b.labels.data.subarray(b.size), size);
    return { labels, validLabels: b.size };
  }
  const perRow = b.labels.data.length / b.size;
  const labels = new Int32Array(size * perRow).fill(IGNORED_LABEL);
  labels.set(b.labels.data);
  return { labels, validLabels: labels.reduce((n, l) => n + (l === IGNORED_LABEL ? 0 : 1), 0) };
}

/** How rows are padded: with others of their length, or all to the longest. */
export type Padding = 'length' | 'longest';

/**
 * @param pictures how the model's own preprocessing normalises; null for texts
 * @param exactly the one length that every batch has, where the file takes no other
 */
export function planBatches(
  dataset: Dataset,
  settings: TrainingSettings,
  pictures: Pick<Preprocessing, 'mean' | 'std'> | null = null,
  padding: Padding = 'length',
  exactly: number | null = null,
): BatchPlan {
  const { batchSize, seed, gradientAccumulation, sequenceLength } = settings;
  const lengths = isRows(dataset) ? lengthsOf(dataset, 'train') : null;
  const isFree = lengths !== null && exactly === null;
  const buckets = isFree ? bucketLengths(lengths, batchSize, sequenceLength) : [exactly ?? sequenceLength];
  const sequence = buckets.at(-1)!;
  const used = padding === 'length' ? buckets : [sequence];
  const normal = pictures ? { mean: pictures.mean, std: pictures.std } : {};
  const options: BatchOptions = { ...normal, sequenceLength, ...(lengths ? { lengths: used } : {}) };
  const count = exampleCount(dataset, 'train', options);
  const batchesPerEpoch = Math.ceil(count / batchSize);
  const loadDraw = (split: SplitName, indices: ArrayLike<number>, draw: number): FullBatch => {
    const full = fullBatch(batch(dataset, split, indices, { ...options, draw }), batchSize);
    return lengths ? { ...full, sequence: full.inputs.input_ids!.shape[1]! } : full;
  };
  const load = (split: SplitName, indices: ArrayLike<number>) => loadDraw(split, indices, 0);
  const orderAt = (epoch: number): EpochOrder =>
    lengths && used.length > 1
      ? bucketedBatches(lengths, used, { batchSize, seed, epoch })
      : batches(count, { batchSize, seed, epoch });
  let current = { epoch: -1, order: batches(0, { batchSize, seed, epoch: 0 }) };
  const orderOf = (epoch: number) => {
    if (current.epoch !== epoch) current = { epoch, order: orderAt(epoch) };
    return current.order;
  };
  return {
    options,
    batchesPerEpoch,
    totalSteps:
      settings.epochs > 0
        ? Math.ceil((settings.epochs * batchesPerEpoch) / gradientAccumulation)
        : settings.steps,
    update: (step) =>
      Array.from({ length: gradientAccumulation }, (_, micro) => {
        const k = step * gradientAccumulation + micro;
        const epoch = Math.floor(k / batchesPerEpoch);
        // Each pass hides other tokens of a masked text.
        const draw = rng(seed, 0xd4a3).fork(epoch).next();
        return loadDraw('train', orderOf(epoch).indices(k % batchesPerEpoch), draw);
      }),
    held(examples) {
      const all = exampleCount(dataset, 'held', options);
      const taken = examples > 0 ? Math.min(examples, all) : all;
      const order =
        isRows(dataset) && used.length > 1
          ? bucketedBatches(lengthsOf(dataset, 'held').subarray(0, taken), used, {
              batchSize,
              seed,
              epoch: 0,
              shuffle: false,
            })
          : batches(taken, { batchSize, seed, epoch: 0, shuffle: false });
      return Array.from({ length: order.count }, (_, i) => order.indices(i));
    },
    load,
    fill: (b) => fullBatch(b, batchSize),
    batchSize,
    sequence,
  };
}
