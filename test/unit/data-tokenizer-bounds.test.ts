// Tokenizers from anywhere: what cannot be used or would cost too much ends in a sentence, soon.
import { ByteLevelPreTokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../src/data/tokenizer.ts';

const letters = [...'abcdefghij klmnop'];
const base = {
  added_tokens: [{ id: 17, content: '<end>', special: true }],
  normalizer: null as object | null,
  pre_tokenizer: null as object | null,
  post_processor: null as object | null,
  decoder: null as object | null,
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(letters.map((letter, k) => [letter, k])) as Record<string, unknown>,
    merges: [] as unknown[],
  },
};
const TEXT = 'abc hij klmnop '.repeat(40);

/** Loads and uses a tokenizer; the error's kind, or null. */
function outcome(json: object, text = TEXT): string | null {
  const started = performance.now();
  let kind: string | null = null;
  try {
    const tokenizer = loadTokenizer(json, { additional_special_tokens: ['<end>', 7, { content: 5 }] });
    tokenizer.decode(tokenizer.encode(text, { specials: true }));
    tokenizer.encodeSpans(text, [{ start: 3, end: 9 }]);
  } catch (error) {
    expect(error).toMatchObject({ name: 'PapilioError' });
    kind = (error as { kind: string }).kind;
  }
  expect(performance.now() - started).toBeLessThan(5000);
  return kind;
}

const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const grow = {
  type: 'Sequence',
  normalizers: Array.from({ length: 35 }, () => replace({ String: 'h' }, 'hh')),
};

