/**
 * What a stranger's tokenizer.json may do: files that the library could not open are refused, its expressions count their steps where they are not known to
 * be fast, and its replacements may not make a text many times as long.
 */
import type { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { BOUNDS, type Budget, createBudget } from '../lib/budget.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import { boundedRegExp } from '../lib/regex/script.ts';
import { say, whole } from '../lib/say.ts';
import { z } from '../lib/schema.ts';

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
        say`tokenizer.json: the expression ${source} of its ${name} takes too many steps on a text; ${BOUNDS.matchingSteps.advice()}.`,
        { bound: 'matchingSteps' },
      ),
    );
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    return fail(
      'malformed-file',
      say`tokenizer.json: the expression ${source} of its ${name} cannot be used (${(cause as Error).message}); take another tokenizer.`,
    );
  }
}

const within = (text: string, { letters }: Limit): string => {
  if (text.length <= letters) return text;
  return fail(
    'too-large',
    say`tokenizer.json: its normalizer makes a text many times as long as it was; ${advice()}.`,
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

// What a tokenizer.json must have before the library reads it, and what it may not: ids that would make tables of billions, templates without end, steps
// that never move on.

const id = z.int().min(0);

const addedToken = z.object({ id, content: z.string().min(1).max(10_000) });

/** Parts are small; what is large in them (a table of characters) is one text. */
const MOST_DEPTH = 20;
const MOST_NODES = 10_000;
const MOST_WRITTEN = 64;

const shape = z.object({
  added_tokens: z
    .array(z.unknown())
    .max(2 ** 18)
    .nullish(),
  model: z.object({
    type: z.string().nullish(),
    unk_token: z.string().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    max_input_chars_per_word: z.int().min(1).max(10_000).nullish(),
    vocab: z.union([z.array(z.unknown()), z.custom<object>((v) => typeof v === 'object' && v !== null)]),
    merges: z.array(z.unknown()).nullish(),
  }),
});

const pattern = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string().max(20_000) })]);

/** What a part must have, by its type; types that have nothing of the kind are not listed. */
const PARTS = new Map<unknown, z.ZodType>([
  ['Replace', z.object({ pattern, content: z.string().max(1000).nullish() })],
  ['Split', z.object({ pattern, behavior: z.string().nullish() })],
  ['FixedLength', z.object({ length: z.int().min(1) })],
  ['Prepend', z.object({ prepend: z.string().max(1000) })],
  [
    'TemplateProcessing',
    z.object({
      single: z.array(z.unknown()).max(MOST_WRITTEN),
      pair: z.array(z.unknown()).max(MOST_WRITTEN).nullish(),
    }),
  ],
]);

const refuse = (why: string): never =>
  fail(
    'malformed-file',
    say`tokenizer.json cannot be used (${why}); export it again with the tokenizers library.`,
  );

function checked(schema: z.ZodType, value: unknown, where: string): void {
  const { error } = schema.safeParse(value);
  const issue = error?.issues[0];
  if (issue) refuse(`${[where, ...issue.path].filter((p) => p !== '').join('.')}: ${issue.message}`);
}

/** A tokenizer has nine parts, its model a dozen settings; what has thousands would be copied with them. */
const MOST_KEYS = 200;

/** @throws PapilioError 'malformed-file', or 'too-large' for ids far beyond the number of tokens */
export function checkTokenizer(json: object): void {
  checked(shape, json, '');
  for (const part of [json, (json as z.output<typeof shape>).model])
    if (Object.keys(part).length > MOST_KEYS)
      refuse(say`it has more than ${MOST_KEYS} keys beside its tokens`);
  const { model, added_tokens } = json as Omit<z.output<typeof shape>, 'added_tokens'> & {
    readonly added_tokens?: readonly z.output<typeof addedToken>[] | null;
  };
  // One by one, since a schema keeps what is wrong with each.
  for (const [i, token] of (added_tokens ?? []).entries()) checked(addedToken, token, `added_tokens.${i}`);
  const { entries, largest } = checkVocabulary(model.vocab);
  checkMerges(model.merges ?? [], entries);
  const added = added_tokens ?? [];
  const most = added.reduce((n, token) => Math.max(n, token.id), largest);
  const { most: gap, unit, advice } = BOUNDS.tokenIds;
  if (most > 2 * (entries + added.length) + gap)
    fail(
      'too-large',
      say`tokenizer.json has ${whole(entries + added.length)} tokens and the id ${whole(most)}, which leaves more than ${whole(gap)} ${unit()}; ${advice()}.`,
      { bound: 'tokenIds' },
    );
  const sets = createBudget('patternSets');
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const) {
    const value = (json as Record<string, unknown>)[part];
    countParts(value, part, 0, { left: MOST_NODES });
    checkPart(value, part, sets);
  }
}

