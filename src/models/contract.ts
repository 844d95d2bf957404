/**
 * What a model reads: the tables that its inputs are looked up in and the tokens that its positions reach, found out once from graph,
 * config and tokenizer together. Data is checked against it before anything trains.
 */

import { say } from '../lib/say.ts';
import type { InputSpec } from './import/inputs.ts';
import type { Reach, Table, Tables } from './import/tables.ts';

/** A bound on the tokens of one example, and why. */
export interface Limit {
  readonly tokens: number;
  /** Ends a sentence after a colon: "the model's position table has 40 rows". */
  readonly because: string;
}

export interface Contract {
  /** What token ids are looked up in; null where the graph does not show it. */
  readonly tokens: Table | null;
  /** What token types are looked up in. */
  readonly segments: Table | null;
  /** Tokens of each example, where the file takes no other number. */
  readonly exactly: number | null;
  /** By graph and config.json, the strictest first. */
  readonly limits: readonly Limit[];
}

type Json = Readonly<Record<string, unknown>>;

/** Names under which configurations say how many tokens a model reads. */
const LENGTHS = [
  'max_position_embeddings',
  'n_positions',
  'n_ctx',
  'max_seq_len',
  'max_seq_length',
  'max_sequence_length',
  'seq_length',
  'context_length',
];

/** Families whose positions begin behind the padding id. */
const AFTER_PADDING =
  /^(xlm-)?roberta|^camembert$|^longformer$|^mpnet$|^data2vec-text$|^ibert$|^esm$|^bigbird_pegasus$|^xmod$|^mvp$/;

const byTokens = (limits: readonly Limit[]): Limit[] => limits.toSorted((a, b) => a.tokens - b.tokens);

/** A usable number of tokens, or null: 10³⁰ is how tokenizers say "no limit", −1 how some configurations do. */
const lengthOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isInteger(value) && value >= 2 && value < 1e9 ? value : null;

function reachSentence({ kind, rows, tokens }: Reach): string {
  const what = reachWords()[kind];
  return rows === tokens
    ? say`the model's ${what} has ${rows} rows`
    : say`the model's ${what} has ${rows} rows, of which the first ${rows - tokens} are before the first position`;
}

const reachWords = (): Readonly<Record<Reach['kind'], string>> => ({
  'position table': say`position table`,
  'causal buffer': say`causal buffer`,
  'rotary table': say`rotary table`,
});

function configLimits(config: Json, tables: Tables): Limit[] {
  const inner = config.text_config;
  const at = typeof inner === 'object' && inner !== null ? { ...config, ...(inner as Json) } : config;
  const padding = typeof at.pad_token_id === 'number' ? at.pad_token_id : 1;
  const isAfterPadding = typeof at.model_type === 'string' && AFTER_PADDING.test(at.model_type);
  return LENGTHS.flatMap((key): Limit[] => {
    const said = lengthOf(at[key]);
    if (said === null) return [];
    const table = tables.reach.find((reach) => reach.rows === said && reach.kind === 'position table');
    const before = table ? table.rows - table.tokens : isAfterPadding ? padding + 1 : 0;
    const because =
      before === 0
        ? say`config.json says ${key} ${said}`
        : say`config.json says ${key} ${said}, and positions begin at ${before}`;
    return [{ tokens: said - before, because }];
  });
}

export function contractOf(tables: Tables, inputs: readonly InputSpec[], config: Json): Contract {
  const fixed = inputs.find(({ kind }) => kind === 'input_ids')?.dims[1];
  const limits = [
    ...tables.reach.map((reach) => ({ tokens: reach.tokens, because: reachSentence(reach) })),
    ...configLimits(config, tables),
  ];
  return {
    tokens: tables.tokens,
    segments: tables.segments,
    exactly: typeof fixed === 'number' ? fixed : null,
    limits: byTokens(limits.filter(({ tokens }) => tokens >= 1)),
  };
}

/** What the tokenizer's files and sentence-transformers' say of the length of a text. */
export function tokenizerLimits(files: {
  readonly tokenizer?: Json;
  readonly tokenizerConfig?: Json;
  readonly sentenceConfig?: Json;
}): Limit[] {
  const limit = (file: string, key: string, value: unknown): Limit[] => {
    const tokens = lengthOf(value);
    return tokens === null ? [] : [{ tokens, because: `${file} says ${key} ${tokens}` }];
  };
  const truncation = files.tokenizer?.truncation as Json | null | undefined;
  return byTokens([
    ...limit('tokenizer_config.json', 'model_max_length', files.tokenizerConfig?.model_max_length),
    ...limit('tokenizer.json', 'truncation.max_length', truncation?.max_length),
    ...limit('sentence_bert_config.json', 'max_seq_length', files.sentenceConfig?.max_seq_length),
  ]);
}

/** The strictest of several limits. */
export const leastLimit = (limits: readonly Limit[]): Limit | null => byTokens(limits)[0] ?? null;
