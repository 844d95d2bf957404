// Order and tensors of batches, by hand-made datasets small enough to check every number.
import { describe, expect, it } from 'vitest';
import { batch, batches, exampleCount } from '../../src/data/batches.ts';
import type { ImageDataset, TextClassDataset, TextDataset } from '../../src/data/types.ts';

const images: ImageDataset = (() => {
  const split = (count: number) => ({
    count,
    pixels: (i: number) => Float32Array.from({ length: 2 * 1 * 2 }, (_, p) => i / 10 + p / 4),
    label: (i: number) => i % 2,
  });
  return {
    kind: 'image',
    name: 't',
    width: 2,
    height: 1,
    channels: 2,
    labels: ['a', 'b'],
    train: split(5),
    held: split(2),
  };
})();

const text: TextDataset = {
  kind: 'text',
  name: 't',
  heldShare: 0.1,
  prefix: [],
  vocabSize: 100,
  train: { tokens: Int32Array.from({ length: 10 }, (_, i) => i + 1) },
  held: { tokens: Int32Array.from([50, 51, 52, 53, 54]) },
};

describe('batches', () => {
  it('visits every example once an epoch and states the short last batch', () => {
    const order = batches(10, { batchSize: 4, seed: 3, epoch: 2 });
    expect(order.count).toBe(3);
    expect(order.indices(2).length).toBe(2);
    const all = [0, 1, 2].flatMap((b) => [...order.indices(b)]);
    expect([...all].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('resumes from seed, epoch and number alone; epochs and seeds differ', () => {
    const at = (seed: number, epoch: number) => [...batches(100, { batchSize: 8, seed, epoch }).indices(5)];
    expect(at(1, 4)).toEqual(at(1, 4));
    expect(at(1, 4)).not.toEqual(at(1, 5));
    expect(at(1, 4)).not.toEqual(at(2, 4));
    expect([...batches(6, { batchSize: 4, seed: 0, epoch: 0, shuffle: false }).indices(1)]).toEqual([4, 5]);
  });

  it('refuses sizes and examples that do not exist', () => {
    expect(() => batches(5, { batchSize: 0, seed: 0, epoch: 0 })).toThrow(/batch size/);
    expect(() => batch(images, 'held', [2])).toThrow(/not one of the 2/);
    expect(() => batch(text, 'train', [0], { sequenceLength: 1 })).toThrow(/sequence length/);
  });
});

describe('batch', () => {
  it('normalises pictures per channel', () => {
    const b = batch(images, 'train', [4, 1], { mean: [0, 0.5], std: [1, 0.25] });
    expect(b.size).toBe(2);
    expect(b.inputs.pixel_values!.shape).toEqual([2, 2, 1, 2]);
    const expected = [0.4, 0.65, 1.6, 2.6, 0.1, 0.35, 0.4, 1.4];
    const off = [...b.inputs.pixel_values!.data].map((v, i) => Math.abs(v - expected[i]!));
    expect(off.length).toBe(8);
    expect(Math.max(...off)).toBeLessThan(1e-5);
    expect([...b.labels.data]).toEqual([0, 1]);
    expect(batch(images, 'held', [0]).inputs.pixel_values!.data[0]).toBe(0);
  });

  it('shifts labels to the left and pads the last window', () => {
    expect(exampleCount(text, 'train', { sequenceLength: 4 })).toBe(3);
    const b = batch(text, 'train', [1, 2], { sequenceLength: 4 });
    expect([...b.inputs.input_ids!.data]).toEqual([5, 6, 7, 8, 9, 10, 0, 0]);
    expect([...b.inputs.attention_mask!.data]).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
    expect([...b.labels.data]).toEqual([6, 7, 8, -100, 10, -100, -100, -100]);
    // five held tokens: the fifth alone has nothing to predict
    expect(exampleCount(text, 'held', { sequenceLength: 4 })).toBe(1);
  });

  it('puts the prefix before every window', () => {
    const b = batch({ ...text, prefix: [99] }, 'train', [1], { sequenceLength: 4 });
    expect([...b.inputs.input_ids!.data]).toEqual([99, 4, 5, 6]);
    expect([...b.labels.data]).toEqual([4, 5, 6, -100]);
  });

  it('pads and masks labelled texts', () => {
    const rows = [Int32Array.from([1, 2, 3]), Int32Array.from({ length: 20 }, (_, i) => i)];
    const split = { count: 2, ids: (i: number) => rows[i]!, origin: () => '', label: (i: number) => i };
    const set: TextClassDataset = {
      kind: 'text-class',
      name: 't',
      labels: ['a', 'b'],
      padId: 7,
      vocabSize: 30,
      train: split,
      held: split,
    };
    const fixed = batch(set, 'train', [0], { sequenceLength: 5 });
    expect([...fixed.inputs.input_ids!.data]).toEqual([1, 2, 3, 7, 7]);
    expect([...fixed.inputs.attention_mask!.data]).toEqual([1, 1, 1, 0, 0]);
    expect(batch(set, 'train', [0, 1], { lengths: [4, 24, 32] }).inputs.input_ids!.shape).toEqual([2, 24]);
    expect(batch(set, 'train', [0, 1], { sequenceLength: 18 }).inputs.input_ids!.shape).toEqual([2, 18]);
  });
});
