/** What is worth its price: of points with a cost and a quality, those that no other beats in both. */
export interface Point {
  readonly cost: number;
  readonly quality: number;
}

/**
 * The Pareto front. Points that are equal in both are all on it or all off it; what is no number is off it.
 *
 * @param isMoreBetter whether more quality is better; a loss is better when it is less
 * @returns the points' places, the cheapest first
 */
export function paretoFront(points: readonly Point[], isMoreBetter: boolean): number[] {
  const sign = isMoreBetter ? 1 : -1;
  const places = points
    .map((_, i) => i)
    .filter((i) => Number.isFinite(points[i]!.cost) && Number.isFinite(points[i]!.quality))
    .sort(
      (a, b) =>
        points[a]!.cost - points[b]!.cost || sign * (points[b]!.quality - points[a]!.quality) || a - b,
    );
  const front: number[] = [];
  for (const i of places) {
    const { cost, quality } = points[i]!;
    const last = front.length > 0 ? points[front.at(-1)!]! : null;
    const isSame = last !== null && last.cost === cost && last.quality === quality;
    if (last === null || isSame || sign * quality > sign * last.quality) front.push(i);
  }
  return front;
}
