/** What an export is fed: a text as training feeds it, and the inputs that follow: masks, positions, types, the key-value cache. */
import { rowInputs, type TokenRow } from '../data/tensors.ts';
import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import { say } from '../lib/say.ts';
import type { FeedTensor, ValueInfo } from './session.ts';

/** What a decoder has read before: its length, and the cache's tensors by input name. */
export interface Past {
  readonly length: number;
  readonly tensors: Readonly<Record<string, FeedTensor>>;
}

/** `input_ids`, `attention_mask` …, by the file's own name for the input. */
export type FeedNames = Readonly<Record<string, string>>;

/** How a file takes texts. */
export interface TextShape {
  /** Tokens of each text, where the file takes no other number. */
  readonly exactly: number | null;
  /** What fills up short texts. */
  readonly padId: number;
}

/** One text as a batch of one, padded as in training. */
export function textFeeds(row: TokenRow, { exactly, padId }: TextShape): Record<string, FeedTensor> {
  const inputs = rowInputs([row], [exactly ?? Math.max(1, row.ids.length)], padId);
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data }]) => [name, { dtype: 'int64', dims: shape, data }]),
  );
}

/** Rows `from` … of a tensor, the last one repeated where there are too few. */
export function rowsOf(tensor: FeedTensor, from: number, count: number): FeedTensor {
  const [rows = 1, ...rest] = tensor.dims;
  if (from === 0 && count === rows) return tensor;
  const width = sizeOf(rest);
  const data = new (tensor.dtype === 'float32' ? Float32Array : Int32Array)(count * width);
  for (let r = 0; r < count; r++) {
    const at = Math.min(rows - 1, from + r) * width;
    for (let i = 0; i < width; i++) data[r * width + i] = Number(tensor.data[at + i]!);
  }
  return { ...tensor, dims: [count, ...rest], data };
}

const NOTHING: Past = { length: 0, tensors: {} };

/**
 * @param given what the caller knows, by input name; at least `input_ids` [batch, sequence] or `pixel_values`; the last row is repeated
 *   for a file that takes more at a time
 * @param past what comes before input_ids; the cache is empty unless given
 * @param names what inputs are for that the file calls otherwise
 * @throws PapilioError('unsupported-onnx') naming an input that follows from nothing here
 */
export function completeFeeds(
  inputs: readonly ValueInfo[],
  given: Readonly<Record<string, FeedTensor>>,
  past: Past = NOTHING,
  names: FeedNames = {},
): Record<string, FeedTensor> {
  const [rows = 1, sequence = 1] = given.input_ids?.dims ?? Object.values(given)[0]?.dims ?? [];
  const fixed = inputs.find(({ name }) => (names[name] ?? name) in given)?.dims[0];
  const batch = typeof fixed === 'number' && fixed > rows ? fixed : rows;
  const tokens = (columns: number, value: (column: number) => number): Omit<FeedTensor, 'dtype'> => ({
    dims: [batch, columns],
    data: Int32Array.from({ length: batch * columns }, (_, i) => value(i % columns)),
  });
  const feeds: Record<string, FeedTensor> = {};
  for (const { name, dtype, dims: declared } of inputs) {
    const feed = names[name] ?? name;
    const known = given[feed] ?? given[name];
    if (known) feeds[name] = { ...rowsOf(known, 0, batch), dtype };
    else if (past.tensors[name]) feeds[name] = { ...past.tensors[name], dtype };
    else if (feed === 'attention_mask') feeds[name] = { dtype, ...tokens(past.length + sequence, () => 1) };
    else if (feed === 'position_ids') feeds[name] = { dtype, ...tokens(sequence, (i) => past.length + i) };
    else if (feed === 'token_type_ids') feeds[name] = { dtype, ...tokens(sequence, () => 0) };
    else if (name === 'use_cache_branch' || name === 'num_logits_to_keep') {
      const value = name === 'use_cache_branch' && past.length > 0 ? 1 : 0;
      feeds[name] = { dtype, dims: declared.length === 0 ? [] : [1], data: [value] };
    } else if (/^past/.test(name)) {
      feeds[name] = { dtype, dims: emptyCache(declared, batch), data: [] };
    } else fail('unsupported-onnx', say`It is not known what to feed into the input ${name} of this model.`);
  }
  return feeds;
}

/** [batch, heads, past, head size], or GPT-2's [2, batch, heads, past, head size]: the first free dim is the batch, the other the past. */
function emptyCache(declared: readonly (number | string)[], batch: number): number[] {
  const first = declared.findIndex((dim) => typeof dim !== 'number');
  return declared.map((dim, axis) => (typeof dim === 'number' ? dim : axis === first ? batch : 0));
}
