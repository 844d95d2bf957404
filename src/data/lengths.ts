/**
 * Length buckets: short examples are batched with short ones and padded to their length, so that they do not pay for the long. Each bucket is a
 * program of its own, so there are few.
 */

import { rng } from '../lib/rng.ts';
import { type EpochOrder, type OrderOptions, orderOf } from './batches.ts';
import type { Rows } from './types.ts';

const MOST_BUCKETS = 4;
/** Lengths are multiples of this. */
const STEP = 8;
/** A bucket with fewer examples than this share is not worth its program. */
const LEAST_SHARE = 0.1;

export const lengthsOf = (dataset: Rows, split: 'train' | 'held'): Int32Array =>
  Int32Array.from({ length: dataset[split].count }, (_, i) => dataset[split].ids(i).length);

/**
 * The lengths to pad to, ascending; the last holds everything up to `longest`.
 * @param lengths of the training examples
 * @param batchSize a bucket needs a batch at least
 */
export function bucketLengths(lengths: Int32Array, batchSize: number, longest: number): number[] {
  const rounded = (n: number): number => Math.min(longest, Math.max(2, Math.ceil(n / STEP) * STEP));
  const longestOf = (some: Int32Array): number => rounded(some.reduce((a, b) => Math.max(a, b), 1));
  const least = Math.max(batchSize, lengths.length * LEAST_SHARE);
  const buckets = [longestOf(lengths)];
  for (let half = buckets[0]! / 2; buckets.length < MOST_BUCKETS && half >= STEP / 2; half /= 2) {
    const inside = lengths.filter((length) => length <= half);
    if (inside.length < least) break;
    const bound = longestOf(inside);
    if (bound >= buckets[0]!) continue;
    const above = lengths.reduce((n, length) => n + (length > bound && length <= buckets[0]! ? 1 : 0), 0);
    // A bucket that would be left with few examples of its own gives way to the shorter one.
    if (above < least && buckets.length > 1) buckets[0] = bound;
    else buckets.unshift(bound);
  }
  return buckets;
}

/** The bucket that an example belongs to; what is longer than all is cut to the last. */
function bucketOf(length: number, buckets: readonly number[]): number {
  const at = buckets.findIndex((bound) => length <= bound);
  return at < 0 ? buckets.length - 1 : at;
}

/**
 * The order of one epoch by buckets: every example once, batches of one bucket each. What is left of a bucket goes with the next longer one, so
 * only one batch is short. With `shuffle: false` the shortest come first, in their own order.
 */
export function bucketedBatches(
  lengths: Int32Array,
  buckets: readonly number[],
  options: OrderOptions,
): EpochOrder {
  const order = orderOf(lengths.length, options);
  const members: number[][] = buckets.map(() => []);
  for (const i of order) members[bucketOf(lengths[i]!, buckets)]!.push(i);
  const batches: Uint32Array[] = [];
  let left: number[] = [];
  members.forEach((own, b) => {
    const all = [...left, ...own];
    const isLast = b === members.length - 1;
    const whole = isLast ? all.length : all.length - (all.length % options.batchSize);
    for (let at = 0; at < whole; at += options.batchSize)
      batches.push(Uint32Array.from(all.slice(at, Math.min(at + options.batchSize, whole))));
    left = all.slice(whole);
  });
  if (options.shuffle !== false) rng(options.seed, 0xb0c4).fork(options.epoch).shuffle(batches);
  return { count: batches.length, indices: (k) => batches[k] ?? new Uint32Array(0) };
}
