/** How far two results are apart, in the two figures used everywhere: maxAbs = max|a−b| and maxRel = max|a−b| / max|b|. */
import { fail } from '../lib/errors.ts';

export interface Parity {
  /** max|a−b|, in the tensor's own unit. */
  readonly maxAbs: number;
  /** max|a−b| / max|b|, b being the reference; 0 when both are all zero. */
  readonly maxRel: number;
}

/**
 * Parity of `a` against the reference `b`. A NaN or infinity that the other side does not have at the same place makes both figures
 * infinite, so no tolerance lets it pass. Throws 'shape' when the lengths differ.
 */
export function parity(a: ArrayLike<number>, b: ArrayLike<number>): Parity {
  if (a.length !== b.length)
    fail('shape', `Results of ${a.length} and ${b.length} values cannot be compared.`);
  let maxAbs = 0;
  let maxB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (Number.isFinite(y)) maxB = Math.max(maxB, Math.abs(y));
    if (Object.is(x, y)) continue;
    const difference = Math.abs(x - y);
    maxAbs = Math.max(maxAbs, Number.isFinite(difference) ? difference : Number.POSITIVE_INFINITY);
  }
  if (maxAbs === 0) return { maxAbs: 0, maxRel: 0 };
  return { maxAbs, maxRel: maxAbs / maxB };
}

interface Values {
  readonly data: ArrayLike<number>;
}

/**
 * Worst parity over all tensors of the reference `b`, each relative to its own largest value.
 * Throws 'not-found' when `a` lacks one of them.
 */
export function worstParity(
  a: Readonly<Record<string, Values>>,
  b: Readonly<Record<string, Values>>,
): Parity {
  let worst: Parity = { maxAbs: 0, maxRel: 0 };
  for (const [name, reference] of Object.entries(b)) {
    const candidate = a[name] ?? fail('not-found', `The result has no tensor ${name} to compare.`);
    const { maxAbs, maxRel } = parity(candidate.data, reference.data);
    worst = { maxAbs: Math.max(worst.maxAbs, maxAbs), maxRel: Math.max(worst.maxRel, maxRel) };
  }
  return worst;
}
