/** Text for language models: one stream of ids, its last part held out; long texts are encoded in parts. */
import { within } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
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
    fail('bad-argument', say`A held share of ${heldShare} cannot be used; give a number between 0 and 1.`);
  const tokens = encodeText(tokenizer, text, name);
  if (tokens.length < LEAST_TOKENS)
    fail(
      'bad-data',
      say`${name} has only ${tokens.length} tokens; give at least ${LEAST_TOKENS}, better some thousands.`,
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

/**
 * Documents that are split already; each is followed by the tokenizer's end token, or a blank line without one.
 * @param block where given, each stretch of so many tokens begins with the end token and a new document, and the rest of the one before is
 * left out: a model that writes from the end token alone has then seen documents begin so. Needs a tokenizer with an end token.
 */
export function documentsDataset(
  name: string,
  train: readonly string[],
  held: readonly string[],
  tokenizer: Tokenizer,
  block?: number,
): TextDataset {
  const stream = (documents: readonly string[]): Int32Array => {
    const { eos } = tokenizer;
    if (block !== undefined && eos !== undefined)
      return inBlocks(
        documents.map((document) => encodeText(tokenizer, document, name)),
        eos,
        block,
      );
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
      say`${name} has only ${a.length + b.length} tokens in ${train.length + held.length} texts; give more text.`,
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

/** Documents, each after the token `end`; one that does not end within its block is cut there. */
function inBlocks(documents: readonly Int32Array[], end: number, block: number): Int32Array {
  let length = 0;
  return joined(
    documents.flatMap((document) => {
      const part = document.subarray(0, block - (length % block) - 1);
      length += part.length + 1;
      return [Int32Array.of(end), part];
    }),
  );
}

/** A running text for a masked language model. @throws PapilioError 'bad-data' for a tokenizer without a mask token */
export function maskedText(dataset: TextDataset, tokenizer: Tokenizer): MaskedTextDataset {
  const { mask, specials, suffix, pad } = tokenizer;
  if (mask === undefined)
    return fail(
      'bad-data',
      say`The model's tokenizer has no mask token, so its model cannot guess hidden words; put its tokenizer_config.json beside it, or choose another model.`,
    );
  return { ...dataset, kind: 'masked-text', masking: { id: mask, specials, suffix, padId: pad } };
}

// Running texts as ids. What encoding takes in memory grows with the text, some 70 bytes a letter, so a long text is encoded in parts; it is cut
// only where the tokens around are seen to be those of the uncut text. A text that can be cut nowhere is encoded as a whole.

const PART = 2 ** 17;
/** Letters on either side of a cut that are looked at: no token depends on what is further away. */
const NEAR = 1024;
const MOST_TRIES = 16;

/**
 * @param part letters of a part, about
 * @throws PapilioError 'too-large' for more letters in one word or one white space than any text has
 */
export function encodeText(tokenizer: Tokenizer, text: string, name: string, part = PART): Int32Array {
  within('unbrokenLetters', longestStretch(text), name);
  const parts: Int32Array[] = [];
  for (let at = 0; at < text.length || at === 0; ) {
    const end = text.length - at <= part ? text.length : cutFrom(tokenizer, text, at + part);
    parts.push(Int32Array.from(tokenizer.encode(text.slice(at, end))));
    at = Math.max(end, 1);
  }
  return joined(parts);
}

function joined(parts: readonly Int32Array[]): Int32Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The first place from `from` on, between a word and the white space after it, where a cut changes no token; the end where none is near. */
function cutFrom(tokenizer: Tokenizer, text: string, from: number): number {
  const ends = /\S(?=\s)/g;
  ends.lastIndex = from;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const found = ends.exec(text);
    if (found === null) break;
    const cut = found.index + 1;
    const [before, after] = [text.slice(cut - NEAR, cut), text.slice(cut, cut + NEAR)];
    const apart = [...tokenizer.encode(before), ...tokenizer.encode(after)];
    const whole = tokenizer.encode(before + after);
    if (apart.length === whole.length && apart.every((id, i) => id === whole[i])) return cut;
  }
  return text.length;
}

/** Letters of the longest word of a text, or of its longest white space: where neither ends, no text can be cut. */
export function longestStretch(text: string): number {
  const [space, word] = [/\s/g, /\S/g];
  let longest = 0;
  for (let [at, isWord] = [0, !/^\s/.test(text)]; at < text.length; isWord = !isWord) {
    const other = isWord ? space : word;
    other.lastIndex = at;
    const end = other.test(text) ? other.lastIndex - 1 : text.length;
    longest = Math.max(longest, end - at);
    at = end;
  }
  return longest;
}
