// The new voice of the language model: its recogniser, which knows nothing of the grammar, and what is new in it.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { embeddedTexts } from '../../src/data/catalogue.ts';
import { PIECES } from '../../src/data/tokenSpans.ts';
import { rng } from '../../src/lib/rng.ts';
import { recipeSentence, sentencesOf } from '../../tools/voice/recogniser.ts';
import type { VoiceFigure } from '../../tools/voice/report.ts';
import { voiceOf } from '../../tools/voice/samples.ts';

const recipes = embeddedTexts('recipes', 'train', 3000);
const sentences = recipes.flatMap(sentencesOf);
const tales = embeddedTexts('tales', 'train', 6000);
const told = tales.flatMap(sentencesOf);
const piecesOf = (text: string): string[] => [...text.matchAll(PIECES)].map(([piece]) => piece);

describe('the recogniser', { timeout: 60_000 }, () => {
  it('takes every sentence of recipes, and each shape occurs', () => {
    expect(sentences.filter((sentence) => recipeSentence(sentence) === null)).toEqual([]);
    expect([...new Set(sentences.map(recipeSentence))].sort()).toEqual([
      'baking',
      'boiling',
      'frying',
      'mixing',
      'preparation',
      'serving',
      'title',
    ]);
  });

  it('takes no sentence of the tales and of the other styles', () => {
    expect(told.length).toBeGreaterThan(40_000);
    expect(told.filter((sentence) => recipeSentence(sentence) !== null)).toEqual([]);
  });

  // A corrupted sentence has two words side by side that no recipe has: what is left could be a sentence of the voice.
  const pairsOf = (words: readonly string[]): string[] =>
    words.slice(1).map((word, i) => `${words[i]} ${word}`);
  const pairs = new Set(sentences.flatMap((sentence) => pairsOf(sentence.split(' '))));
  const isNew = (words: readonly string[]): boolean => pairsOf(words).some((pair) => !pairs.has(pair));
  const vocabulary = [...new Set([...sentences, ...told.slice(0, 5000)].flatMap((s) => s.split(' ')))];
  const changed = (words: readonly string[], i: number): string[] => {
    const r = rng(3, i);
    return words.with(r.int(words.length), r.pick(vocabulary));
  };
  const swapped = (words: readonly string[], i: number): string[] => {
    const r = rng(4, i);
    const [a, b] = [r.int(words.length), r.int(words.length)];
    return words.with(a, words[b]!).with(b, words[a]!);
  };

  it.each([
    ['one word changed', changed],
    ['two words swapped', swapped],
  ] as const)('takes none of 200 sentences with %s', (_, corrupt) => {
    const wrong = sentences
      .map((sentence, i) => corrupt(sentence.split(' '), i))
      .filter(isNew)
      .slice(0, 200);
    expect(wrong.length).toBe(200);
    expect(wrong.map((words) => words.join(' ')).filter((text) => recipeSentence(text) !== null)).toEqual([]);
  });

  it('minds what has to agree', () => {
    const right = [
      'A humble pear cake with mint for six.',
      'First, peel two small pears and sprinkle two spoons of fine mint over them.',
      'First, peel an apple and sprinkle two spoons of fine mint over it.',
      'Then fry the leeks in two spoons of hot butter for ten minutes.',
      'Next, pour the thick batter and two cups of warm milk over the pears and bake the pie in a hot oven for ten minutes.',
      'Next, pour two cups of warm water over the leeks and let the stew simmer for ten minutes.',
    ];
    const wrong = [
      'An humble pear cake with mint for six.',
      'A humble pears cake with mint for six.',
      'A humble pear soup with mint for six.',
      'A humble leek cake with mint for six.',
      'First, peel two small pear and sprinkle two spoons of fine mint over them.',
      'First, peel two small pears and sprinkle two spoons of fine mint over it.',
      'First, peel a apple and sprinkle two spoons of fine mint over it.',
      'First, peel an apples and sprinkle two spoons of fine mint over it.',
      'First, peel an apple and sprinkle two spoons of fine mint over them.',
      'Then fry the leek in two spoons of hot butter for ten minutes.',
      'Then fry the pears in two spoons of hot butter for ten minutes.',
      'Next, pour the thick batter and two cups of warm milk over the pears and bake the soup in a hot oven for ten minutes.',
      'Next, pour the thick batter and two cups of warm milk over the leeks and bake the soup in a hot oven for ten minutes.',
      'Next, pour the thick batter and two cups of warm milk over the leeks and bake the pie in a hot oven for ten minutes.',
      'Next, pour two cups of warm water over the pears and let the stew simmer for ten minutes.',
      'Next, pour two cups of warm water over the pears and let the pie simmer for ten minutes.',
      'First, peel an apple and sprinkle two spoons of fine mint over it',
      'first, peel an apple and sprinkle two spoons of fine mint over it.',
      'Then, peel an apple and sprinkle two spoons of fine mint over it.',
    ];
    expect(right.map(recipeSentence).filter((name) => name === null)).toEqual([]);
    expect(wrong.map(recipeSentence).filter((name) => name !== null)).toEqual([]);
  });
});

