/**
 * How much work the GPU is given at a time. `createPacing` cuts a step into submits that each keep the GPU busy for less than a budget, so that
 * the page can draw in between, and `createDepth` says how many runs may wait at the GPU. Both only decide when something is submitted; order and results stay the same. Costs start from each step's operations at a
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

export interface Depth {
  /** Runs that may be in flight now. */
  readonly runs: number;
  /** A run was heard of at `now`, in milliseconds. */
  arrived(now: number): void;
  /** What comes next does not follow on what came: nothing was in flight. */
  interrupted(): void;
}

/** Runs that are under way at least, so that the GPU has work while the last one is heard of; the most are fewer than a ring has slots. */
const FEWEST_RUNS = 2;
/** What is in flight should take as long as news of it at most: two runs of more than 15 ms do, and a pause waits for no more. */
const SPAN_MS = 30;
/** Runs whose mean time is taken, and how many of them say something. */
const KNOWN_RUNS = 8;
const ENOUGH_RUNS = 4;

export function createDepth(most: number): Depth {
  let arrivals: number[] = [];
  return {
    get runs() {
      const count = arrivals.length - 1;
      if (count < ENOUGH_RUNS) return FEWEST_RUNS;
      // News may come of several runs at once: their mean counts, not the time between two.
      const ms = (arrivals[count]! - arrivals[0]!) / count;
      return Math.min(most, Math.max(FEWEST_RUNS, Math.ceil(SPAN_MS / ms)));
    },
    arrived(now) {
      arrivals.push(now);
      if (arrivals.length > KNOWN_RUNS + 1) arrivals.shift();
    },
    interrupted() {
      arrivals = [];
    },
  };
}
