/**
 * Which examples an update sees. Seen to fail with: an order drawn once for all epochs, padding rows that count, accumulation that repeats
 * its first batch, held-out examples that are shuffled or cut.
 */
import { describe, expect, it } from 'vitest';
import { bucketedBatches, bucketLengths } from '../../src/data/batches.ts';
import type { ImageDataset, TextClassDataset, TextDataset, TextValueDataset } from '../../src/data/types.ts';
import { type FullBatch, planBatches } from '../../src/training/batchPlan.ts';
import { trainingSchema } from '../../src/training/settings.ts';

/** Picture i is one pixel that says i. */
const numbered = (train: number, held: number): ImageDataset => {
  const split = (count: number) => ({
    count,
    pixels: (i: number) => Float32Array.of(i),
    label: (i: number) => i % 3,
  });
  return {
    kind: 'image',
    name: 'numbered',
    width: 1,
    height: 1,
    channels: 1,
    labels: ['a', 'b', 'c'],
    train: split(train),
    held: split(held),
  };
};
const settings = (changes: Record<string, unknown>) => trainingSchema.parse(changes);
const exact = { mean: [0], std: [1] };
const plan = (train: number, changes: Record<string, unknown>, held = 5) =>
  planBatches(numbered(train, held), settings(changes), exact);
const examplesOf = (batch: FullBatch) => [...batch.inputs.pixel_values!.data].slice(0, batch.count);
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('updates', () => {
  it('pass every example once per epoch, in another order each time', () => {
    const p = plan(10, { batchSize: 4, seed: 3 });
    expect(p.batchesPerEpoch).toBe(3);
    const epoch = (e: number) => upTo(3).flatMap((i) => p.update(3 * e + i).flatMap(examplesOf));
    expect(ascending(epoch(0))).toEqual(upTo(10));
    expect(ascending(epoch(1))).toEqual(upTo(10));
    expect(epoch(1)).not.toEqual(epoch(0));
  });

  it('follow from seed and number alone: a plan made later continues the order', () => {
    const first = plan(10, { batchSize: 4, seed: 3 });
    const whole = upTo(9).map((i) => first.update(i).map(examplesOf));
    const later = plan(10, { batchSize: 4, seed: 3 });
    for (const i of [7, 2, 8, 4]) expect(later.update(i).map(examplesOf)).toEqual(whole[i]);
    const other = plan(10, { batchSize: 4, seed: 4 });
    expect(upTo(9).map((i) => other.update(i).map(examplesOf))).not.toEqual(whole);
  });

  it('accumulate consecutive batches, across the end of an epoch too', () => {
    const single = plan(10, { batchSize: 4, seed: 5 });
    const double = plan(10, { batchSize: 4, seed: 5, gradientAccumulation: 2 });
    for (const update of upTo(4)) {
      expect(double.update(update).map(examplesOf)).toEqual(
        [2 * update, 2 * update + 1].flatMap((i) => single.update(i).map(examplesOf)),
      );
    }
  });

  it('count epochs in updates, rounded up', () => {
    expect(plan(10, { batchSize: 4, epochs: 2 }).totalSteps).toBe(6);
    expect(plan(10, { batchSize: 4, epochs: 2, gradientAccumulation: 4 }).totalSteps).toBe(2);
    expect(plan(10, { batchSize: 4, epochs: 0.5 }).totalSteps).toBe(2);
    expect(plan(10, { batchSize: 4, steps: 77 }).totalSteps).toBe(77);
  });
});

describe('padding', () => {
  it('fills a short batch with rows that are legal and do not count', () => {
    const p = plan(10, { batchSize: 4, seed: 3 });
    const [short] = p.update(2);
    expect(short).toMatchObject({ count: 2, validLabels: 2 });
    const pixels = [...short!.inputs.pixel_values!.data];
    expect(short!.inputs.pixel_values!.shape).toEqual([4, 1, 1, 1]);
    expect(pixels.slice(2)).toEqual([pixels[0], pixels[0]]);
    expect([...short!.labels].slice(2)).toEqual([-100, -100]);
    expect([...short!.labels].slice(0, 2)).toEqual(pixels.slice(0, 2).map((i) => i % 3));
  });

  it('counts the predictable tokens of text only', () => {
    const tokens = Int32Array.from(upTo(22));
    const dataset: TextDataset = {
      kind: 'text',
      name: 'counting',
      heldShare: 0.1,
      prefix: [],
      vocabSize: 30,
      train: { tokens },
      held: { tokens },
    };
    const p = planBatches(dataset, settings({ batchSize: 2, sequenceLength: 8 }));
    const loaded = [p.load('train', [0, 1]), p.load('train', [2])];
    expect(loaded.map((b) => b.validLabels)).toEqual([14, 5]);
    for (const { inputs, labels, validLabels } of loaded) {
      expect(inputs.input_ids!.shape).toEqual([2, 8]);
      const ids = inputs.input_ids!.data;
      const counted = [...labels].flatMap((label, i) => (label === -100 ? [] : [[ids[i]! + 1, label]]));
      expect(counted).toHaveLength(validLabels);
      for (const [next, label] of counted) expect(label).toBe(next);
    }
  });
});

