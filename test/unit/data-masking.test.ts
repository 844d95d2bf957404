/**
 * Hidden tokens of masked language models. Seen to fail with: hidden special tokens, 80/10/10 turned round, the same tokens hidden in every pass.
 */
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/files/open.ts';
import { hideTokens } from '../../src/data/tensors.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { file } from './data-support.ts';

describe('hidden tokens', () => {
  const masking = { id: 3, specials: new Set([0, 1, 2, 3]), suffix: [], padId: 0 };
  const hide = (length: number, which: { example: number; draw: number }) => {
    const ids = Int32Array.from({ length }, (_, t) => (t % 50 === 0 ? 1 : 4 + (t % 90)));
    const before = ids.slice();
    const labels = new Int32Array(length).fill(-100);
    hideTokens(ids, labels, masking, 100, { split: 'train', ...which });
    return { ids, before, labels };
  };

  it('are 15 % of the open ones, of them 80 % masked, 10 % replaced, 10 % kept', () => {
    const { ids, before, labels } = hide(40_000, { example: 1, draw: 1 });
    const hidden = [...labels.keys()].filter((t) => labels[t] !== -100);
    const open = before.filter((id) => id > 3).length;
    expect(hidden.length / open).toBeCloseTo(0.15, 2);
    for (const t of hidden) expect(labels[t]).toBe(before[t]);
    expect(hidden.every((t) => before[t]! > 3)).toBe(true);
    const share = (test: (t: number) => boolean) => hidden.filter(test).length / hidden.length;
    expect(share((t) => ids[t] === 3)).toBeCloseTo(0.8, 1);
    expect(share((t) => ids[t] !== 3 && ids[t] !== before[t])).toBeCloseTo(0.1, 1);
    expect(share((t) => ids[t] === before[t])).toBeCloseTo(0.1, 1);
    expect([...ids.keys()].filter((t) => ids[t] !== before[t] && labels[t] === -100)).toEqual([]);
  });

  it('follow from example and draw, and are never none', () => {
    const at = (example: number, draw: number) => [...hide(60, { example, draw }).labels];
    expect(at(1, 1)).toEqual(at(1, 1));
    expect(at(1, 2)).not.toEqual(at(1, 1));
    expect(at(2, 1)).not.toEqual(at(1, 1));
    for (let example = 0; example < 50; example++)
      expect([...hide(3, { example, draw: 0 }).labels].some((l) => l !== -100)).toBe(true);
  });

  it('need a mask token', async () => {
    const bare = loadTokenizer(trainBpe(['a tale of words'], { vocabSize: 270 }));
    const opening = openDataset([file('a.txt', 'a tale of words '.repeat(40))], {
      task: 'masked-text',
      tokenizer: bare,
    });
    await expect(opening).rejects.toThrow(/tokenizer has no mask token/);
  });
});
