/**
 * Which tokens of a text lie in given stretches of it. The tokenizers library gives no offsets, so the text goes through the library's own parts
 * one by one (added tokens, normaliser, pre-tokenizer, model), and each token keeps the place of its letters. The ids are those of the library's
 * `encode` without special tokens.
 */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import type { Span } from './types.ts';

interface AddedToken {
  readonly id: number;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** The library's tokenizer with the parts that it declares private. */
interface Parts {
  readonly splitter_unnormalized: { split(text: string): string[] };
  readonly splitter_normalized: { split(text: string): string[] };
  readonly added_tokens_map: ReadonlyMap<string, AddedToken>;
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: {
    pre_tokenize(text: string, options: { section_index: number }): string[];
  } | null;
  readonly remove_space?: boolean;
  readonly model: Model;
}

interface Model {
  readonly config: { readonly continuing_subword_prefix?: string | null };
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id?: number;
  readonly end_of_word_suffix?: string | null;
  readonly continuing_subword_suffix?: string | null;
  readonly fuse_unk: boolean;
  readonly bpe?: unknown;
  encode(pieces: readonly string[]): string[];
}

export interface SpannedTokens {
  readonly ids: number[];
  /** 1 for tokens that have letters in one of the spans. */
  readonly inside: number[];
}

/** A token and its letters in the text that it was made from. */
interface Placed extends Span {
  readonly token: string;
}

/** Part of a text, from `start` on. */
interface Section {
  readonly text: string;
  readonly start: number;
  readonly added?: AddedToken;
}

/** As the library does: texts between added tokens, without the spaces that these take with them. */
function sectionsOf(
  text: string,
  split: (text: string) => string[],
  added: Parts['added_tokens_map'],
): Section[] {
  let at = 0;
  const sections = split(text).map((part): Section => {
    const section = { text: part, start: at };
    at += part.length;
    const token = added.get(part);
    return token ? { ...section, added: token } : section;
  });
  sections.forEach(({ added: token }, i) => {
    const [before, after] = [sections[i - 1], sections[i + 1]];
    if (token?.lstrip && before) sections[i - 1] = { ...before, text: withoutSpaceBehind(before.text) };
    if (token?.rstrip && after) {
      const kept = after.text.replace(/^\p{White_Space}+/u, '');
      sections[i + 1] = { ...after, text: kept, start: after.start + after.text.length - kept.length };
    }
  });
  return sections.filter((section) => section.text !== '');
}

/** No expression: it would begin at each white space anew. */
function withoutSpaceBehind(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Encodes `text` and marks the tokens of `spans`. */
export function encodeSpans(inner: HfTokenizer, text: string, spans: readonly Span[]): SpannedTokens {
  const parts = inner as unknown as Parts;
  const found: SpannedTokens = { ids: [], inside: [] };
  const add = (id: number, isInside: boolean) => {
    found.ids.push(id);
    found.inside.push(isInside ? 1 : 0);
  };
  const sections = sectionsOf(text, (t) => parts.splitter_unnormalized.split(t), parts.added_tokens_map);
  for (const section of sections) {
    const end = section.start + section.text.length;
    const here = spans.filter((span) => touches({ start: section.start, end }, span));
    if (section.added) add(section.added.id, here.length > 0);
    else {
      // The library counts empty sections too.
      const index = section.start === 0 ? 0 : 1;
      addSection(parts, section, index, here, add);
    }
  }
  return found;
}

/** Whether a token has letters in the span; one without letters, such as a ▁ put before a word, has those that follow. */
const touches = (token: Span, { start, end }: Span): boolean =>
  token.start === token.end
    ? start <= token.start && token.start < end
    : token.start < end && start < token.end;

function addSection(
  parts: Parts,
  section: Section,
  index: number,
  spans: readonly Span[],
  add: (id: number, isInside: boolean) => void,
): void {
  const { model, added_tokens_map: added } = parts;
  const normalised = (text: string) => {
    const spaced = parts.remove_space === true ? text.trim().split(/\s+/).join(' ') : text;
    return parts.normalizer === null ? spaced : parts.normalizer.normalize(spaced);
  };
  const text = normalised(section.text);
  // Most sections lie in a span as a whole, or in none.
  const sectionEnd = section.start + section.text.length;
  const isWhole = spans.every(({ start, end }) => start <= section.start && end >= sectionEnd);
  const moved = spans.map(({ start, end }) => ({
    start: placeIn(text, section.text, start - section.start, normalised),
    end: placeIn(text, section.text, end - section.start, normalised),
  }));
  for (const part of sectionsOf(text, (t) => parts.splitter_normalized.split(t), added)) {
    const isInside = (token: Span) =>
      isWhole
        ? spans.length > 0
        : moved.some((span) =>
            touches({ start: token.start + part.start, end: token.end + part.start }, span),
          );
    if (part.added) {
      add(part.added.id, isInside({ start: 0, end: part.text.length }));
      continue;
    }
    const pieces = parts.pre_tokenizer?.pre_tokenize(part.text, { section_index: index }) ?? [part.text];
    const tokens = isWhole ? unplaced(pieces, model) : placed(pieces, part.text, model);
    for (const token of fused(tokens, model))
      add(
        added.get(token.token)?.id ?? model.tokens_to_ids.get(token.token) ?? model.unk_token_id ?? -1,
        isInside(token),
      );
  }
}

/** Where position `at` of a text lies in its normalised form: at the end of what the text before it becomes. */
function placeIn(text: string, from: string, at: number, normalised: (text: string) => string): number {
  if (at <= 0) return 0;
  if (at >= from.length) return text.length;
  const before = normalised(from.slice(0, at));
  let length = 0;
  while (length < before.length && before[length] === text[length]) length++;
  return length;
}

/** Neighbouring unknown tokens as one, where the model has it so. */
function fused(tokens: readonly Placed[], { fuse_unk, tokens_to_ids, unk_token_id }: Model): Placed[] {
  if (!fuse_unk) return [...tokens];
  const isUnknown = ({ token }: Placed) => (tokens_to_ids.get(token) ?? unk_token_id) === unk_token_id;
  const result: Placed[] = [];
  for (const token of tokens) {
    const before = result.at(-1);
    if (before && isUnknown(before) && isUnknown(token))
      result[result.length - 1] = { ...before, end: token.end };
    else result.push(token);
  }
  return result;
}

/** ▁ stands for a space. */
const plain = (text: string): string => text.replaceAll('▁', ' ');

/** The tokens of all pieces with their places in `text`. */
function placed(pieces: readonly string[], text: string, model: Model): Placed[] {
  const letters = plain(text);
  const tokens: Placed[] = [];
  let cursor = 0;
  for (const piece of pieces) {
    const { start, floor, ceil } = placePiece(piece, letters, cursor);
    for (const token of tokensOf(piece, model))
      tokens.push({
        token: token.token,
        start: start + floor(token.start),
        end: start + ceil(token.end),
      });
    cursor = start + ceil(piece.length);
  }
  return tokens;
}

/** The tokens of all pieces, wherever they are. */
const unplaced = (pieces: readonly string[], model: Model): Placed[] =>
  pieces.flatMap((piece) => model.encode([piece]).map((token) => ({ token, start: 0, end: 0 })));

/** Where a piece begins in the letters, and from positions in it to positions behind that, for the start and the end of a token. */
interface Place {
  readonly start: number;
  readonly floor: (at: number) => number;
  readonly ceil: (at: number) => number;
}

/** Finds a piece at the cursor or behind spaces that the pre-tokenizer dropped. It may have a space that the text has not, and be in bytes. */
function placePiece(piece: string, letters: string, cursor: number): Place {
  const asIs = plain(piece);
  let asBytes: string | null | undefined;
  for (let at = cursor; at <= letters.length; at++) {
    const there = dropsAt(asIs, letters, at);
    if (there >= 0) return { start: at, ...charPlaces(there) };
    asBytes ??= bytesAsText(piece);
    const bytes = asBytes === null ? -1 : dropsAt(asBytes, letters, at);
    // Letters of one byte each have the places of letters.
    if (bytes >= 0)
      return {
        start: at,
        ...(asBytes!.length === piece.length ? charPlaces(bytes) : bytePlaces(asBytes!, bytes)),
      };
    if (at < letters.length && !/\s/.test(letters[at]!)) break;
  }
  // Rewritten by the pre-tokenizer: it takes as many letters as it has.
  const end = Math.max(0, letters.length - cursor);
  const clamp = (at: number) => Math.min(at, end);
  return { start: cursor, floor: clamp, ceil: clamp };
}

/** 0 where `form` stands at `at`, 1 where it does without the space in front, else −1. */
function dropsAt(form: string, letters: string, at: number): number {
  if (letters.startsWith(form, at)) return 0;
  return form.startsWith(' ') && letters.startsWith(form.slice(1), at) ? 1 : -1;
}

function charPlaces(dropped: number): Pick<Place, 'floor' | 'ceil'> {
  const at = (p: number) => Math.max(0, p - dropped);
  return { floor: at, ceil: at };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A piece in GPT-2's alphabet of bytes as text; null for one that is none. */
function bytesAsText(piece: string): string | null {
  const bytes = Array.from(piece, (c) => BYTE_OF.get(c));
  if (bytes.includes(undefined)) return null;
  try {
    return decoder.decode(Uint8Array.from(bytes as number[]));
  } catch {
    return null;
  }
}

function bytePlaces(form: string, dropped: number): Pick<Place, 'floor' | 'ceil'> {
  const starts: number[] = [];
  const ends: number[] = [0];
  let at = 0;
  for (const character of form) {
    for (const _ of encoder.encode(character)) {
      starts.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  starts.push(at);
  return {
    floor: (p) => Math.max(0, starts[p]! - dropped),
    ceil: (p) => Math.max(0, ends[p]! - dropped),
  };
}

/** The tokens of a piece with their places in it. Bytes of one letter share it; an unknown token has what is between its neighbours. */
function tokensOf(piece: string, model: Model): Placed[] {
  const tokens = model.encode([piece]);
  const prefix = model.config.continuing_subword_prefix;
  const literal = (token: string, i: number): string => {
    const bare = prefix && i > 0 && token.startsWith(prefix) ? token.slice(prefix.length) : token;
    for (const suffix of [model.end_of_word_suffix, model.continuing_subword_suffix])
      if (suffix && bare.endsWith(suffix)) return bare.slice(0, -suffix.length);
    return bare;
  };
  const result: Placed[] = [];
  let at = 0;
  let bytesLeft = 0;
  tokens.forEach((token, i) => {
    const words = literal(token, i);
    const letter = String.fromCodePoint(piece.codePointAt(at) ?? 0);
    if (bytesLeft === 0 && words !== '' && piece.startsWith(words, at)) {
      result.push({ token, start: at, end: at + words.length });
      at += words.length;
    } else if (/^<0x[0-9A-F]{2}>$/.test(token)) {
      if (bytesLeft === 0) bytesLeft = encoder.encode(letter).length;
      result.push({ token, start: at, end: at + letter.length });
      bytesLeft--;
      if (bytesLeft === 0) at += letter.length;
    } else {
      // A BPE's unknown token is one letter, another model's the rest of the word.
      const end = model.bpe === undefined ? piece.length : Math.min(piece.length, at + letter.length);
      result.push({ token, start: at, end });
      at = end;
    }
  });
  return result;
}

// GPT-2's byte-level alphabet and word splitting, as the published vocabularies have them: each of the 256 bytes is a
// printable character, and merges never cross the pieces that the pattern cuts.

/** `'s`, words with the space before them, numbers, runs of signs, white space. */
export const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The character that stands for each byte: itself where it is printable Latin-1, else one from U+0100 on. */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
})();

/** The byte of each of these characters. */
const BYTE_OF: ReadonlyMap<string, number> = new Map(BYTE_CHARACTERS.map((c, byte) => [c, byte]));
