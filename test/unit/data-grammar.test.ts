// The grammars: repeatable, varied, well-formed.
import { describe, expect, it } from 'vitest';
import { expand, paragraph } from '../../src/data/grammar.ts';
import { recipe } from '../../src/data/recipes.ts';
import { scene } from '../../src/data/styles.ts';
import { tale } from '../../src/data/tales.ts';
import { rng } from '../../src/lib/rng.ts';

const wordsOf = (text: string) => text.toLowerCase().match(/[a-z]+/g) ?? [];

describe('grammar', { timeout: 60_000 }, () => {
  it('expands choices, slots and articles', () => {
    const r = rng(1);
    const slots = { thing: 'owl', bag: 'brown bag' };
    expect(expand('{a thing} and {a bag}, {Thing}.', slots, r)).toBe('an owl and a brown bag, Owl.');
    const seen = new Set(Array.from({ length: 60 }, () => expand('[x[1|2]|y|]', slots, r)));
    expect([...seen].sort()).toEqual(['', 'x1', 'x2', 'y']);
    expect(() => expand('{nothing}', slots, r)).toThrow(/no slot/);
    let drawn = 0;
    const counting = {
      get next() {
        return `n${drawn++}`;
      },
    };
    expect(expand('{next} {next} {Next}', counting, r)).toBe('n0 n1 N2');
  });

  it('capitalises sentences but not what follows a spoken question', () => {
    expect(
      paragraph(['he came. "why?" she asked.', '', '"come in," said he, "there is soup." all was well.']),
    ).toBe('He came. "Why?" she asked. "Come in," said he, "there is soup." All was well.');
  });
});

describe.each([
  ['tale', tale, 500],
  ['scene', scene, 250],
  ['recipe', recipe, 120],
] as const)('%s', (_, make, leastWords) => {
  const texts = Array.from({ length: 2000 }, (_, i) => make(rng(7, i)));

  it('is a function of its generator and hardly ever the same twice', () => {
    expect(make(rng(7, 3))).toBe(texts[3]);
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('has words enough, of a readable length, and no unfilled template', () => {
    expect(new Set(texts.flatMap(wordsOf)).size).toBeGreaterThan(leastWords);
    for (const text of texts) {
      expect(text).not.toMatch(/[{}[\]|]|undefined| {2}|\.\.| [.,]|\ba [aeio]/);
      expect(wordsOf(text).length).toBeGreaterThan(20);
      expect(wordsOf(text).length).toBeLessThan(220);
      expect(text).toMatch(/^[A-Z]/);
    }
  });
});

describe('tales', { timeout: 60_000 }, () => {
  it('speak of their hero with one pronoun when hero and friend agree', () => {
    // A tale with only women or girls in it never says "he" or "his", and the other way round.
    const texts = Array.from({ length: 600 }, (_, i) => tale(rng(2, i)));
    const onlyOne = texts.filter((t) => /\b(he|him|his)\b/i.test(t) !== /\b(she|her)\b/i.test(t));
    expect(onlyOne.length).toBeGreaterThan(200);
    const withNone = texts.filter((t) => !/\b(she|he|her|his|him)\b/i.test(t));
    expect(withNone.length / texts.length).toBeLessThan(0.02);
  });
});
