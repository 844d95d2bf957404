/** A model's own tokenizer, from Hugging Face's tokenizer.json, as the trainer and the generator need it. */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { PapilioError, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { checkTokenizer } from './tokenizerChecks.ts';
import { guardTokenizer, unnormalised } from './tokenizerGuards.ts';
import { mendTokenizer, readable } from './tokenizerMends.ts';
import { tokenText } from './tokenizerSettings.ts';
import { encodeSpans, type SpannedTokens } from './tokenSpans.ts';
import type { Span } from './types.ts';

export interface EncodeOptions {
  /** With the special tokens that the model expects around a text (`<s>`, `[CLS]` … `[SEP]`). Default false. */
  readonly specials?: boolean;
}

export interface Tokenizer {
  encode(text: string, options?: EncodeOptions): number[];
  /** The ids of `encode(text)`, and which of them have letters in one of the spans. */
  encodeSpans(text: string, spans: readonly Span[]): SpannedTokens;
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

const EOS_NAMES = ['<|endoftext|>', '</s>', '<|end_of_text|>', '<|im_end|>', '<eos>', '[SEP]'];
const PAD_NAMES = ['<pad>', '[PAD]', '<|pad|>'];
const MASK_NAMES = ['[MASK]', '<mask>', '<|mask|>'];

function parse(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = jsonOf(text, file);
  } catch (cause) {
    passOn(cause);
    throw new PapilioError('malformed-file', `${file} is not valid JSON (${(cause as Error).message}).`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PapilioError(
      'malformed-file',
      `${file} holds no JSON object; give the file as Hugging Face writes it.`,
    );
  return value as Record<string, unknown>;
}

/** What the library says of a file that it cannot use, which may be anything. */
function usable<T>(use: () => T): T {
  try {
    return use();
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    throw new PapilioError(
      'malformed-file',
      `tokenizer.json cannot be used (${(cause as Error).message}); export it again with the tokenizers library.`,
    );
  }
}

/**
 * Reads a tokenizer.
 * @param tokenizerJson the text, or the parsed value, of tokenizer.json
 * @param tokenizerConfig the same of tokenizer_config.json, where there is one (names eos and pad)
 * @throws PapilioError 'malformed-file', 'too-large'
 */
export function loadTokenizer(
  tokenizerJson: string | object,
  tokenizerConfig: string | object = {},
): Tokenizer {
  const json = typeof tokenizerJson === 'string' ? parse(tokenizerJson, 'tokenizer.json') : tokenizerJson;
  const config = (
    typeof tokenizerConfig === 'string' ? parse(tokenizerConfig, 'tokenizer_config.json') : tokenizerConfig
  ) as Record<string, unknown>;
  return usable(() => tokenizerOf(openTokenizer(json, config), config));
}

function openTokenizer(json: object, config: Readonly<Record<string, unknown>>): HfTokenizer {
  checkTokenizer(json);
  const { value, normalised } = unnormalised(readable(json));
  const { additional_special_tokens: additional, ...rest } = withPlainTokens(config);
  const inner = new HfTokenizer(value, rest);
  guardTokenizer(inner, normalised, Array.isArray(additional) ? additional : []);
  mendTokenizer(inner);
  return inner;
}

function tokenizerOf(inner: HfTokenizer, config: Readonly<Record<string, unknown>>): Tokenizer {
  let vocabSize = 0;
  const specials = new Set<number>();
  for (const id of inner.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
  for (const [id, token] of inner.get_added_tokens_decoder()) if (token.special) specials.add(id);
  if (vocabSize === 0) throw new Error('the vocabulary is empty');
  const named = (key: string, fallbacks: readonly string[]): number | undefined => {
    const name = tokenText(config[key]);
    for (const candidate of name === '' ? fallbacks : [name]) {
      const id = inner.token_to_id(candidate);
      if (id !== undefined) return id;
    }
    return undefined;
  };
  const { prefix, suffix, middle, spaced } = surroundings(inner);
  const eos = named('eos_token', EOS_NAMES);
  const mask = named('mask_token', MASK_NAMES);
  for (const id of [eos, named('pad_token', PAD_NAMES), mask, ...prefix, ...suffix])
    if (id !== undefined) specials.add(id);
  return {
    encode: (text, options = {}) =>
      checked(usable(() => inner.encode(text, { add_special_tokens: options.specials === true }).ids)),
    encodeSpans: (text, spans) => {
      const tokens = usable(() => encodeSpans(inner, text, spans));
      checked(tokens.ids);
      return tokens;
    },
    decode: (ids, options = {}) =>
      ids.length === 0
        ? ''
        : usable(() => inner.decode(Array.from(ids), { skip_special_tokens: options.specials !== true })),
    token: (id) => inner.id_to_token(id),
    vocabSize,
    ...(eos === undefined ? {} : { eos }),
    pad: named('pad_token', PAD_NAMES) ?? eos ?? 0,
    prefix,
    suffix,
    middle,
    ...(mask === undefined ? {} : { mask }),
    specials,
    spaced,
  };
}

/** What goes before, after and between texts, and whether a word takes the space before it along: seen by a letter. */
function surroundings(inner: HfTokenizer): Pick<Tokenizer, 'prefix' | 'suffix' | 'middle' | 'spaced'> {
  const plain = (text: string): number[] => inner.encode(text, { add_special_tokens: false }).ids;
  const word = wordOf(inner);
  const bare = plain(word);
  const dressed = inner.encode(word, { add_special_tokens: true }).ids;
  const at = bare.length === 0 ? -1 : dressed.indexOf(bare[0]!);
  const prefix = at > 0 ? dressed.slice(0, at) : [];
  const suffix = at >= 0 ? dressed.slice(at + bare.length) : [];
  const paired = inner.encode(word, { text_pair: word, add_special_tokens: true }).ids;
  const middle =
    at >= 0 ? paired.slice(prefix.length + bare.length, paired.length - suffix.length - bare.length) : [];
  const spacedWord = plain(` ${word}`);
  const spaced = !sameIds(spacedWord, bare) && sameIds(plain(`${word} ${word}`), [...bare, ...spacedWord]);
  return { prefix, suffix, middle, spaced };
}

/** The token that ends a text, as a text; empty where there is none. */
export const endOf = (tokenizer: Tokenizer | null): string =>
  tokenizer?.eos === undefined ? '' : (tokenizer.token(tokenizer.eos) ?? '');

/** A letter that the vocabulary knows: what special tokens stand around is seen by it. */
function wordOf(inner: HfTokenizer): string {
  const isKnown = (text: string) =>
    inner.encode(text, { add_special_tokens: false }).ids.some((id) => id !== undefined);
  if (isKnown('a')) return 'a';
  const letters = [...inner.get_vocab(false).keys()].filter((token) => /^\p{L}$/u.test(token ?? ''));
  return letters.find(isKnown) ?? 'a';
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, k) => id === b[k]);

/** @throws PapilioError 'bad-data' for a text with words for which the vocabulary has neither a token nor an unknown token */
function checked(ids: number[]): number[] {
  if (ids.every((id) => id >= 0)) return ids;
  throw new PapilioError(
    'bad-data',
    "The text has words that the model's vocabulary does not know, and it has no token for what is unknown; take other text or another model.",
  );
}

/** The configuration with special tokens as texts, as the library takes them. */
const withPlainTokens = (config: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      if (key.endsWith('_token') && typeof value === 'object') return [key, tokenText(value) || null];
      if (key === 'additional_special_tokens' && Array.isArray(value)) return [key, value.map(tokenText)];
      return [key, value];
    }),
  );
