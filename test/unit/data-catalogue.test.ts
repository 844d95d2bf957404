// Embedded datasets by name: pictures at once, texts through a tokenizer, held texts never in train.
import { describe, expect, it } from 'vitest';
import { batch, exampleCount } from '../../src/data/batches.ts';
import { embeddedDataset, embeddedDatasets, embeddedTexts } from '../../src/data/catalogue.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';

const tokenizer = loadTokenizer(trainBpe(embeddedTexts('tales', 'train', 200), { vocabSize: 600 }));

describe('embeddedDataset', { timeout: 60_000 }, () => {
  it.each(embeddedDatasets.map((entry) => [entry.name, entry.kind] as const))(
    '%s gives batches',
    (name, kind) => {
      const set = embeddedDataset(name, { tokenizer, seed: 1, trainCount: 60, heldCount: 20 });
      expect(set.kind).toBe(kind);
      expect(set.name).toBe(name);
      for (const split of ['train', 'held'] as const) {
        const b = batch(set, split, [0, exampleCount(set, split) - 1]);
        expect(b.size).toBe(2);
        expect(b.labels.shape[0]).toBe(2);
        const data = Object.values(b.inputs)[0]!.data;
        expect(new Set(data).size).toBeGreaterThan(5);
      }
    },
  );

  it('keeps held texts apart, divides texts by the end token, and begins anew every 256 tokens', () => {
    for (const name of ['tales', 'recipes'] as const) {
      const train = new Set(embeddedTexts(name, 'train', 3000, 5));
      expect(embeddedTexts(name, 'held', 300, 5).filter((text) => train.has(text))).toEqual([]);
    }
    const set = embeddedDataset('recipes', { tokenizer, trainCount: 30, heldCount: 9 });
    if (set.kind !== 'text') throw new Error('not a text');
    const { tokens } = set.held;
    const ends = [...tokens.keys()].filter((i) => tokens[i] === tokenizer.eos);
    expect(ends.length).toBe(9);
    expect(tokens.length).toBeGreaterThan(512);
    expect([0, 256, 512].filter((i) => !ends.includes(i))).toEqual([]);
    const texts = embeddedTexts('recipes', 'held', 9);
    for (const [i, from] of ends.entries()) {
      const text = tokenizer.decode(tokens.subarray(from + 1, ends[i + 1] ?? tokens.length));
      expect(texts[i]!.startsWith(text)).toBe(true);
      // Whole, unless the next block cut it.
      if ((ends[i + 1] ?? tokens.length) % 256 !== 0) expect(text).toBe(texts[i]);
    }
  });

  it('names what is missing', () => {
    expect(() => embeddedDataset('cats')).toThrow(/no embedded dataset "cats"; there are digits, letters/);
    expect(() => embeddedDataset('tales')).toThrow(/tokenizer\.json/);
  });
});
