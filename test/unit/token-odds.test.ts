/**
 * How likely two models hold each token of a text, and the step that it is coloured by. Seen to fail: a row that is one too late, a letter of two
 * tokens that is lost, a step that takes the absolute difference.
 */
import { describe, expect, test } from 'vitest';
import { STEPS, stepOf, tokenAt } from '../../src/page/features/try/odds.ts';
import { oddsOf, piecesOf, probabilityAt } from '../../src/training/tokenOdds.ts';

/** Tokens 0 … 3 are words; 4 and 5 are the two bytes of é. */
const WORDS = ['the ', 'oven ', 'is ', 'hot'];
const tokenizer = {
  decode: (ids: ArrayLike<number>) =>
    Array.from(ids)
      .map((id) => WORDS[id] ?? (id === 4 ? '\ufffd' : 'é'))
      .join('')
      .replaceAll('\ufffdé', 'é'),
};

describe('the text that each token adds', () => {
  test('goes on from what stood before it', () => {
    expect(piecesOf(tokenizer, [0], [1, 2, 3])).toEqual(['oven ', 'is ', 'hot']);
    expect(piecesOf(tokenizer, [], [0])).toEqual(['the ']);
  });

  test('a letter of two tokens is the second one’s', () => {
    expect(piecesOf(tokenizer, [0], [4, 5, 3])).toEqual(['', 'é', 'hot']);
  });
});

/** Logits [4, 4] in which the token after `id` is `id + 1`, by so much. */
const model =
  (by: number, seen: number[][] = []) =>
  async (ids: readonly number[]) => {
    seen.push([...ids]);
    const data = new Float32Array(16);
    ids.forEach((id, row) => {
      data[row * 4 + ((id + 1) % 4)] = by;
    });
    return data;
  };

describe('the odds of a text', () => {
  test('are read at the row of the token before, from each model', async () => {
    const seen: number[][] = [];
    const logits = { before: model(0), after: model(2, seen) };
    const odds = await oddsOf({ ids: [0], head: [0], made: [1, 2, 0] }, logits, 4, tokenizer);
    // The last token is not read: nothing follows it.
    expect(seen).toEqual([[0, 1, 2]]);
    const likely = Math.exp(2) / (Math.exp(2) + 3);
    expect(odds.map(({ before }) => before)).toEqual([0.25, 0.25, 0.25]);
    expect(odds[0]!.after).toBeCloseTo(likely, 6);
    expect(odds[1]!.after).toBeCloseTo(likely, 6);
    // 3 would have come after 2.
    expect(odds[2]!.after).toBeCloseTo(1 / (Math.exp(2) + 3), 6);
    expect(odds.map(({ text }) => text)).toEqual(['oven ', 'is ', 'the ']);
  });

  test('large logits overflow nothing', () => {
    expect(probabilityAt(Float32Array.of(0, 0, 1000, 1000), 2, 1, 0)).toBe(0.5);
  });

  test('no new token, no question', async () => {
    const refuse = async (): Promise<never> => Promise.reject(new Error('asked'));
    const logits = { before: refuse, after: refuse };
    expect(await oddsOf({ ids: [0], head: [], made: [] }, logits, 4, tokenizer)).toEqual([]);
  });
});

test('steps go by how many times likelier, either way', () => {
  const step = (before: number, after: number) => stepOf({ before, after });
  expect(step(0.5, 0.9)).toBe('alike');
  expect(step(0.001, 0.003)).toBe('more');
  expect(step(0.001, 0.02)).toBe('much-more');
  expect(step(0.3, 0.1)).toBe('less');
  expect(step(0.3, 0)).toBe('much-less');
  expect(step(0, 0)).toBe('alike');
  expect(new Set(STEPS).size).toBe(5);
});

describe('the token that is pointed at', () => {
  const odds = (before: number) => ({
    before: [{ text: 'oven ', before, after: 0.5 }],
    after: [
      { text: 'oven ', before, after: 0.5 },
      { text: 'is ', before: 0.25, after: 0.75 },
    ],
  });

  test('has the figures of the texts on screen, also where a later step wrote the same', () => {
    const pointed = { side: 'after', index: 0 } as const;
    expect([0.125, 0.0625].map((p) => tokenAt(odds(p), pointed)?.before)).toEqual([0.125, 0.0625]);
  });

  test('is none before something was pointed at, and where a text is shorter now', () => {
    expect(tokenAt(odds(0.5), null)).toBeNull();
    expect(tokenAt(odds(0.5), { side: 'after', index: 1 })?.text).toBe('is ');
    expect(tokenAt(odds(0.5), { side: 'before', index: 1 })).toBeNull();
  });
});
