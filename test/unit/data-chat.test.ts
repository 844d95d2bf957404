/**
 * What is learnt of a conversation, for templates in the shapes of published models, several tokenizers and awkward contents: the ids are those of
 * the whole rendering, and the mask decodes to the assistant's words and the mark that ends its turn.
 *
 * Seen to fail with: the mask moved by one token, answers searched for as text, a template's strip() that drops its marks, a tokenizer whose sections
 * lose the place of stripped spaces.
 */
import { describe, expect, it } from 'vitest';
import { chatFormat } from '../../src/data/chat.ts';
import { encodeChat, promptIds, stopIds } from '../../src/data/instructions.ts';
import type { Message } from '../../src/data/messages.ts';
import { loadTokenizer, type Tokenizer } from '../../src/data/tokenizer.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';
import { SHAPES, type Shape } from './chat-shapes.ts';

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const system = (content: string): Message => ({ role: 'system', content });

type Flags = { readonly lstrip?: boolean; readonly rstrip?: boolean };
const signsOf = ({ bos, eos, signs }: Shape): string[] => [
  ...new Set(['<unk>', ...(bos ? [bos] : []), eos, ...signs]),
];
const addedTokens = (signs: readonly string[], flags: Flags) =>
  signs.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
    ...flags,
  }));

/** GPT-2's kind: bytes, words with the space before them. */
function byteLevel(shape: Shape, flags: Flags = {}): Tokenizer {
  const specials = signsOf(shape);
  const json = trainBpe(['is snow cold ? yes it is, no it is not, say yes or no'], {
    vocabSize: 290 + specials.length,
    specials,
  });
  return loadTokenizer({ ...json, added_tokens: addedTokens(specials, flags) }, { eos_token: shape.eos });
}

