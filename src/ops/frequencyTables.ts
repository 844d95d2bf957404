/** The constant tables of src/ops/sparseIdft.ts: the radix step, the entries grouped by it, exact sines and cosines. */

/** Multiply-adds of one term of the first stage (an angle from two lookups, then the sum), in terms of the second stage. */
const ENTRY_COST = 3;

/**
 * How a transform of length `out` with n entries is split into P1·P2: an element costs about ENTRY_COST·n/P2 + P2 terms.
 */
export function radix(out: number, n: number): [p1: number, p2: number] {
  let best = 1;
  const cost = (p2: number) => (ENTRY_COST * n) / p2 + p2;
  for (let p2 = 2; p2 <= out; p2++) if (out % p2 === 0 && cost(p2) < cost(best)) best = p2;
  return [out / best, best];
}

export interface FrequencyTables {
  /** Entries listed by row mod P2, in their own order within a group. */
  readonly order: Int32Array;
  /** Where each group starts in `order` [P2 + 1]. */
  readonly starts: Int32Array;
  /** (cos, sin) of every whole angle: of `out` parts of a turn, then of `width` parts [out + width, 2]. */
  readonly turns: Float32Array;
}

export function frequencyTables(rows: Int32Array, out: number, width: number): FrequencyTables {
  const [, p2] = radix(out, rows.length);
  const starts = new Int32Array(p2 + 1);
  for (const row of rows) starts[(row % p2) + 1]!++;
  for (let i = 0; i < p2; i++) starts[i + 1]! += starts[i]!;
  const next = starts.slice();
  const order = new Int32Array(rows.length);
  rows.forEach((row, k) => {
    order[next[row % p2]!++] = k;
  });
  const turns = new Float32Array(2 * (out + width));
  const fill = (parts: number, offset: number) => {
    for (let i = 0; i < parts; i++) {
      turns[2 * (offset + i)] = Math.cos((2 * Math.PI * i) / parts);
      turns[2 * (offset + i) + 1] = Math.sin((2 * Math.PI * i) / parts);
    }
  };
  fill(out, 0);
  fill(width, out);
  return { order, starts, turns };
}
