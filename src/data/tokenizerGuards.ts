/**
 * Bounds on what a tokenizer's own rules do to a text: its expressions count their steps where they are not known to be fast, and its replacements may
 * not make a text many times as long.
 */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { BOUNDS } from '../lib/budget.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { boundedRegExp } from '../lib/regex/bounded.ts';

/** A part of the library's tokenizer; Sequences have further ones. */
interface Part {
  readonly config?: { readonly type?: string; readonly content?: string | null };
  pattern?: RegExp | null;
  normalize?: (text: string) => string;
  pre_tokenize_text?: (text: string) => string[];
  readonly normalizers?: readonly (Part | null)[];
  readonly tokenizers?: readonly (Part | null)[];
  readonly decoders?: readonly (Part | null)[];
}

interface AddedToken {
  readonly content: string;
  normalized: boolean;
}

interface Guarded {
  readonly normalizer: (Part & ((text: string) => string)) | null;
  readonly pre_tokenizer: Part | null;
  readonly decoder: Part | null;
  readonly added_tokens: readonly AddedToken[];
  readonly added_tokens_map: Map<string, AddedToken>;
  splitter_unnormalized: object;
  splitter_normalized: object;
  special_tokens: string[];
}

const { perByte, most, advice } = BOUNDS.normalisedLetters;

/** Letters that any text may gain when it is normalised, beside `perByte` for each that it has and what is to spare for all texts together. */
const FREE = 256;

/** Letters that a text may have once it is normalised. */
interface Limit {
  letters: number;
  /** Of them those that are there for all texts. */
  spare: number;
}

/** Of a text of so many letters; a dataset has many, and their sum is bounded by theirs. */
function begin(limit: Limit, letters: number): void {
  limit.letters = FREE + perByte * letters + limit.spare;
}

function end(limit: Limit, result: string): string {
  limit.spare = Math.max(0, Math.min(limit.spare, limit.letters - result.length));
  return result;
}

/**
 * tokenizer.json's value without normalised added tokens, and which these are: the library would normalise them while it opens, before there are
 * bounds.
 */
export function unnormalised(json: object): {
  readonly value: object;
  readonly normalised: ReadonlySet<string>;
} {
  const { normalizer, added_tokens = [] } = json as {
    readonly normalizer: object | null;
    readonly added_tokens?: readonly (Partial<AddedToken> & { content: string; special?: boolean })[];
  };
  if (normalizer === null) return { value: json, normalised: new Set() };
  const concerned = added_tokens.filter(({ normalized, special }) => normalized ?? !special);
  return {
    value: { ...json, added_tokens: added_tokens.map((token) => ({ ...token, normalized: false })) },
    normalised: new Set(concerned.map(({ content }) => content)),
  };
}

/**
 * Guards a tokenizer in place.
 * @param normalised added tokens that are still to be normalised
 * @param additional further special tokens, which the library would look up one by one in all others
 */
export function guardTokenizer(
  inner: HfTokenizer,
  normalised: ReadonlySet<string>,
  additional: readonly unknown[],
): void {
  const guarded = inner as unknown as Guarded;
  const limit: Limit = { letters: most, spare: most };
  for (const name of ['normalizer', 'pre_tokenizer', 'decoder'] as const)
    for (const part of partsOf(guarded[name])) guardPart(part, name, limit);
  const { normalizer } = guarded;
  if (normalizer?.normalize) {
    const whole = normalizer.normalize.bind(normalizer);
    normalizer.normalize = (text) => {
      begin(limit, text.length);
      return end(limit, whole(text));
    };
    normaliseAdded(guarded, normalizer.normalize, normalised);
  }
  const special = new Set(guarded.special_tokens);
  for (const token of additional) if (typeof token === 'string') special.add(token);
  guarded.special_tokens.includes = (token) => special.has(token);
}

function partsOf(part: Part | null): Part[] {
  if (part === null) return [];
  const inside = [...(part.normalizers ?? []), ...(part.tokenizers ?? []), ...(part.decoders ?? [])];
  return [part, ...inside.flatMap(partsOf)];
}

function guardPart(part: Part, name: string, limit: Limit): void {
  if (part.pattern instanceof RegExp) part.pattern = guardPattern(part.pattern, name);
  const { pattern } = part;
  if (part.config?.type !== 'Replace' || !pattern) {
    const normalize = part.normalize?.bind(part);
    if (normalize) part.normalize = (text) => within(normalize(text), limit);
    return;
  }
  const content = part.config.content ?? '';
  if (part.normalize) part.normalize = (text) => replaced(text, pattern, content, limit);
  else if (part.pre_tokenize_text) {
    const own: Limit = { letters: most, spare: most };
    part.pre_tokenize_text = (text) => {
      begin(own, text.length);
      return [end(own, replaced(text, pattern, content, own))];
    };
  }
}

function guardPattern(pattern: RegExp, name: string): RegExp {
  const source = JSON.stringify(pattern.source.slice(0, 200));
  try {
    return boundedRegExp(pattern, () =>
      fail(
        'too-large',
        `tokenizer.json: the expression ${source} of its ${name} takes too many steps on a text; ${BOUNDS.matchingSteps.advice}.`,
        { bound: 'matchingSteps' },
      ),
    );
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    return fail(
      'malformed-file',
      `tokenizer.json: the expression ${source} of its ${name} cannot be used (${(cause as Error).message}); take another tokenizer.`,
    );
  }
}

const within = (text: string, { letters }: Limit): string => {
  if (text.length <= letters) return text;
  return fail(
    'too-large',
    `tokenizer.json: its normalizer makes a text many times as long as it was; ${advice}.`,
    {
      bound: 'normalisedLetters',
    },
  );
};

/** The content stands as it is: `$1` in it is no group. */
function replaced(text: string, pattern: RegExp, content: string, limit: Limit): string {
  let result = '';
  let at = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    result = within(result + text.slice(at, index) + content, limit);
    at = index + found.length;
  }
  return within(result + text.slice(at), limit);
}

/** What the library does with added tokens that are found in normalised texts. */
function normaliseAdded(
  guarded: Guarded,
  normalize: (text: string) => string,
  normalised: ReadonlySet<string>,
): void {
  if (normalised.size === 0) return;
  const asTheyAre: string[] = [];
  const changed: string[] = [];
  for (const token of guarded.added_tokens) {
    token.normalized = normalised.has(token.content);
    if (!token.normalized) {
      asTheyAre.push(token.content);
      continue;
    }
    const content = normalize(token.content);
    changed.push(content);
    guarded.added_tokens_map.set(content, token);
  }
  const Splitter = guarded.splitter_normalized.constructor as new (words: readonly string[]) => object;
  guarded.splitter_unnormalized = new Splitter(asTheyAre);
  guarded.splitter_normalized = new Splitter(changed);
}
