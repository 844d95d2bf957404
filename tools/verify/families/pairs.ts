/** A share of a matrix in which every pair of values of two axes comes together wherever the matrix has it. */

/** A point of the matrix: its value on every axis, by the axis's name. */
export type Point = Readonly<Record<string, string>>;

const pairsOf = (point: Point): string[] => {
  const values = Object.entries(point).map(([axis, value]) => `${axis}=${value}`);
  return values.flatMap((a, i) => values.slice(i + 1).map((b) => `${a} & ${b}`));
};

/** All pairs that occur. */
export const allPairs = (points: readonly Point[]): ReadonlySet<string> => new Set(points.flatMap(pairsOf));

/**
 * Greedy: always the point with the most pairs that none before it had. Points that do not count towards pairs of their own (what is refused) may
 * be taken all the same; callers who mind leave them out.
 */
export function coverPairs<P extends Point>(points: readonly P[]): P[] {
  const missing = new Set(allPairs(points));
  const left = points.map((point) => ({ point, pairs: pairsOf(point) }));
  const chosen: P[] = [];
  while (missing.size > 0) {
    let best = left[0]!;
    let gain = -1;
    for (const candidate of left) {
      const count = candidate.pairs.reduce((n, pair) => n + (missing.has(pair) ? 1 : 0), 0);
      if (count > gain) [best, gain] = [candidate, count];
    }
    for (const pair of best.pairs) missing.delete(pair);
    left.splice(left.indexOf(best), 1);
    chosen.push(best.point);
  }
  return chosen;
}
