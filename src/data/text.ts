/** Text for language models: one stream of ids, its last part held. */
import { fail } from '../lib/errors.ts';
import { encodeText, joined } from './encodeText.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { MaskedTextDataset, TextDataset } from './types.ts';

/** The share of a user's text that is held, from its end. */
export const HELD_SHARE = 0.1;

const LEAST_TOKENS = 32;

/** A running text; the last `heldShare` of its tokens is held. Throws 'bad-data' when there is too little of it. */
export function textDataset(
  name: string,
  text: string,
  tokenizer: Tokenizer,
  options: { readonly heldShare?: number } = {},
): TextDataset {
  const { heldShare = HELD_SHARE } = options;
  if (!(heldShare > 0 && heldShare < 1))
    fail('bad-argument', `A held share of ${heldShare} cannot be used; give a number between 0 and 1.`);
  const tokens = encodeText(tokenizer, text, name);
  if (tokens.length < LEAST_TOKENS)
    fail(
      'bad-data',
      `${name} has only ${tokens.length} tokens; give at least ${LEAST_TOKENS}, better some thousands.`,
    );
  const cut = tokens.length - Math.max(2, Math.round(tokens.length * heldShare));
  return {
    kind: 'text',
    name,
    heldShare,
    prefix: tokenizer.prefix,
    vocabSize: tokenizer.vocabSize,
    train: { tokens: tokens.subarray(0, cut) },
    held: { tokens: tokens.subarray(cut) },
  };
}

/** Documents that are split already; each is followed by the tokenizer's end token, or a blank line without one. */
export function documentsDataset(
  name: string,
  train: readonly string[],
  held: readonly string[],
  tokenizer: Tokenizer,
): TextDataset {
  const stream = (documents: readonly string[]): Int32Array => {
    const { eos } = tokenizer;
    const end = eos === undefined ? [] : [Int32Array.of(eos)];
    return joined(
      documents.flatMap((document) => [
        encodeText(tokenizer, eos === undefined ? `${document}\n\n` : document, name),
        ...end,
      ]),
    );
  };
  const [a, b] = [stream(train), stream(held)];
  if (a.length < LEAST_TOKENS || b.length < 2)
    fail(
      'bad-data',
      `${name} has only ${a.length + b.length} tokens in ${train.length + held.length} texts; give more text.`,
    );
  return {
    kind: 'text',
    name,
    heldShare: held.length / (train.length + held.length),
    prefix: tokenizer.prefix,
    vocabSize: tokenizer.vocabSize,
    train: { tokens: a },
    held: { tokens: b },
  };
}

/** A running text for a masked language model. @throws PapilioError 'bad-data' for a tokenizer without a mask token */
export function maskedText(dataset: TextDataset, tokenizer: Tokenizer): MaskedTextDataset {
  const { mask, specials, suffix, pad } = tokenizer;
  if (mask === undefined)
    return fail(
      'bad-data',
      "The model's tokenizer has no mask token, so its model cannot guess hidden words; put its tokenizer_config.json beside it, or choose another model.",
    );
  return { ...dataset, kind: 'masked-text', masking: { id: mask, specials, suffix, padId: pad } };
}