describe('the voice', { timeout: 60_000 }, () => {
  it('has no word that the tales have not', () => {
    const known = new Set(tales.flatMap(piecesOf));
    expect([...new Set(recipes.flatMap(piecesOf))].filter((piece) => !known.has(piece))).toEqual([]);
  });

  it('begins its sentences as no tale does', () => {
    // An order word with what is to be done, or the first two words of a title.
    const begin = (sentence: string): string => /^(At last,|[\w"]+,?) \w+/.exec(sentence)?.[0] ?? sentence;
    const begins = new Set(sentences.map(begin));
    expect(begins.size).toBeGreaterThan(15);
    expect(told.map(begin).filter((start) => begins.has(start))).toEqual([]);
  });
});

it('counts what is accepted, said twice and learnt', () => {
  const [a, b] = ['A humble pear cake with mint for six.', 'A humble plum cake with mint for six.'];
  expect(voiceOf([`${a} ${b}`, `${a} The fox`, `${a} The fox`], [`${a} ${b}`, 'no'])).toEqual({
    texts: 3,
    distinctTexts: 2,
    learntTexts: 1,
    sentences: 6,
    accepted: 4,
    distinctSentences: 3,
    learntSentences: 4,
  });
});

describe('the preset, as the figures of docs/ say', () => {
  interface Figure {
    readonly name: string;
    readonly engine: string;
    readonly voice?: VoiceFigure;
    readonly runs?: readonly { readonly seed: number; readonly voice: VoiceFigure }[];
  }
  const figures = JSON.parse(readFileSync('docs/figures.json', 'utf8')) as readonly Figure[];
  const own = figures.filter(({ name }) => name === 'tales-recipes');
  const seeded = figures.filter(({ name }) => name === 'tales-recipes-seeds');

  it('was run on both engines, and with three seeds', () => {
    for (const rows of [own, seeded])
      expect(rows.map(({ engine }) => engine).sort()).toEqual(['onnxruntime', 'webgpu']);
    for (const { runs } of seeded) expect(runs!.map(({ seed }) => seed)).toEqual([1, 2, 3]);
  });

  it.each([
    ...own.map(({ engine, voice }) => [engine, voice!] as const),
    ...seeded.flatMap(({ engine, runs }) =>
      runs!.map(({ seed, voice }) => [`${engine}, seed ${seed}`, voice] as const),
    ),
  ])('learnt the voice: %s', (_, { before, after }) => {
    expect(before.texts).toBe(200);
    expect(before.accepted / before.sentences).toBeLessThan(0.2);
    expect(after.accepted / after.sentences).toBeGreaterThanOrEqual(0.95);
    expect([after.texts, after.distinctTexts >= 150, after.learntTexts <= 10]).toEqual([200, true, true]);
    expect(after.distinctSentences / after.sentences).toBeGreaterThanOrEqual(0.75);
    expect(after.learntSentences / after.sentences).toBeLessThanOrEqual(0.05);
  });
});
