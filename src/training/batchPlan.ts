/**
 * Which examples an update sees, as a pure function of the settings and the update's number, so that a run resumes from a number.
 * Batches shorter than the batch size are filled up with rows whose labels do not count: one plan fits all.
 */
import { type BatchOptions, batch, batches, exampleCount, IGNORED_LABEL } from '../data/batches.ts';
import type { Batch, Dataset, FloatTensor, IntTensor, SplitName } from '../data/types.ts';
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
}

/** A batch of the full size; the first `count` rows are real. */
export interface FullBatch {
  readonly inputs: Batch['inputs'];
  /** Class numbers, −100 where none counts; for numbers to be predicted f32 [2, batch], values above weights. */
  readonly labels: Int32Array | Float32Array;
  readonly count: number;
  /** Labels that count in the loss. */
  readonly validLabels: number;
  /** Tokens per example where it differs from the run's; see {@link BatchPlan.sequence}. */
  readonly sequence?: number;
}

function padRows<T extends FloatTensor | IntTensor>(tensor: T, size: number): T {
  const [rows = 1, ...rest] = tensor.shape;
  const perRow = rest.reduce((n, d) => n * d, 1);
  const data = tensor.dtype === 'float32' ? new Float32Array(size * perRow) : new Int32Array(size * perRow);
  // Repeating the first row keeps attention masks and ids legal.
  for (let r = rows; r < size; r++) data.set(tensor.data.subarray(0, perRow), r * perRow);
  data.set(tensor.data, 0);
  return { ...tensor, shape: [size, ...rest], data };
}

function fullBatch(b: Batch, size: number): FullBatch {
  const perRow = b.labels.data.length / b.size;
  const labels = new Int32Array(size * perRow).fill(IGNORED_LABEL);
  labels.set(b.labels.data);
  const inputs =
    b.size === size
      ? b.inputs
      : Object.fromEntries(Object.entries(b.inputs).map(([name, tensor]) => [name, padRows(tensor, size)]));
  return {
    inputs,
    labels,
    count: b.size,
    validLabels: labels.reduce((n, l) => n + (l === IGNORED_LABEL ? 0 : 1), 0),
  };
}

export function planBatches(
  dataset: Dataset,
  settings: TrainingSettings,
  normal: BatchOptions = {},
): BatchPlan {
  const { batchSize, seed, gradientAccumulation } = settings;
  const options = { ...normal, sequenceLength: settings.sequenceLength };
  const count = exampleCount(dataset, 'train', options);
  const batchesPerEpoch = Math.ceil(count / batchSize);
  const load = (split: SplitName, indices: ArrayLike<number>) =>
    fullBatch(batch(dataset, split, indices, options), batchSize);
  let current = { epoch: -1, order: batches(0, { batchSize, seed, epoch: 0 }) };
  const orderOf = (epoch: number) => {
    if (current.epoch !== epoch) current = { epoch, order: batches(count, { batchSize, seed, epoch }) };
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
        return load('train', orderOf(Math.floor(k / batchesPerEpoch)).indices(k % batchesPerEpoch));
      }),
    held(examples) {
      const all = exampleCount(dataset, 'held', options);
      const used = examples > 0 ? Math.min(examples, all) : all;
      const order = batches(used, { batchSize, seed, epoch: 0, shuffle: false });
      return Array.from({ length: order.count }, (_, i) => order.indices(i));
    },
    load,
    fill: (b) => fullBatch(b, batchSize),
    batchSize,
  };
}
