/** By how much a skew block turns: its Cayley rotation turns one plane, or two, each by 2 arctan of a singular value of Q. */
import { degreesOf } from '../lib/numbers.ts';

/**
 * @param skew packed strict upper triangle of a block of 2, 3 or 4
 * @returns angles in degrees, the largest first; a block of 4 has two
 */
export function anglesOf(b: number, skew: readonly number[]): number[] {
  const squares = skew.reduce((sum, q) => sum + q * q, 0);
  if (b < 4) return [turned(Math.sqrt(squares))];
  // s₁² + s₂² is the sum of the squares, s₁ s₂ the Pfaffian.
  const [q12, q13, q14, q23, q24, q34] = skew as [number, number, number, number, number, number];
  const pfaffian = Math.abs(q12 * q34 - q13 * q24 + q14 * q23);
  const sum = Math.sqrt(squares + 2 * pfaffian);
  const difference = Math.sqrt(Math.max(0, squares - 2 * pfaffian));
  return [turned((sum + difference) / 2), turned((sum - difference) / 2)];
}

const turned = (singular: number): number => degreesOf(2 * Math.atan(singular));
