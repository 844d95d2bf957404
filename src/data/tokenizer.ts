/** A model's own tokenizer, from Hugging Face's tokenizer.json, as the trainer and the generator need it. */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { PapilioError } from '../lib/errors.ts';

export interface EncodeOptions {
  /** With the special tokens that the model expects around a text (`<s>`, `[CLS]` … `[SEP]`). Default false. */
  readonly specials?: boolean;
  /** The text goes on from another one: without the space that some normalisers put before a text. Default false. */
  readonly continues?: boolean;
}

export interface Tokenizer {
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of `ids`; special tokens are left out unless asked for. */
  decode(ids: ArrayLike<number>, options?: EncodeOptions): string;
  /** The token as it stands in the vocabulary, or undefined. */
  token(id: number): string | undefined;
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The id that ends a text, if there is one. */
  readonly eos?: number;
  /** What fills a padded batch: the pad token, else `eos`, else 0. */
  readonly pad: number;
  /** The special ids that go before a text, such as Llama's `<s>`, and after it, such as BERT's `[SEP]`. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  /** The special ids between two texts that are read together. */
  readonly middle: readonly number[];
  /** The id that hides a token from a masked language model, if there is one. */
  readonly mask?: number;
  /** Ids that stand for no text: begin, end, padding, mask and their like. */
  readonly specials: ReadonlySet<number>;
  /** Whether a word inside a text is encoded with the space before it (GPT-2's vocabularies). */
  readonly spaced: boolean;
}

/**
 * Longer texts are encoded in parts of this many characters, cut after a line break: models without a pre-tokenizer
 * (Llama's) merge over the whole text, which takes more than twice as long for twice the length.
 */
const PART_CHARACTERS = 8_000;

const EOS_NAMES = ['<|endoftext|>', '</s>', '<|end_of_text|>', '<|im_end|>', '<eos>', '[SEP]'];
const PAD_NAMES = ['<pad>', '[PAD]', '<|pad|>'];
const MASK_NAMES = ['[MASK]', '<mask>', '<|mask|>'];

function parse(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PapilioError('malformed-file', `${file} is not valid JSON (${(cause as Error).message}).`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PapilioError(
      'malformed-file',
      `${file} holds no JSON object; give the file as Hugging Face writes it.`,
    );
  return value as Record<string, unknown>;
}

/**
 * Reads a tokenizer.
 * @param tokenizerJson the text, or the parsed value, of tokenizer.json
 * @param tokenizerConfig the same of tokenizer_config.json, where there is one (names eos and pad)
 * @throws PapilioError 'malformed-file'
 */
export function loadTokenizer(
  tokenizerJson: string | object,
  tokenizerConfig: string | object = {},
): Tokenizer {
  const json = typeof tokenizerJson === 'string' ? parse(tokenizerJson, 'tokenizer.json') : tokenizerJson;
  const config = (
    typeof tokenizerConfig === 'string' ? parse(tokenizerConfig, 'tokenizer_config.json') : tokenizerConfig
  ) as Record<string, unknown>;
  let inner: HfTokenizer;
  let vocabSize = 0;
  const specials = new Set<number>();
  try {
    inner = new HfTokenizer(json, config);
    for (const id of inner.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
    for (const [id, token] of inner.get_added_tokens_decoder()) if (token.special) specials.add(id);
    if (vocabSize === 0) throw new Error('the vocabulary is empty');
  } catch (cause) {
    throw new PapilioError(
      'malformed-file',
      `tokenizer.json cannot be used (${(cause as Error).message}); export it again with the tokenizers library.`,
    );
  }
  const named = (key: string, fallbacks: readonly string[]): number | undefined => {
    const entry = config[key] as string | { content?: string } | null | undefined;
    const name = typeof entry === 'string' ? entry : entry?.content;
    for (const candidate of name === undefined ? fallbacks : [name]) {
      const id = inner.token_to_id(candidate);
      if (id !== undefined) return id;
    }
    return undefined;
  };
  const plain = (text: string): number[] => inner.encode(text, { add_special_tokens: false }).ids;
  const lineBreak = plain('\n');
  /** The ids of a part inside a text: without the space that some normalisers put before a text. */
  const continued = (part: string): number[] => {
    const ids = plain(`\n${part}`);
    return lineBreak.every((id, k) => ids[k] === id) ? ids.slice(lineBreak.length) : plain(part);
  };
  const bare = plain('a');
  const dressed = inner.encode('a', { add_special_tokens: true }).ids;
  const at = bare.length === 0 ? -1 : dressed.indexOf(bare[0]!);
  const prefix = at > 0 ? dressed.slice(0, at) : [];
  const suffix = at >= 0 ? dressed.slice(at + bare.length) : [];
  const paired = inner.encode('a', { text_pair: 'a', add_special_tokens: true }).ids;
  const middle =
    at >= 0 ? paired.slice(prefix.length + bare.length, paired.length - suffix.length - bare.length) : [];
  const spacedWord = plain(' a');
  const isSpaced = !sameIds(spacedWord, bare) && sameIds(plain('a a'), [...bare, ...spacedWord]);
  const encode = (text: string, options: EncodeOptions = {}): number[] => {
    if (text.length <= PART_CHARACTERS && options.continues !== true)
      return inner.encode(text, { add_special_tokens: options.specials === true }).ids;
    const ids: number[] = [];
    cut(text).forEach((part, k) => {
      for (const id of k === 0 && options.continues !== true ? plain(part) : continued(part)) ids.push(id);
    });
    return options.specials === true ? [...prefix, ...ids, ...suffix] : ids;
  };
  const eos = named('eos_token', EOS_NAMES);
  const mask = named('mask_token', MASK_NAMES);
  for (const id of [eos, named('pad_token', PAD_NAMES), mask, ...prefix, ...suffix])
    if (id !== undefined) specials.add(id);
  return {
    encode,
    decode: (ids, options = {}) =>
      ids.length === 0
        ? ''
        : inner.decode(Array.from(ids), { skip_special_tokens: options.specials !== true }),
    token: (id) => inner.id_to_token(id),
    vocabSize,
    ...(eos === undefined ? {} : { eos }),
    pad: named('pad_token', PAD_NAMES) ?? eos ?? 0,
    prefix,
    suffix,
    middle,
    ...(mask === undefined ? {} : { mask }),
    specials,
    spaced: isSpaced,
  };
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, k) => id === b[k]);

function cut(text: string): string[] {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + PART_CHARACTERS);
    if (end < text.length) {
      const lineBreak = text.lastIndexOf('\n', end);
      if (lineBreak > start) end = lineBreak + 1;
      // Never between the halves of a surrogate pair.
      else if (/[\uD800-\uDBFF]/.test(text.charAt(end - 1))) end--;
    }
    parts.push(text.slice(start, end));
    start = end;
  }
  return parts;
}
