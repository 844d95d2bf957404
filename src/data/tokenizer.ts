/**
 * A model's own tokenizer, from Hugging Face's tokenizer.json, as the trainer and the generator need it: its settings, and what the tokenizers library of
 * JavaScript does otherwise than Python's.
 */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { within } from '../lib/budget.ts';
import { PapilioError, passOn } from '../lib/errors.ts';
import { jsonOf, settingsIn } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { checkTokenizer, guardTokenizer, unnormalised } from './tokenizerGuards.ts';
import { encodeSpans, type SpannedTokens } from './tokenSpans.ts';
import type { Span } from './types.ts';
import { withoutVocabulary } from './vocabulary.ts';

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

function parse(text: string): Record<string, unknown> {
  const file = 'tokenizer.json';
  let value: unknown;
  try {
    value = jsonOf(text, file);
  } catch (cause) {
    passOn(cause);
    throw new PapilioError('malformed-file', say`${file} is not valid JSON (${(cause as Error).message}).`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PapilioError(
      'malformed-file',
      say`${file} holds no JSON object; give the file as Hugging Face writes it.`,
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
      say`tokenizer.json cannot be used (${(cause as Error).message}); export it again with the tokenizers library.`,
    );
  }
}

/** @throws PapilioError 'too-large' for a vocabulary of more tokens than a text of so many letters has that is a tokenizer's */
function requireTokens(json: object, letters: number): void {
  const { model } = json as { readonly model?: { readonly vocab?: unknown } | null };
  const vocabulary = model?.vocab;
  if (typeof vocabulary === 'object' && vocabulary !== null)
    within('vocabularyTokens', Object.keys(vocabulary).length, 'tokenizer.json', letters);
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
  const json = typeof tokenizerJson === 'string' ? parse(tokenizerJson) : tokenizerJson;
  if (typeof tokenizerJson === 'string') requireTokens(json, tokenizerJson.length);
  const config = (
    typeof tokenizerConfig === 'string'
      ? settingsIn(tokenizerConfig, 'tokenizer_config.json')
      : tokenizerConfig
  ) as Record<string, unknown>;
  return usable(() => tokenizerOf(openTokenizer(json, config), config));
}

function openTokenizer(json: object, config: Readonly<Record<string, unknown>>): HfTokenizer {
  checkTokenizer(json);
  const { value, normalised } = unnormalised(readable(json));
  const { additional_special_tokens: additional, ...rest } = withPlainTokens(config);
  const { value: light, fill } = withoutVocabulary(value);
  const inner = new HfTokenizer(light, rest);
  fill(inner);
  guardTokenizer(inner, normalised, Array.isArray(additional) ? additional : []);
  mendTokenizer(inner);
  return inner;
}

function tokenizerOf(inner: HfTokenizer, config: Readonly<Record<string, unknown>>): Tokenizer {
  const vocabSize = innerOf(inner).model.vocab.length;
  const specials = new Set<number>();
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
  const { model, added_tokens_map } = innerOf(inner);
  const isLetter = (token: string | undefined): boolean =>
    /^\p{L}$/u.test(token ?? '') && !added_tokens_map.has(token) && isKnown(token!);
  return model.vocab.find(isLetter) ?? 'a';
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, k) => id === b[k]);