/** Llama's kind: letters and bytes, ▁ for a space and put before every text. */
function sentencePiece(shape: Shape, flags: Flags = {}, metaspace: string | null = null): Tokenizer {
  const signs = signsOf(shape);
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  const letters = Array.from({ length: 94 }, (_, k) => String.fromCharCode(33 + k));
  const merges = ['y e', 'ye s', '▁ yes', 'n o', '▁ no', 'i s', '▁ is', '▁ ▁'];
  const tokens = [...signs, ...bytes, '▁', ...letters, ...merges.map((m) => m.replace(' ', ''))];
  const json = {
    added_tokens: addedTokens(signs, flags),
    normalizer: metaspace
      ? null
      : {
          type: 'Sequence',
          normalizers: [
            { type: 'Prepend', prepend: '▁' },
            { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
          ],
        },
    pre_tokenizer: metaspace
      ? { type: 'Metaspace', replacement: '▁', prepend_scheme: metaspace, split: false }
      : null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      byte_fallback: true,
      fuse_unk: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
  return loadTokenizer(json, { eos_token: shape.eos, clean_up_tokenization_spaces: false });
}

const KINDS: Readonly<Record<string, (shape: Shape) => Tokenizer>> = {
  'byte-level BPE': (shape) => byteLevel(shape),
  'byte-level BPE whose special tokens take the spaces behind them': (shape) =>
    byteLevel(shape, { rstrip: true }),
  'SentencePiece, ▁ by the normaliser': (shape) => sentencePiece(shape),
  'SentencePiece whose special tokens take the spaces around them': (shape) =>
    sentencePiece(shape, { lstrip: true, rstrip: true }),
  'Metaspace at every text': (shape) => sentencePiece(shape, {}, 'always'),
  'Metaspace at the first text': (shape) => sentencePiece(shape, {}, 'first'),
};

const formatOf = ({ template, bos, eos }: Shape) =>
  chatFormat({ chat_template: template, eos_token: eos, ...(bos ? { bos_token: bos } : {}) });

/** Decoded stretches of learnt tokens. */
function learntTexts(tokenizer: Tokenizer, ids: readonly number[], learnt: readonly number[]): string[] {
  const texts: number[][] = [];
  ids.forEach((id, t) => {
    if (learnt[t] === 0) return;
    if (learnt[t - 1] !== 1) texts.push([]);
    texts.at(-1)!.push(id);
  });
  return texts.map((run) => tokenizer.decode(run, { specials: true }));
}

/** Without what special tokens and ▁ do to spaces. */
const tight = (text: string): string => text.replace(/[\s▁]+/g, '');

const CONVERSATIONS: Readonly<Record<string, readonly Message[]>> = {
  'one turn': [user('is snow cold ?'), assistant('yes')],
  'two turns, the answers in the questions': [
    user('say yes or no, yes or no: is snow cold ?'),
    assistant('yes'),
    user('yes or no: is fire cold ?'),
    assistant('no'),
  ],
  'three turns with the same answer': [
    user('yes'),
    assistant('yes'),
    user('yes'),
    assistant('yes'),
    user('yes yes'),
    assistant('yes'),
  ],
  'spaces around the words': [user(' a '), assistant('  yes '), user('b\n'), assistant('\nno\n\n')],
  'several scripts': [
    user('naïve – 日本 🦋'),
    assistant('🦋 ja, „日本“ é'),
    user('и?'),
    assistant('да 👩‍👩‍👧'),
  ],
  'special tokens written as words': [
    user('what is < | > ?'),
    assistant('<b>|</b> <|x|> [y]'),
    user('ok'),
    assistant('<'),
  ],
  'answers that hold the question': [user('no'), assistant('no no no'), user('no no'), assistant('no')],
};

describe.each(SHAPES)('$name', (shape) => {
  const format = formatOf(shape);
  const words = (content: string) => (shape.trims ? content.trim() : content);

  describe.each(Object.keys(KINDS))('%s', (kind) => {
    const tokenizer = KINDS[kind]!(shape);
    it.each(Object.keys(CONVERSATIONS))('%s', (name) => {
      const messages = CONVERSATIONS[name]!;
      const { ids, learnt } = encodeChat(format, tokenizer, messages);
      expect([...ids]).toEqual(tokenizer.encode(format.render(messages).text));
      const expected = messages.flatMap((m, k) =>
        m.role === 'assistant' ? [shape.says(words(m.content as string), k === messages.length - 1)] : [],
      );
      const found = learntTexts(tokenizer, ids, learnt);
      expect(found.map(tight)).toEqual(expected.map(tight));
      // Byte-level tokens lose nothing but, in front, the space that belongs to a word.
      if (kind === 'byte-level BPE')
        found.forEach((text, k) => {
          expect([expected[k], ` ${expected[k]}`]).toContain(text);
        });
    });

    it('an empty answer is its end alone', () => {
      const messages = [user('yes ?'), assistant('yes'), user('and ?'), assistant('')];
      const { ids, learnt } = encodeChat(format, tokenizer, messages);
      const found = learntTexts(tokenizer, ids, learnt).map(tight);
      if (!shape.name.startsWith('pairs'))
        expect(found).toEqual([shape.says('yes', false), shape.says('', true)].map(tight));
    });
  });

  it('a system turn is read, or refused as the template says', () => {
    const messages = [
      system('yes, be brief'),
      user('is it ?'),
      assistant('yes'),
      user('sure ?'),
      assistant('no'),
    ];
    if (shape.name.startsWith('pairs'))
      expect(format.render(messages).remarks).toEqual(['does not write messages of the role system']);
    else if (shape.refusesSystem)
      expect(() => format.render(messages)).toThrow(/refused by the model's chat template/);
    else {
      const { text, learnt, remarks } = format.render(messages);
      expect(text).toContain('yes, be brief');
      expect(remarks).toEqual([]);
      expect(learnt.map(({ start, end }) => tight(text.slice(start, end)))).toEqual(
        [shape.says('yes', false), shape.says('no', true)].map(tight),
      );
    }
  });

  it('the tokens before the first answer are those that a generation is asked with, and its end stops it', () => {
    const tokenizer = byteLevel(shape);
    const messages = [user('is snow cold ?'), assistant('yes')];
    const { ids, learnt } = encodeChat(format, tokenizer, messages);
    const asked = promptIds(format, tokenizer, 'is snow cold ?');
    const begins = learnt.indexOf(1);
    if (!/R1|pairs/.test(shape.name)) expect(asked.slice(0, begins)).toEqual([...ids.slice(0, begins)]);
    const stop = stopIds(format, tokenizer);
    const closing = shape.says('yes', true).split('yes').at(-1)!.trim();
    if (closing !== '')
      expect([...stop].map((id) => tokenizer.token(id))).toContain(
        tokenizer.token(tokenizer.encode(closing)[0]!),
      );
  });
});
