// The trained vocabulary, read back by the tokenizer library: everything that is text survives the round trip.
import { readFileSync } from 'node:fs';
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { embeddedTexts } from '../../src/data/catalogue.ts';
import { recipe } from '../../src/data/recipes.ts';
import { tale } from '../../src/data/tales.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { PIECES } from '../../src/data/tokenSpans.ts';
import { rng } from '../../src/lib/rng.ts';
import { trainBpe, wordVocabulary } from '../../tools/pretrain/bpe.ts';

const texts = Array.from({ length: 1500 }, (_, i) => (i % 4 === 3 ? recipe(rng(1, i)) : tale(rng(1, i))));
const trained = trainBpe(texts, { vocabSize: 1024 });
const tokenizer = loadTokenizer(JSON.stringify(trained));
const wordsJson = wordVocabulary(texts);
const words = loadTokenizer(JSON.stringify(wordsJson));

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

  it.each([
    ['trained', tokenizer],
    ['of whole words', words],
  ])('brings any text back, %s', (_, tokenizer) => {
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

describe('wordVocabulary', { timeout: 60_000 }, () => {
  it('has one token for each word of the texts, with the space before it, and bytes for other words', () => {
    const pieces = new Set(texts.flatMap((text) => text.match(PIECES) ?? []));
    for (const piece of pieces) expect(words.encode(piece).length, piece).toBe(1);
    const single = [...pieces].filter((piece) => new TextEncoder().encode(piece).length === 1).length;
    expect(words.vocabSize).toBe(257 + pieces.size - single);
    expect(words.encode(' zeppelin').length).toBe(' zeppelin'.length);
    expect(words.eos).toBe(0);
  });

  it('is that of the embedded model, whose recipes are words of the tales', () => {
    const shipped = JSON.parse(readFileSync('public/models/tales-gpt/tokenizer.json', 'utf8'));
    expect(wordVocabulary(embeddedTexts('tales', 'train', 4000))).toEqual(shipped);
    const { encode, token } = loadTokenizer(shipped);
    for (const id of embeddedTexts('recipes', 'train').flatMap((text) => encode(text)))
      if (id < 257) expect(['.', ',', 'A']).toContain(token(id));
  });
});

describe('loadTokenizer', { timeout: 60_000 }, () => {
  it('encodes long texts as the library does whole, with and without a pre-tokenizer', () => {
    const r = rng(5);
    // No line break within 8,000 letters, and several in a row.
    const word = () => r.pick(['one', 'line', 'of', 'words,', 'and', 'another', '\n\n  x', 'naïve']);
    const text = Array.from({ length: 6_000 }, word).join(' ');
    const merged = { ...trained, pre_tokenizer: null };
    const spaces = { type: 'Replace', pattern: { String: ' ' }, content: 'Ġ' };
    for (const json of [trained, { ...merged, normalizer: spaces }]) {
      const mended = loadTokenizer(json);
      const library = new HfTokenizer(json, {});
      const { ids } = library.encode(text, { add_special_tokens: false });
      expect(mended.encode(text)).toEqual(ids);
      expect(mended.encodeSpans(text, []).ids).toEqual(ids);
    }
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  it('takes a unigram model of a long text', () => {
    const vocab = [
      ['<unk>', 0],
      ['▁', -3],
      ['▁a', -1],
      ['b', -2],
      ['ab', -2.5],
      ['a', -2],
    ];
    const unigram = loadTokenizer({
      ...trained,
      added_tokens: [],
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false },
      model: { type: 'Unigram', unk_id: 0, vocab },
    });
    const short = unigram.encode('ab ab b');
    const ids = unigram.encode(Array.from({ length: 60_000 }, () => 'ab ab b').join(' '));
    expect(ids.length).toBe(short.length * 60_000);
    expect(ids.slice(-short.length)).toEqual(short);
  });

  it('finds the tokens of a unigram model as the library does', () => {
    const random = rng(3);
    const LETTERS = ['a', 'b', 'c', '▁', 'é', '😀', '😁', '\ud83d', '中'];
    const word = (most: number) =>
      Array.from({ length: 1 + random.int(most) }, () => random.pick(LETTERS)).join('');
    for (let round = 0; round < 20; round++) {
      const vocab = Array.from({ length: 60 }, (_, i) => [i === 7 ? '<unk>' : word(5), -random.int(12) / 4]);
      const json = {
        ...{ ...trained, added_tokens: [], pre_tokenizer: null, decoder: null, post_processor: null },
        normalizer: null,
        model: { ...(round % 2 === 0 ? { type: 'Unigram' } : {}), unk_id: 7, vocab },
      };
      const [ours, library] = [loadTokenizer(json), new HfTokenizer(json, {})];
      expect(ours.vocabSize).toBe(60);
      for (let text = 0; text < 50; text++) {
        const words = word(30);
        expect(ours.encode(words), words).toEqual(library.encode(words, { add_special_tokens: false }).ids);
      }
    }
  });

  it('reads merges as pairs and as texts; a BPE without them only where all tokens are letters', () => {
    const texts = trained.model.merges.map((pair) => pair.join(' '));
    const asTexts = loadTokenizer({ ...trained, model: { ...trained.model, merges: texts } });
    expect(asTexts.encode('a tale of words')).toEqual(tokenizer.encode('a tale of words'));
    const without = (vocab: object) => ({ ...trained, model: { type: 'BPE', vocab } });
    expect(() => loadTokenizer(without(trained.model.vocab))).toThrow(/has no merges/);
    expect(loadTokenizer(without({ '<|endoftext|>': 0, a: 1, b: 2, Ġ: 3 })).encode('ab a')).toEqual([
      1, 2, 3, 1,
    ]);
  });

  it('takes a vocabulary of words in any script, with its unknown token', () => {
    const words = loadTokenizer({
      pre_tokenizer: { type: 'Whitespace' },
      model: { type: 'WordLevel', unk_token: '[UNK]', vocab: { '[UNK]': 0, café: 1, да: 2, '!': 3 } },
    });
    expect(words.encode('да, café!')).toEqual([2, 0, 1, 3]);
    const strict = loadTokenizer({
      pre_tokenizer: { type: 'Whitespace' },
      model: { type: 'WordLevel', vocab: { café: 0 } },
    });
    expect(() => strict.encode('no café')).toThrow(/vocabulary does not know/);
  });

  it('finds what goes before a text in any script', () => {
    const script = loadTokenizer({
      added_tokens: [{ id: 0, content: '<s>', special: true }],
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
      },
      model: { type: 'BPE', vocab: { '<s>': 0, д: 1, а: 2 }, merges: [] },
    });
    expect(script.prefix).toEqual([0]);
    expect(script.encode('да')).toEqual([1, 2]);
  });

  it('reads special tokens as objects', () => {
    const named = loadTokenizer(trained, {
      eos_token: { content: '<|endoftext|>', lstrip: false },
      additional_special_tokens: [{ content: '<|endoftext|>' }],
    });
    expect(named.eos).toBe(0);
    expect(named.decode([0, ...named.encode('a')])).toBe('a');
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