/** Token to id, or pairs of token and score. */
function checkVocabulary(vocab: object): { readonly entries: number; readonly largest: number } {
  if (Array.isArray(vocab)) {
    const bad = vocab.findIndex(
      (pair) => !Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'number',
    );
    if (bad >= 0) refuse(say`model.vocab.${bad}: expected a token and its score`);
    return { entries: vocab.length, largest: vocab.length };
  }
  let entries = 0;
  let largest = 0;
  // Its keys and no list of pairs, which of 250,000 tokens would be larger than the file.
  for (const token of Object.keys(vocab)) {
    const value = (vocab as Readonly<Record<string, unknown>>)[token];
    // Of several languages, each has its own.
    if (typeof value === 'object' && value !== null) {
      const inner = checkVocabulary(value);
      entries += inner.entries;
      largest = Math.max(largest, inner.largest);
    } else if (Number.isInteger(value) && (value as number) >= 0) {
      entries++;
      largest = Math.max(largest, value as number);
    } else refuse(say`model.vocab: the id of ${JSON.stringify(token.slice(0, 100))} is no whole number`);
  }
  return { entries, largest };
}

/** Every merge makes a token of the vocabulary; in large ones two or three make the same. */
const MERGES_PER_TOKEN = 4;
const SPARE_MERGES = 4096;

function checkMerges(merges: readonly unknown[], tokens: number): void {
  if (merges.length > MERGES_PER_TOKEN * tokens + SPARE_MERGES)
    refuse(say`model.merges: ${whole(merges.length)} of them cannot make ${whole(tokens)} tokens`);
  const isPair = (merge: unknown) =>
    Array.isArray(merge) && merge.length === 2 && merge.every((half) => typeof half === 'string');
  const bad = merges.findIndex((merge) => typeof merge !== 'string' && !isPair(merge));
  if (bad >= 0) refuse(say`model.merges.${bad}: expected two tokens`);
}

/** Numbers and words of lists count as well: each may come back around every text, and costs a look before. */
function countParts(value: unknown, where: string, depth: number, nodes: { left: number }): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > MOST_DEPTH) refuse(say`${where} is nested more than ${MOST_DEPTH} deep`);
  nodes.left -= 1 + (Array.isArray(value) ? value.length : Object.keys(value).length);
  if (nodes.left < 0) refuse(say`${where.split('.')[0]!} has more than ${MOST_NODES} parts`);
  for (const key of Object.keys(value))
    countParts((value as Record<string, unknown>)[key], `${where}.${key}`, depth + 1, nodes);
}

function checkPart(value: unknown, where: string, sets: Budget): void {
  if (typeof value !== 'object' || value === null) return;
  const schema = PARTS.get((value as { readonly type?: unknown }).type);
  if (schema) checked(schema, value, where);
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'Regex' && typeof inner === 'string') sets.take(setsIn(inner), 'tokenizer.json');
    checkPart(inner, `${where}.${key}`, sets);
  }
}

/** The sets of characters that an expression names, as the library writes them out: `\b` is four. */
const setsIn = (expression: string): number =>
  (expression.match(/\\[wWdDsSpPhH]|\[:/g)?.length ?? 0) + 4 * (expression.match(/\\[bB]/g)?.length ?? 0);
