/**
 * What a tokenizer.json must have before the library reads it, and what it may not: ids that would make tables of billions, templates without end, steps
 * that never move on.
 */
import { z } from 'zod';
import { BOUNDS } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';

const id = z.int().min(0);

const addedToken = z.object({ id, content: z.string().min(1).max(10_000) });

/** Parts are small; what is large in them (a table of characters) is one text. */
const MOST_DEPTH = 20;
const MOST_NODES = 10_000;
const MOST_WRITTEN = 64;

const shape = z.object({
  added_tokens: z
    .array(addedToken)
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
    `tokenizer.json cannot be used (${why}); export it again with the tokenizers library.`,
  );

function checked(schema: z.ZodType, value: unknown, where: string): void {
  const { error } = schema.safeParse(value);
  const issue = error?.issues[0];
  if (issue)
    refuse(
      `${[where, ...issue.path].filter((p) => p !== '').join('.')}: ${issue.message.replace(/^Invalid input: /, '')}`,
    );
}

/** @throws PapilioError 'malformed-file', or 'too-large' for ids far beyond the number of tokens */
export function checkTokenizer(json: object): void {
  checked(shape, json, '');
  const { model, added_tokens } = json as z.output<typeof shape>;
  const { entries, largest } = checkVocabulary(model.vocab);
  checkMerges(model.merges ?? [], entries);
  const added = added_tokens ?? [];
  const most = added.reduce((n, token) => Math.max(n, token.id), largest);
  const { most: gap, unit, advice } = BOUNDS.tokenIds;
  if (most > 2 * (entries + added.length) + gap)
    fail(
      'too-large',
      `tokenizer.json has ${(entries + added.length).toLocaleString('en-GB')} tokens and the id ${most.toLocaleString('en-GB')}, which leaves more than ${gap.toLocaleString('en-GB')} ${unit}; ${advice}.`,
      { bound: 'tokenIds' },
    );
  for (const part of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const) {
    const value = (json as Record<string, unknown>)[part];
    countParts(value, part, 0, { left: MOST_NODES });
    checkPart(value, part);
  }
}

/** Token to id, or pairs of token and score. */
function checkVocabulary(vocab: object): { readonly entries: number; readonly largest: number } {
  if (Array.isArray(vocab)) {
    const bad = vocab.findIndex(
      (pair) => !Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'number',
    );
    if (bad >= 0) refuse(`model.vocab.${bad}: expected a token and its score`);
    return { entries: vocab.length, largest: vocab.length };
  }
  let entries = 0;
  let largest = 0;
  for (const [token, value] of Object.entries(vocab) as [string, unknown][]) {
    // Of several languages, each has its own.
    if (typeof value === 'object' && value !== null) {
      const inner = checkVocabulary(value);
      entries += inner.entries;
      largest = Math.max(largest, inner.largest);
    } else if (Number.isInteger(value) && (value as number) >= 0) {
      entries++;
      largest = Math.max(largest, value as number);
    } else refuse(`model.vocab: the id of ${JSON.stringify(token.slice(0, 100))} is no whole number`);
  }
  return { entries, largest };
}

/** Every merge makes a token of the vocabulary; in large ones two or three make the same. */
const MERGES_PER_TOKEN = 4;
const SPARE_MERGES = 4096;

function checkMerges(merges: readonly unknown[], tokens: number): void {
  if (merges.length > MERGES_PER_TOKEN * tokens + SPARE_MERGES)
    refuse(
      `model.merges: ${merges.length.toLocaleString('en-GB')} of them cannot make ${tokens.toLocaleString('en-GB')} tokens`,
    );
  const isPair = (merge: unknown) =>
    Array.isArray(merge) && merge.length === 2 && merge.every((half) => typeof half === 'string');
  const bad = merges.findIndex((merge) => typeof merge !== 'string' && !isPair(merge));
  if (bad >= 0) refuse(`model.merges.${bad}: expected two tokens`);
}

/** Numbers and words of lists count as well: each may come back around every text, and costs a look before. */
function countParts(value: unknown, where: string, depth: number, nodes: { left: number }): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > MOST_DEPTH) refuse(`${where} is nested more than ${MOST_DEPTH} deep`);
  nodes.left -= 1 + (Array.isArray(value) ? value.length : Object.keys(value).length);
  if (nodes.left < 0) refuse(`${where.split('.')[0]} has more than ${MOST_NODES} parts`);
  for (const key of Object.keys(value))
    countParts((value as Record<string, unknown>)[key], `${where}.${key}`, depth + 1, nodes);
}

function checkPart(value: unknown, where: string): void {
  if (typeof value !== 'object' || value === null) return;
  const schema = PARTS.get((value as { readonly type?: unknown }).type);
  if (schema) checked(schema, value, where);
  for (const [key, inner] of Object.entries(value)) checkPart(inner, `${where}.${key}`);
}
