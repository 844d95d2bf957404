/** A model's own tokenizer, from Hugging Face's tokenizer.json, as the trainer and the generator need it. */
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { PapilioError } from '../lib/errors.ts';

export interface EncodeOptions {
  /** With the special tokens the model expects around a text (`<s>`, `[CLS]` … `[SEP]`). Default false. */
  readonly specials?: boolean;
}

export interface Tokenizer {
  encode(text: string, options?: EncodeOptions): number[];
  /** The text of `ids`, without special tokens. */
  decode(ids: ArrayLike<number>): string;
  /** The token as it stands in the vocabulary, or undefined. */
  token(id: number): string | undefined;
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The id that ends a text, if there is one. */
  readonly eos?: number;
  /** What fills a padded batch: the pad token, else `eos`, else 0. */
  readonly pad: number;
  /** The special ids that go before a text, such as Llama's `<s>`. */
  readonly prefix: readonly number[];
}

/** Texts longer than this are encoded in parts cut after a line break, so that memory stays bounded. */
const PART_CHARACTERS = 400_000;

const EOS_NAMES = ['<|endoftext|>', '</s>', '<|end_of_text|>', '<|im_end|>', '<eos>', '[SEP]'];
const PAD_NAMES = ['<pad>', '[PAD]', '<|pad|>'];

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
  try {
    inner = new HfTokenizer(json, config);
    for (const id of inner.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
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
  const encode = (text: string, options: EncodeOptions = {}): number[] => {
    const parts = text.length > PART_CHARACTERS ? cut(text) : [text];
    const ids = parts.map((part, k) => {
      const specials = options.specials === true && parts.length === 1 && k === 0;
      return inner.encode(part, { add_special_tokens: specials }).ids;
    });
    return ids.length === 1 ? ids[0]! : ids.flat();
  };
  const bare = encode('a');
  const dressed = encode('a', { specials: true });
  const at = dressed.indexOf(bare[0] ?? -1);
  const eos = named('eos_token', EOS_NAMES);
  return {
    encode,
    decode: (ids) => (ids.length === 0 ? '' : inner.decode(Array.from(ids), { skip_special_tokens: true })),
    token: (id) => inner.id_to_token(id),
    vocabSize,
    ...(eos === undefined ? {} : { eos }),
    pad: named('pad_token', PAD_NAMES) ?? eos ?? 0,
    prefix: at > 0 ? dressed.slice(0, at) : [],
  };
}

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
