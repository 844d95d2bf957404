// The trained vocabulary, read back by the tokenizer library: everything that is text survives the round trip.
import { describe, expect, it } from 'vitest';
import { trainBpe } from '../../src/data/bpe.ts';
import { recipe } from '../../src/data/tales/recipes.ts';
import { tale } from '../../src/data/tales/tale.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { rng } from '../../src/lib/rng.ts';

const texts = Array.from({ length: 1500 }, (_, i) => (i % 4 === 3 ? recipe(rng(1, i)) : tale(rng(1, i))));
const trained = trainBpe(texts, { vocabSize: 1024 });
const tokenizer = loadTokenizer(JSON.stringify(trained));

describe('trainBpe', { timeout: 60_000 }, () => {
  it('writes as many entries as asked, ids without a gap', () => {
    const ids = Object.values(trained.model.vocab).sort((a, b) => a - b);
    expect(ids).toEqual(Array.from({ length: 1024 }, (_, i) => i));
    expect(tokenizer.vocabSize).toBe(1024);
    expect(trained.model.merges.length).toBe(1024 - 257);
    expect(tokenizer.eos).toBe(0);
    expect(tokenizer.prefix).toEqual([]);
  });

  it('is repeatable and stops where no pair repeats', () => {
    expect(trainBpe(texts.slice(0, 50), { vocabSize: 400 })).toEqual(
      trainBpe(texts.slice(0, 50), { vocabSize: 400 }),
    );
    expect(trainBpe(['abab'], { vocabSize: 1000 }).model.merges).toEqual([['a', 'b']]);
    expect(() => trainBpe(['a'], { vocabSize: 200 })).toThrow(/no room/);
  });

  it('compresses its own kind of text to less than a third of its bytes', () => {
    const text = Array.from({ length: 40 }, (_, i) => tale(rng(99, i))).join('\n');
    const ids = tokenizer.encode(text);
    expect(ids.length).toBeLessThan(text.length / 3);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it('brings any text back', () => {
    const r = rng(8);
    const samples = [
      '',
      ' ',
      '\n\n\t x',
      '  two',
      "don't they'll",
      'naïve café – „Zitat“',
      '日本語 テスト',
      '🦋🏽 👩‍👩‍👧',
      'a\u0000b',
      '١٢٣ \u200d',
    ];
    for (let k = 0; k < 200; k++) {
      const length = 1 + r.int(30);
      const points = Array.from({ length }, () => {
        const point = r.int(r.pick([0x7f, 0x500, 0xd7ff, 0x10ffff]));
        return point >= 0xd800 && point < 0xe000 ? 0x21 : point;
      });
      samples.push(String.fromCodePoint(...points));
    }
    for (const text of samples) {
      // The special token's own spelling is the one thing that is not text.
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });
});

describe('loadTokenizer', { timeout: 60_000 }, () => {
  it('encodes long texts in parts without losing a character', () => {
    const text = `${'one line of words, and another\n'.repeat(14_000)}end`;
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids)).toBe(text);
    expect(ids).toEqual([
      ...tokenizer.encode('one line of words, and another\n'.repeat(14_000)),
      ...tokenizer.encode('end'),
    ]);
  });

  it('finds what goes before a text and what ends it', () => {
    const template = {
      ...trained,
      added_tokens: [{ ...trained.added_tokens[0], content: '<s>' }],
      model: { ...trained.model, vocab: { ...trained.model.vocab, '<s>': 0, '</s>': 1024 } },
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
      },
    };
    const llama = loadTokenizer(template, { eos_token: { content: '</s>' }, pad_token: null });
    expect(llama.prefix).toEqual([0]);
    expect(llama.eos).toBe(1024);
    expect(llama.pad).toBe(1024);
    const ids = llama.encode('x', { specials: true });
    expect(ids[0]).toBe(0);
    expect(llama.decode(ids)).toBe('x');
    expect(llama.decode(ids, { specials: true })).toBe('<s>x');
  });

  it.each([
    ['{', /not valid JSON/],
    ['[1]', /no JSON object/],
    ['{"version":"1.0"}', /cannot be used/],
    ['{"model":{"type":"BPE","vocab":{},"merges":[]}}', /cannot be used/],
  ])('refuses %s with a sentence', (json, sentence) => {
    expect(() => loadTokenizer(json)).toThrow(sentence);
  });
});
