/** How far two results are apart, in the two figures used everywhere: maxAbs = max|a−b| and maxRel = max|a−b| / max|b|. */
import { fail } from '../lib/errors.ts';

export interface Parity {
  /** max|a−b|, in the tensor's own unit. */
  readonly maxAbs: number;
  /** max|a−b| / max|b|, b being the reference; 0 when both are all zero. */
  readonly maxRel: number;
}

/**
 * Parity of `a` against the reference `b`. A NaN on either side, or an infinity that the other side does not have at the same place,
 * makes both figures infinite, so no tolerance lets it pass. Throws 'shape' when the lengths differ.
 *
 * @param counts of rows of equal length, which ones count; all of them unless given
 */
export function parity(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  counts: ArrayLike<number> | null = null,
): Parity {
  if (a.length !== b.length)
    fail('shape', `Results of ${a.length} and ${b.length} values cannot be compared.`);
  const width = counts ? a.length / counts.length : 1;
  let maxAbs = 0;
  let maxB = 0;
  for (let i = 0; i < a.length; i++) {
    if (counts && counts[Math.floor(i / width)] === 0) continue;
    const x = a[i]!;
    const y = b[i]!;
    if (Number.isFinite(y)) maxB = Math.max(maxB, Math.abs(y));
    if (x === y) continue;
    const difference = Math.abs(x - y);
    maxAbs = Math.max(maxAbs, Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY);
  }
  if (maxAbs === 0) return { maxAbs: 0, maxRel: 0 };
  return { maxAbs, maxRel: maxAbs / maxB };
}
