/**
 * What a merged file is compared on: held-out examples, the shortest and the longest of them, with their padding; and the trainer's answers
 * to them.
 */

import type { Dataset, FloatTensor, IntTensor } from '../data/types.ts';
import type { FeedTensor } from '../inference/tensor.ts';
import { fail } from '../lib/errors.ts';
import { greatest, least } from '../lib/statistics.ts';
import type { LoadedModel } from '../models/load.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import type { Engine } from './engine.ts';
import type { ParitySample } from './parity.ts';

/** More numbers than these of one batch's answers are not kept: whole examples are left out, all but one. */
const MOST_NUMBERS = 1 << 22;

interface Chosen {
  readonly what: string;
  readonly batch: FullBatch;
}

/** What is asked: a model's forward pass, adapted or not. */
export interface ParitySource {
  readonly engine: Pick<Engine, 'evaluate'>;
  readonly dataset: Dataset;
  readonly batches: BatchPlan;
  readonly model: Pick<LoadedModel, 'output' | 'feeds' | 'contract'>;
}

/** @param withBase also asks the unadapted model, which files of fewer bits are measured by */
export async function paritySamples(
  { engine, dataset, batches, model }: ParitySource,
  withBase: boolean,
): Promise<ParitySample[]> {
  const samples: ParitySample[] = [];
  for (const { what, batch } of chosenBatches(dataset, batches, model.contract.exactly)) {
    const adapted = (await engine.evaluate('adapted', batch, true)).logits!;
    const base = withBase ? (await engine.evaluate('base', batch, true)).logits! : null;
    samples.push(sampleOf(what, batch, model, adapted, base, batches.batchSize));
  }
  return samples;
}

/** Real examples alone, as many as {@link MOST_NUMBERS} lets be, and of their positions those that are no padding. */
function sampleOf(
  what: string,
  { inputs, count, labels }: FullBatch,
  { output, feeds: names }: ParitySource['model'],
  adapted: Float32Array,
  base: Float32Array | null,
  batchSize: number,
): ParitySample {
  const perExample = adapted.length / batchSize;
  const kept = Math.max(1, Math.min(count, Math.floor(MOST_NUMBERS / perExample)));
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, firstExamples(tensor, kept)]),
  );
  const part = (all: Float32Array): Float32Array => all.slice(0, kept * perExample);
  return {
    ...{ what, inputs: feeds, names, output, adapted: part(adapted), base: base && part(base) },
    counts: countsOf(feeds, labels, batchSize),
  };
}

function firstExamples(tensor: FloatTensor | IntTensor, count: number): FeedTensor {
  const [rows = 1, ...rest] = tensor.shape;
  const width = tensor.data.length / rows;
  return { dtype: tensor.dtype, dims: [count, ...rest], data: tensor.data.slice(0, count * width) };
}

/** The mask, where every position has a label of its own; an answer for the whole example counts always. */
function countsOf(
  feeds: Readonly<Record<string, FeedTensor>>,
  labels: FullBatch['labels'],
  batchSize: number,
): Uint8Array | null {
  const mask = feeds.attention_mask;
  const isPerPosition = labels instanceof Int32Array && labels.length / batchSize === mask?.dims[1];
  return mask && isPerPosition ? Uint8Array.from(mask.data) : null;
}

/** @param exactly the only length that the file takes */
function chosenBatches(dataset: Dataset, batches: BatchPlan, exactly: number | null): Chosen[] {
  const held = batches.held(0);
  if (held.length === 0) fail('bad-data', 'There is no held-out example to compare the merged file on.');
  if (dataset.kind === 'text' || dataset.kind === 'masked-text')
    return ofText(batches.load('held', held[0]!), exactly === null);
  if (!('ids' in dataset.held))
    return [...new Set([0, held.length - 1])].map((i) => ({
      what: `held-out pictures, batch ${i + 1}`,
      batch: batches.load('held', held[i]!),
    }));
  // Rows of text: the batch with the shortest one and that with the longest.
  const { ids } = dataset.held;
  const lengths = held.map((members) => Array.from(members, (i) => ids(i).length));
  const at = (
    best: (own: readonly number[]) => number,
    isBetter: (a: number, b: number) => boolean,
  ): number => lengths.reduce((k, own, i) => (isBetter(best(own), best(lengths[k]!)) ? i : k), 0);
  const shortest = at(least, (a, b) => a < b);
  const longest = at(greatest, (a, b) => a > b);
  return [...new Set([shortest, longest])].map((i) => {
    const batch = batches.load('held', held[i]!);
    return { what: `held-out examples of up to ${batch.sequence ?? greatest(lengths[i]!)} tokens`, batch };
  });
}

/** Running text is never padded in training: the same passage whole, and cut to several lengths, as a user's texts will be. */
function ofText(batch: FullBatch, isFree: boolean): Chosen[] {
  const ids = batch.inputs.input_ids!;
  const [rows, length] = ids.shape as [number, number];
  const whole = { what: `a held-out passage of ${length} tokens`, batch };
  const half = length >> 1;
  if (half < 2 || !isFree) return [whole];
  const mask = new Int32Array(rows * half);
  for (let r = 0; r < rows; r++) mask.fill(1, r * half, r * half + Math.max(1, half - r));
  const cut = (tensor: FloatTensor | IntTensor): FloatTensor | IntTensor => {
    if (tensor.shape[1] !== length || tensor.shape.length !== 2) return tensor;
    const data = tensor.dtype === 'float32' ? new Float32Array(rows * half) : new Int32Array(rows * half);
    for (let r = 0; r < rows; r++) data.set(tensor.data.subarray(r * length, r * length + half), r * half);
    return { ...tensor, shape: [rows, half], data } as FloatTensor | IntTensor;
  };
  const inputs = Object.fromEntries(Object.entries(batch.inputs).map(([name, t]) => [name, cut(t)]));
  const labels = batch.labels.slice(0, rows * half);
  return [
    whole,
    {
      what: `held-out passages of up to ${half} tokens`,
      batch: {
        ...batch,
        labels,
        sequence: half,
        inputs: { ...inputs, attention_mask: { dtype: 'int32', shape: [rows, half], data: mask } },
      },
    },
  ];
}
