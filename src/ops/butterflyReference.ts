/**
 * Float64 loops of butterfly products, from the permutations as BOFT defines them (scatter, block-diagonal product, gather), not
 * from the kernels' index arithmetic: the oracle of src/ops/butterfly.ts.
 */

export interface ButterflySizes {
  /** Rows of x in one entry of the stack. */
  readonly rows: number;
  readonly d: number;
  readonly m: number;
  readonly b: number;
  /** Blocks stored per factor: d/b, or 1 when all share one. */
  readonly stored: number;
  readonly stack: number;
}

/** `perm[k]`: where half-block order of factor `factor` puts column k. The identity for factor 0 and for plain blocks. */
export function permutation(d: number, b: number, factor: number): Uint32Array {
  if (factor === 0) return Uint32Array.from({ length: d }, (_, i) => i);
  const superblock = b * 2 ** factor;
  const half = b / 2;
  const halves = superblock / half;
  const order: number[] = [];
  for (let j = 0; j < halves; j += 2) order.push(j);
  for (let j = 1; j < halves; j += 2) order.push(j);
  const perm = new Uint32Array(d);
  let k = 0;
  for (let s = 0; s < d; s += superblock) {
    for (const j of order) for (let e = 0; e < half; e++) perm[k++] = s + j * half + e;
  }
  return perm;
}

export interface Factors {
  readonly size: ButterflySizes;
  readonly blocks: Float64Array;
  readonly keep: Float64Array | null;
  readonly permutations: readonly Uint32Array[];
}

export const factorsOf = (
  size: ButterflySizes,
  blocks: Float64Array,
  keep: Float64Array | null,
): Factors => ({
  size,
  blocks,
  keep,
  permutations: Array.from({ length: size.m }, (_, f) => permutation(size.d, size.b, f)),
});

/** Entry (e, f) of block c of a factor. */
function entryOf({ size, blocks, keep }: Factors, stack: number, factor: number) {
  const { d, b, m, stored } = size;
  const num = d / b;
  return (c: number, e: number, f: number): number => {
    if (keep && keep[(stack * m + factor) * num + c] === 0) return e === f ? 1 : 0;
    return blocks[(((stack * m + factor) * stored + (stored === 1 ? 0 : c)) * b + e) * b + f]!;
  };
}

/** One row times factor B, or its transpose. */
export function applyFactor(
  factors: Factors,
  stack: number,
  factor: number,
  row: Float64Array,
  transposed: boolean,
): Float64Array {
  const { d, b } = factors.size;
  const perm = factors.permutations[factor]!;
  const at = entryOf(factors, stack, factor);
  const u = new Float64Array(d);
  row.forEach((x, k) => {
    u[perm[k]!] = x;
  });
  const v = new Float64Array(d);
  for (let c = 0; c < d / b; c++) {
    for (let e = 0; e < b; e++) {
      for (let f = 0; f < b; f++) v[c * b + f]! += u[c * b + e]! * (transposed ? at(c, f, e) : at(c, e, f));
    }
  }
  return Float64Array.from(perm, (p) => v[p]!);
}

/** One row times the product of all factors, or its transpose. */
export function applyAll(
  factors: Factors,
  stack: number,
  row: Float64Array,
  transposed: boolean,
): Float64Array {
  let y = row;
  for (let s = 0; s < factors.size.m; s++) {
    y = applyFactor(factors, stack, transposed ? s : factors.size.m - 1 - s, y, transposed);
  }
  return y;
}

/** Adds one row's part of the blocks' gradient to `sum` [stack, m, stored, b, b]. */
export function addBlockGradient(
  factors: Factors,
  stack: number,
  x: Float64Array,
  g: Float64Array,
  sum: Float64Array,
): void {
  const { d, b, m, stored } = factors.size;
  const before: Float64Array[] = new Array(m);
  let row = x;
  for (let f = m - 1; f >= 0; f--) {
    before[f] = row;
    row = applyFactor(factors, stack, f, row, false);
  }
  let grad = g;
  for (let f = 0; f < m; f++) {
    const perm = factors.permutations[f]!;
    const u = new Float64Array(d);
    const w = new Float64Array(d);
    perm.forEach((p, k) => {
      u[p] = before[f]![k]!;
      w[p] = grad[k]!;
    });
    for (let c = 0; c < d / b; c++) {
      if (factors.keep && factors.keep[((stack * m + f) * d) / b + c] === 0) continue;
      const to = ((stack * m + f) * stored + (stored === 1 ? 0 : c)) * b * b;
      for (let e = 0; e < b; e++) {
        for (let k = 0; k < b; k++) sum[to + e * b + k]! += u[c * b + e]! * w[c * b + k]!;
      }
    }
    grad = applyFactor(factors, stack, f, grad, true);
  }
}