describe('held-out batches', () => {
  it('come in their own order, all or as many as asked for', () => {
    const p = plan(10, { batchSize: 4 }, 7);
    expect(p.held(0).map((b) => [...b])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6],
    ]);
    expect(p.held(5).map((b) => [...b])).toEqual([[0, 1, 2, 3], [4]]);
    expect(p.held(100)).toHaveLength(2);
  });
});

/** Example i has lengths[i] tokens, all of them i + 1. */
const rowsOf = (lengths: readonly number[]) => ({
  count: lengths.length,
  ids: (i: number) => new Int32Array(lengths[i]!).fill(i + 1),
  origin: (i: number) => `row ${i + 1}`,
});
const base = { name: 'rows', padId: 0, vocabSize: 200 };

describe('length buckets', () => {
  const lengths = upTo(64).map((i) => (i % 4 === 0 ? 30 + (i % 8) : 5 + (i % 3)));
  const dataset: TextClassDataset = {
    ...base,
    kind: 'text-class',
    labels: ['a', 'b'],
    train: { ...rowsOf(lengths), label: (i) => i % 2 },
    held: { ...rowsOf([5, 34, 6, 5, 7]), label: (i) => i % 2 },
  };
  const p = planBatches(dataset, settings({ batchSize: 4, sequenceLength: 64, seed: 2 }));

  it('are few, end at the longest example in them, and are worth their program', () => {
    expect(p.options.lengths).toEqual([8, 40]);
    expect(p.sequence).toBe(40);
    expect(bucketLengths(Int32Array.from([3, 9, 20, 90]), 1, 64)).toEqual([8, 16, 24, 64]);
    expect(bucketLengths(Int32Array.from([3, 9, 20, 90]), 8, 64)).toEqual([64]);
    expect(bucketLengths(new Int32Array(100).fill(20), 4, 128)).toEqual([24]);
    const spread = Int32Array.from(upTo(1000), (i) => 1 + (i % 500));
    expect(bucketLengths(spread, 4, 512).length).toBeLessThanOrEqual(4);
  });

  it('pass every example once per epoch, each batch as short as its bucket', () => {
    const epoch = (e: number) => upTo(p.batchesPerEpoch).flatMap((i) => p.update(p.batchesPerEpoch * e + i));
    const seen = (e: number) =>
      epoch(e).flatMap((b) => upTo(b.count).map((k) => b.inputs.input_ids!.data[k * b.sequence!]! - 1));
    expect(ascending(seen(0))).toEqual(upTo(64));
    expect(ascending(seen(1))).toEqual(upTo(64));
    expect(seen(1)).not.toEqual(seen(0));
    const short = epoch(0).filter((b) => b.sequence === 8);
    expect(short).toHaveLength(12);
    for (const b of epoch(0)) {
      expect(b.inputs.input_ids!.shape).toEqual([4, b.sequence]);
      const mask = b.inputs.attention_mask!.data;
      expect(b.tokens).toBe([...mask].reduce((n, v) => n + v, 0));
    }
    // Shuffled: short and long ones take turns.
    expect(epoch(0).map((b) => b.sequence)).not.toEqual(
      epoch(0)
        .map((b) => b.sequence)
        .sort(),
    );
  });

  it('give what is left of one to the next, so that one batch only is short', () => {
    const order = bucketedBatches(Int32Array.from([5, 5, 5, 30, 30, 30, 5]), [8, 32], {
      batchSize: 3,
      seed: 1,
      epoch: 0,
    });
    const sizes = upTo(order.count).map((i) => order.indices(i).length);
    expect(ascending(sizes)).toEqual([1, 3, 3]);
  });

  it('order held-out examples by length, and all rows at one length without them', () => {
    expect(p.held(0).map((b) => [...b])).toEqual([[0, 2, 3, 4], [1]]);
    expect(p.load('held', p.held(0)[0]!).sequence).toBe(8);
    const equal = planBatches(dataset, settings({ batchSize: 4, sequenceLength: 64 }), null, 'longest');
    expect(equal.options.lengths).toEqual([40]);
    expect(equal.update(0)[0]!.sequence).toBe(40);
  });
});

describe('numbers to be predicted', () => {
  it('stand above weights, which are 0 for rows that only fill up', () => {
    const dataset: TextValueDataset = {
      ...base,
      kind: 'text-value',
      train: { ...rowsOf([3, 3, 3]), value: (i) => 1.5 * i },
      held: { ...rowsOf([3]), value: () => 7 },
    };
    const p = planBatches(dataset, settings({ batchSize: 4, sequenceLength: 8 }));
    const { labels, validLabels, count } = p.load('train', [2, 0]);
    expect([...labels]).toEqual([3, 0, 0, 0, 1, 1, 0, 0]);
    expect([validLabels, count]).toEqual([2, 2]);
  });
});