describe('a tokenizer', () => {
  it('that is small and whole is used', () => {
    expect(outcome(base)).toBeNull();
  });

  it.each([
    ['an id of billions', { model: { ...base.model, vocab: { ...base.model.vocab, q: 3e9 } } }],
    ['an added id of billions', { added_tokens: [{ id: 7e14, content: 'q', special: true }] }],
    ['replacements that double', { normalizer: grow }],
    [
      'replacements that double added tokens',
      { normalizer: grow, added_tokens: [{ id: 17, content: 'hhh' }] },
    ],
    ['one replacement by much', { normalizer: replace({ Regex: '' }, 'long'.repeat(200)) }],
    ['a repetition of repetitions', { normalizer: replace({ Regex: '(?:(?:[a-z]| )+)+%' }, '') }],
    [
      'one in a pre-tokenizer',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '(?:\\w|\\w\\s?)+%' }, behavior: 'Isolated' } },
    ],
    [
      'one that removes',
      {
        pre_tokenizer: {
          type: 'Split',
          pattern: { Regex: '((\\s|\\w)+)+%' },
          behavior: 'Removed',
          invert: false,
        },
      },
    ],
    [
      'one in a decoder',
      { decoder: { type: 'Sequence', decoders: [{ type: 'Fuse' }, replace({ Regex: '([a-z ]+)*%' }, '')] } },
    ],
    [
      'one for added tokens',
      {
        normalizer: replace({ Regex: '(\\w|\\w)*%' }, ''),
        added_tokens: [{ id: 17, content: 'ab'.repeat(40) }],
      },
    ],
    ['numbers in braces', { normalizer: replace({ Regex: '(?:(?:a{1,99}){1,99}){1,99}' }, '') }],
  ])('with %s is refused or done with soon', (_, parts) => {
    expect([null, 'too-large', 'malformed-file']).toContain(outcome({ ...base, ...parts }));
  });

  it.each([
    ['too-large', 'ids far apart', { model: { ...base.model, vocab: { a: 0, b: 70_000 } } }],
    ['too-large', 'doubling', { normalizer: grow }],
    ['malformed-file', 'no model', { model: undefined }],
    ['malformed-file', 'no vocabulary', { model: { type: 'BPE', merges: [] } }],
    ['malformed-file', 'a text as vocabulary', { model: { ...base.model, vocab: 'abc' } }],
    ['malformed-file', 'ids as texts', { model: { ...base.model, vocab: { a: '0' } } }],
    ['malformed-file', 'scores as texts', { model: { type: 'Unigram', vocab: [['a', '1']], unk_id: 0 } }],
    ['malformed-file', 'merges of one', { model: { ...base.model, merges: [['a']] } }],
    ['malformed-file', 'merges of both kinds', { model: { ...base.model, merges: ['a b', ['c', 'd']] } }],
    ['malformed-file', 'merges of numbers', { model: { ...base.model, merges: [5] } }],
    ['malformed-file', 'added tokens without ids', { added_tokens: [{ content: 'x' }] }],
    ['malformed-file', 'added tokens of nothing', { added_tokens: [null] }],
    ['malformed-file', 'an object of added tokens', { added_tokens: { a: 1 } }],
    ['malformed-file', 'an empty added token', { added_tokens: [{ id: 17, content: '' }] }],
    ['malformed-file', 'pieces of no length', { pre_tokenizer: { type: 'FixedLength', length: 0 } }],
    ['malformed-file', 'a pattern of nothing', { pre_tokenizer: { type: 'Split', pattern: null } }],
    ['malformed-file', 'an unknown part', { normalizer: { type: 'constructor' } }],
    ['malformed-file', 'parts as texts', { normalizer: 'NFC' }],
    ['malformed-file', 'a sequence of numbers', { decoder: { type: 'Sequence', decoders: [4] } }],
    ['malformed-file', 'references back', { normalizer: replace({ Regex: '(a)\\1' }, '') }],
    [
      'malformed-file',
      'a template that goes on',
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: Array.from({ length: 90 }, () => ({ SpecialToken: { id: '<end>', type_id: 0 } })),
          pair: [],
          special_tokens: {},
        },
      },
    ],
    [
      'malformed-file',
      'depth',
      { normalizer: JSON.parse(`${'{"type":"Sequence","normalizers":['.repeat(400)}${']}'.repeat(400)}`) },
    ],
  ])('is %s: %s', (kind, _, parts) => {
    expect(outcome({ ...base, ...parts })).toBe(kind);
  });

  it.each([
    '',
    'null',
    '[]',
    '7',
    '"a"',
    '{',
    '['.repeat(200_000),
    '{"model":{"vocab":{"__proto__":0,"constructor":1},"type":"BPE","merges":[]}}',
  ])('as the text %.40s ends in a sentence or is used', (text) => {
    let kind: string | null = null;
    try {
      loadTokenizer(text);
    } catch (error) {
      kind = (error as { kind: string }).kind;
    }
    expect([null, 'malformed-file']).toContain(kind);
  });

  it.each<[string, object]>([
    ['repetitions in braces', { normalizer: replace({ Regex: '(?:\\w{1,9}h?){1,20}%' }, '') }],
    [
      'one in a pre-tokenizer',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '(?:\\w{1,7}k?){1,20}%' }, behavior: 'Isolated' } },
    ],
    [
      'one after another that cuts into pieces',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: '.{120}' }, behavior: 'Isolated' },
            { type: 'Split', pattern: { Regex: '(?:\\w{1,7}k?){1,20}%' }, behavior: 'Isolated' },
          ],
        },
      },
    ],
    [
      'long beginnings',
      {
        normalizer: {
          type: 'Sequence',
          normalizers: Array.from({ length: 20 }, () => ({ type: 'Prepend', prepend: 'a'.repeat(900) })),
        },
      },
    ],
    ['a replacement by much', { normalizer: replace({ String: 'k' }, 'a'.repeat(900)) }],
  ])('has one budget for all texts: %s', (_, parts) => {
    const text = 'abchijklmnop'.repeat(20);
    const started = performance.now();
    let k = 0;
    let kind: string | null = null;
    try {
      const tokenizer = loadTokenizer({ ...base, ...parts });
      for (; k < 3000; k++) tokenizer.encode(text);
    } catch (error) {
      kind = (error as { kind: string }).kind;
    }
    expect(kind).toBe('too-large');
    expect(k).toBeLessThan(500);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('of a usual kind encodes any number of texts', () => {
    const usual = loadTokenizer({
      ...base,
      normalizer: {
        type: 'Sequence',
        normalizers: [{ type: 'Prepend', prepend: 'a' }, replace({ String: ' ' }, 'j')],
      },
      pre_tokenizer: {
        type: 'Split',
        pattern: { Regex: "'s|'t| ?\\p{L}+| ?\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
        behavior: 'Isolated',
      },
    });
    for (let k = 0; k < 20_000; k++) expect(usual.encode(k % 2 ? 'a' : 'bc hij').length).toBeGreaterThan(0);
  });

  it('of more tokens than its file has letters for is refused, and one of a usual size is not', () => {
    const text = (count: number, name: (i: number) => string) =>
      JSON.stringify({
        ...{ ...base, added_tokens: [] },
        model: {
          ...base.model,
          vocab: Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), i])),
        },
      });
    const few = text(200_000, (i) => i.toString(36));
    expect(() => loadTokenizer(few)).toThrow(/^tokenizer.json asks for 200,000 tokens, and the most is/);
    expect(loadTokenizer(text(120_000, (i) => i.toString(36))).vocabSize).toBe(120_000);
    expect(loadTokenizer(text(120_000, (i) => `token${i.toString(36)}`)).vocabSize).toBe(120_000);
  });

  it('spells words of bytes as the library does, whatever they are', () => {
    const byteLevel = {
      type: 'ByteLevel' as const,
      add_prefix_space: true,
      trim_offsets: true,
      use_regex: true,
    };
    const theirs = new ByteLevelPreTokenizer(byteLevel);
    const words = ['a', 'ü', '漢字', '😀', "don't", '\u0000', '  ', 'x'.repeat(100), '\n\t', '12', '\ud800'];
    const text = Array.from({ length: 40 }, (_, i) => words[(i * 7) % words.length]).join(' ');
    const spelled = theirs.pre_tokenize_text(text);
    const vocab = Object.fromEntries([...new Set(spelled)].map((word, id) => [word, id]));
    const tokenizer = loadTokenizer({
      ...{ ...base, added_tokens: [], pre_tokenizer: byteLevel },
      model: { type: 'WordLevel', vocab, unk_token: 'a' },
    });
    for (let times = 0; times < 2; times++)
      expect(tokenizer.encode(text)).toEqual(spelled.map((word) => vocab[word]));
  });

  it('replaces by the content as it stands', () => {
    const tokenizer = loadTokenizer({ ...base, normalizer: replace({ Regex: '[bc]+' }, 'j') });
    expect(tokenizer.encode('abcba')).toEqual(loadTokenizer(base).encode('aja'));
  });

  it('finds added tokens in normalised texts', () => {
    const json = {
      ...base,
      normalizer: { type: 'Lowercase' },
      added_tokens: [
        { id: 17, content: '<END>', special: false },
        { id: 18, content: '<Raw>', special: true },
      ],
    };
    expect(loadTokenizer(json).encode('A<end>b<Raw>')).toEqual([0, 17, 1, 18]);
  });
});
