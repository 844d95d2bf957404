/**
 * Cuts a step into submits that each keep the GPU busy for less than a budget, so that the page can draw in between. The cut only
 * decides where one submit ends and the next begins; order and results stay the same. Costs start from each step's operations at a
 * speed that the slowest adapters of a kind reach, and follow the measured durations.
 */
export interface Pacing {
  /** Positions after which a submit ends; the last is the number of steps. */
  cuts(): readonly number[];
  /** The steps from `from` up to `to` took `ms` on the GPU. */
  measured(from: number, to: number, ms: number): void;
}

/** Multiply-adds per millisecond: of a processor that plays GPU, and of an old integrated GPU. */
export const FIRST_SPEED = { software: 1e6, hardware: 5e7 } as const;
/** A dispatch costs at least this much however small it is. */
const floorMs = 0.01;

export function createPacing(
  work: readonly number[],
  operationsPerMs: number = FIRST_SPEED.software,
  budgetMs = 100,
): Pacing {
  const costs = work.map((w) => floorMs + w / operationsPerMs);
  let known: number[] | null = null;

  const cut = (): number[] => {
    const cuts: number[] = [];
    let sum = 0;
    costs.forEach((cost, i) => {
      if (sum > 0 && sum + cost > budgetMs) {
        cuts.push(i);
        sum = 0;
      }
      sum += cost;
    });
    cuts.push(costs.length);
    return cuts;
  };

  return {
    cuts: () => (known ??= cut()),
    measured(from, to, ms) {
      let expected = 0;
      for (let i = from; i < to; i++) expected += costs[i]!;
      // One slow measurement (a busy machine) should not scatter the step, so each one moves the costs half way.
      const ratio = Math.sqrt(Math.max(ms, 0.001) / expected);
      if (ratio > 0.8 && ratio < 1.25) return;
      for (let i = from; i < to; i++) costs[i] = costs[i]! * ratio;
      known = null;
    },
  };
}
