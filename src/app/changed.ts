/** Compared examples in the order in which a reader wants them: what changed most comes first. */
import type { BeforeAfter } from '../training/protocol.ts';

interface Answered {
  readonly before: Float32Array | number;
  readonly after: Float32Array | number;
}

/** Half the sum of the differences of two distributions, 0 … 1; of two numbers how far apart they are. */
export function changeOf({ before, after }: Answered): number {
  if (typeof before === 'number' || typeof after === 'number')
    return Math.abs(Number(after) - Number(before));
  return before.reduce((sum, p, i) => sum + Math.abs(p - after[i]!), 0) / 2;
}

export const byChange = <T extends Answered>(examples: readonly T[]): T[] =>
  examples.toSorted((a, b) => changeOf(b) - changeOf(a));

/** Of the asked examples those that the likeliest answer is right for, before and after; null where answers are no classes. */
export function tallyOf(
  comparison: BeforeAfter,
): { readonly before: number; readonly after: number; readonly of: number } | null {
  if (comparison.kind !== 'image' && comparison.kind !== 'text-class') return null;
  const { examples } = comparison;
  const right = (side: 'before' | 'after') =>
    examples.filter((one) => one[side].indexOf(Math.max(...one[side])) === one.label).length;
  return { before: right('before'), after: right('after'), of: examples.length };
}
