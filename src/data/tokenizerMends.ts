/** Where @huggingface/tokenizers 0.2 differs from the tokenizers library of Python: what its files may leave out, and what its parts do otherwise. */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';

type Json = Readonly<Record<string, unknown>>;

/**
 * tokenizer.json's value with the parts that may be left out.
 * @throws Error for a BPE without merges whose tokens have several letters: they could not be put together
 */
export function readable(json: object): object {
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

/** Mends a tokenizer of the library in place. */
export function mendTokenizer(inner: HfTokenizer): void {
  const { model, pre_tokenizer, tokenizer } = inner as unknown as {
    readonly model: Model;
    readonly pre_tokenizer: PreTokenizer | null;
    readonly tokenizer: { readonly pre_tokenizer: Json | null };
  };
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