/** @throws PapilioError 'bad-data' for a text with words for which the vocabulary has neither a token nor an unknown token */
function checked(ids: number[]): number[] {
  if (ids.every((id) => id >= 0)) return ids;
  throw new PapilioError(
    'bad-data',
    say`The text has words that the model's vocabulary does not know, and it has no token for what is unknown; take other text or another model.`,
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

// What the small files beside a model say of its special tokens and its chat template.

/** The text of a special token as configurations have it: a text, an object with `content`, or nothing (''). */
export const tokenText = (entry: unknown): string => {
  if (typeof entry === 'string') return entry;
  const content = (entry as { readonly content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : '';
};

type Json = Readonly<Record<string, unknown>>;

export interface TokenizerSettings {
  /** tokenizer_config.json, with what only special_tokens_map.json names. */
  readonly config: Json;
  /** The chat template that lies in a file of its own; null where there is none. */
  readonly template: string | null;
}

/**
 * Reads them as transformers does: special_tokens_map.json where tokenizer_config.json is silent, chat_template.jinja before
 * chat_template.json before the configuration's own.
 * @param text a file's text by its name, null where it is missing
 */
export function tokenizerSettings(text: (name: string) => string | null): TokenizerSettings {
  const json = (name: string): Record<string, unknown> => {
    const content = text(name);
    return content === null ? {} : settingsIn(content, name);
  };
  // Its own value and no copy of it, which would be large again.
  const config = json('tokenizer_config.json');
  for (const [key, value] of Object.entries(json('special_tokens_map.json'))) config[key] ??= value;
  const { chat_template } = json('chat_template.json');
  return {
    config,
    template: text('chat_template.jinja') ?? (typeof chat_template === 'string' ? chat_template : null),
  };
}

// Where @huggingface/tokenizers 0.2 differs from the tokenizers library of Python: what its files may leave out, and what its parts do otherwise.

/**
 * tokenizer.json's value with the parts that may be left out.
 * @throws Error for a BPE without merges whose tokens have several letters: they could not be put together
 */
function readable(json: object): object {
  const empty = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
  };
  const { model } = json as { readonly model?: Json };
  if (model?.type !== 'BPE' || Array.isArray(model.merges)) return { ...empty, ...json };
  const added = new Set(
    ((json as { added_tokens?: readonly { content: string }[] }).added_tokens ?? []).map((t) => t.content),
  );
  const isLong = (token: string) =>
    Array.from(token).length > 1 && !added.has(token) && !/^<.*>$/.test(token);
  if (Object.keys(model.vocab ?? {}).some(isLong))
    throw new Error('its BPE model has no merges, without which words cannot be put together');
  return { ...empty, ...json, model: { ...model, merges: [] } };
}

/** The library's parts that are mended. */
interface Model {
  readonly config: { readonly unk_token?: string | null };
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly vocab: readonly (string | undefined)[];
  unk_token_id?: number | undefined;
  unk_token?: string | undefined;
  readonly end_of_word_suffix?: string | null;
  readonly continuing_subword_suffix?: string | null;
  bpe?: (piece: string) => string[];
  tokenize?: (piece: string) => string[];
  encode: (pieces: readonly string[]) => string[];
}
interface PreTokenizer {
  readonly tokenizers?: readonly (PreTokenizer | null)[];
  pre_tokenize_text: (text: string) => string[];
}

/** What the library's tokenizer keeps to itself. */
interface Inner {
  readonly model: Model;
  readonly added_tokens_map: ReadonlyMap<string | undefined, unknown>;
  readonly pre_tokenizer: PreTokenizer | null;
  readonly tokenizer: { readonly pre_tokenizer: Json | null };
}
const innerOf = (tokenizer: HfTokenizer): Inner => tokenizer as unknown as Inner;

/** Mends a tokenizer of the library in place. */
function mendTokenizer(inner: HfTokenizer): void {
  const { model, pre_tokenizer, tokenizer } = innerOf(inner);
  const { unk_token } = model.config;
  if (model.unk_token_id === undefined && typeof unk_token === 'string') {
    model.unk_token_id = model.tokens_to_ids.get(unk_token);
    model.unk_token = unk_token;
  }
  if (pre_tokenizer) mendWords(pre_tokenizer, tokenizer.pre_tokenizer);
  cutLongPieces(model);
}

/** Letters of any script make words in Python's `\w`, in JavaScript's only those of English. */
const WORDS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

function mendWords(part: PreTokenizer, config: Json | null): void {
  const inside = config?.pretokenizers as readonly Json[] | undefined;
  if (config?.type === 'Whitespace') part.pre_tokenize_text = (text) => text.match(WORDS) ?? [];
  if (config?.type === 'ByteLevel') spellOnce(part as ByteLevel);
  part.tokenizers?.forEach((one, k) => {
    if (one) mendWords(one, inside?.[k] ?? null);
  });
}

/** The library's pre-tokenizer of GPT-2's kin, as far as it is mended. */
interface ByteLevel extends PreTokenizer {
  readonly add_prefix_space: boolean;
  readonly use_regex: boolean;
  readonly pattern: RegExp;
  readonly byte_encoder: Readonly<Record<number, string>>;
  readonly text_encoder: TextEncoder;
}

/** Words that are kept spelled. */
const MOST_SPELLED = 2 ** 14;

/** The library spells every word of a text byte by byte, which takes longer than all the rest; a word that comes again is spelled once. */
function spellOnce(part: ByteLevel): void {
  const spelled = new Map<string, string>();
  const spell = (word: string): string => {
    const known = spelled.get(word);
    if (known !== undefined) return known;
    let letters = '';
    for (const byte of part.text_encoder.encode(word)) letters += part.byte_encoder[byte];
    if (spelled.size >= MOST_SPELLED) spelled.clear();
    // A long word seldom comes again.
    if (word.length <= 64) spelled.set(word, letters);
    return letters;
  };
  part.pre_tokenize_text = (text) => {
    const whole = part.add_prefix_space && !text.startsWith(' ') ? ` ${text}` : text;
    return (part.use_regex ? (whole.match(part.pattern) ?? []) : [whole]).map(spell);
  };
}

/** Pieces of more letters are cut where they can be. */
const LONG = 2_000;

/**
 * Models without a pre-tokenizer (Llama's) take a whole text as one piece, and the time grows faster than its length. A piece is cut between two
 * letters that no token of the vocabulary has side by side: no merge and no token reaches across, so the tokens are the same ones.
 */
function cutLongPieces(model: Model): void {
  if (model.end_of_word_suffix || model.continuing_subword_suffix) return;
  let pairs: Set<string> | undefined;
  const cut = (piece: string): string[] => {
    pairs ??= neighbours(model.vocab);
    const parts: string[] = [];
    let part = '';
    let before = '';
    for (const letter of piece) {
      if (part.length >= LONG && !pairs.has(before + letter)) {
        parts.push(part);
        part = '';
      }
      part += letter;
      before = letter;
    }
    return [...parts, part];
  };
  for (const name of ['bpe', 'tokenize'] as const) {
    const whole = model[name]?.bind(model);
    if (whole) model[name] = (piece) => (piece.length > LONG ? cut(piece).flatMap(whole) : whole(piece));
  }
  // The library spreads a piece's tokens into one call's arguments, of which there cannot be as many.
  const { tokenize } = model;
  if (tokenize) model.encode = (pieces) => pieces.flatMap((piece) => tokenize(piece));
}

/** Every two letters that stand side by side in a token. */
function neighbours(vocabulary: Model['vocab']): Set<string> {
  const pairs = new Set<string>();
  for (const token of vocabulary) {
    let before = '';
    for (const letter of token ?? '') {
      if (before !== '') pairs.add(before + letter);
      before = letter;
    }
  }
  return pairs;
}
