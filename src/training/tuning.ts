/**
 * Which variant of a product is the fastest on a device: chosen by times, kept between runs. Only what changes no sum is tried, and what gives
 * other bits all the same is left out, so that a tuned run equals an untuned one bit for bit. Knows no GPU; tuner.ts measures.
 */

import type { Plan } from '../graph/plan.ts';
import type { Caps, Tuned } from '../graph/types.ts';
import { median } from '../lib/numbers.ts';
import { z } from '../lib/schema.ts';
import { type DispatchedProduct, productOf } from '../ops/dispatchedProduct.ts';
import { candidatesOf, defaultVariant, isVariantName, productClass } from '../ops/gemmVariants.ts';

/** With timestamps on the GPU, or as the difference of a long row of dispatches and a short one. */
export type HowTimed = 'timestamps' | 'lengths';

export interface TuningRow {
  /** The class of products: layout, sizes, how B is stored, whether there is an epilogue. */
  readonly product: string;
  /** Its part of the step's multiplications. */
  readonly share: number;
  /** The variant that runs untuned, and the one that runs. */
  readonly usual: string;
  readonly chosen: string;
  /** How much faster that is: 1 where it is the same. */
  readonly faster: number;
  /** Null where nothing was measured: time was up, or, as a note says, it cannot be run by itself. */
  readonly how: HowTimed | null;
  /** Measured in an earlier run. */
  readonly isKept: boolean;
  /** What was left out, and why: sentences. */
  readonly notes: readonly string[];
}

/** What a run's kernels were tuned to. */
export interface TuningReport {
  /** Spent on it before this run. */
  readonly milliseconds: number;
  /** Most multiplications first. */
  readonly rows: readonly TuningRow[];
}

/** What is kept of a class. */
export type Kept = Omit<TuningRow, 'product' | 'share' | 'isKept' | 'how'> & { readonly how: HowTimed };

/** What is kept of an adapter. */
export interface KeptTuning {
  readonly shaders: string;
  readonly products: Readonly<Record<string, Kept>>;
  /** Measurements that were begun and have not come to an end. */
  readonly begun: number;
}

/** Keeps what was measured, by adapter; what comes back may be anything, which {@link readKept} looks through. */
export interface TuningStore {
  read(adapter: string): Promise<unknown>;
  write(adapter: string, kept: KeptTuning): Promise<void>;
}

const variant = z.string().refine(isVariantName);

const keptSchema = z.object({
  shaders: z.string(),
  begun: z.int().min(0),
  products: z.record(
    z.string(),
    z.object({
      usual: variant,
      chosen: variant,
      faster: z.number().min(1),
      how: z.enum(['timestamps', 'lengths']),
      notes: z.array(z.string()),
    }),
  ),
});

/** What was kept for these shaders; nothing of what is damaged or was measured on others. */
export function readKept(
  kept: unknown,
  shaders: string,
): { readonly products: Map<string, Kept>; readonly begun: number } {
  const { data } = keptSchema.safeParse(kept);
  return data?.shaders === shaders
    ? { products: new Map(Object.entries(data.products)), begun: data.begun }
    : { products: new Map(), begun: 0 };
}

// What a step needs.

export interface ProductKind {
  readonly name: string;
  readonly share: number;
  /** The one with the most multiplications. */
  readonly product: DispatchedProduct;
}

/** Classes with a smaller part of the multiplications are left as they are. */
const LEAST_SHARE = 0.01;

/** The classes of a plan's products, most multiplications first. */
export function productKinds(plan: Plan): readonly ProductKind[] {
  const classes = new Map<string, Map<string, { readonly product: DispatchedProduct; work: number }>>();
  let all = 0;
  for (const step of plan.steps) {
    const product = step.kind === 'dispatch' ? productOf(step.dispatch) : null;
    const name = product && productClass(product, product.form);
    if (!product || name === null) continue;
    const { m, n, k, batches, packed, work } = product;
    const key = JSON.stringify([m, n, k, batches, packed]);
    const own = classes.get(name) ?? new Map();
    const before = own.get(key)?.work ?? 0;
    classes.set(name, own.set(key, { product, work: before + work }));
    all += work;
  }
  const kinds = [...classes].map(([name, own]): ProductKind => {
    const members = [...own.values()].toSorted((a, b) => b.work - a.work);
    return { name, share: members.reduce((n, { work }) => n + work, 0) / all, product: members[0]!.product };
  });
  return kinds.filter(({ share }) => share >= LEAST_SHARE).toSorted((a, b) => b.share - a.share);
}

// What times say.

/** The default stays unless another is so much faster. */
const MARGIN = 1.05;

/** Microseconds of a variant in each round; all have as many. */
export interface Times {
  readonly name: string;
  readonly rounds: readonly number[];
}

/**
 * The variant to take, and how much faster than the default it is: the fastest by the median over rounds, if that is by 5 % or more and it was faster
 * in every single one; else the default.
 */
export function fastest(
  usual: Times,
  others: readonly Times[],
): { readonly name: string; readonly faster: number } {
  let best = { name: usual.name, faster: 1 };
  for (const { name, rounds } of others) {
    // What waiting disturbed may come to no time at all.
    const ratios = rounds.map((time, i) => (time > 0 ? usual.rounds[i]! / time : 0));
    const faster = median(ratios);
    if (faster >= MARGIN && ratios.every((ratio) => ratio > 1) && faster > best.faster)
      best = { name, faster };
  }
  return best;
}

// Measuring in so much time.

/** Candidates of a product, ready to be timed. */
export interface Trial {
  /** Those that run and give the default's bits, which is the first; none where the product cannot be run. */
  readonly names: readonly string[];
  /** Why others are left out. */
  readonly notes: readonly string[];
  /** Microseconds of one. */
  time(name: string): Promise<number>;
  close(): void;
}

export interface Trials {
  readonly how: HowTimed;
  /** @param leftMs after which it gives up: no names, no notes */
  open(product: DispatchedProduct, names: readonly string[], leftMs: number): Promise<Trial>;
}

export interface Patience {
  /** Milliseconds that timing may take, and all of it with the compilation of candidates. */
  readonly timingMs: number;
  readonly allMs: number;
  readonly now: () => number;
  /** Called before each class, `done` of `total`; what it throws ends the tuning. */
  readonly onKind?: (done: number, total: number) => void;
}

/** Rounds that count, after one that warms up. */
const ROUNDS = 3;
/** Whoever takes so many times as long as the best when warming up is not timed further. */
const HOPELESS = 1.5;

/** Times by name, the default's first; null once `isLate`. */
async function timeAll(trial: Trial, isLate: () => boolean): Promise<Times[] | null> {
  const first: { readonly name: string; readonly time: number }[] = [];
  for (const name of trial.names) {
    if (isLate()) return null;
    first.push({ name, time: await trial.time(name) });
  }
  const best = Math.min(...first.map(({ time }) => (time > 0 ? time : Number.POSITIVE_INFINITY)));
  const hopeful = first.filter(({ time }, i) => i === 0 || time <= HOPELESS * best);
  const rounds = new Map<string, number[]>(hopeful.map(({ name }) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, times] of rounds) {
      if (isLate()) return null;
      times.push(await trial.time(name));
    }
  }
  return [...rounds].map(([name, times]) => ({ name, rounds: times }));
}

/** Whether kernels are tuned where nobody says: not where a processor plays GPU, whose default was measured. */
export const isTuned = (wanted: boolean | undefined, { software }: Pick<Caps, 'software'>): boolean =>
  wanted ?? !software;

/** Measures what is not known yet, until time is up; what it comes to is added to `known`. */
export async function tuneKinds(
  kinds: readonly ProductKind[],
  known: Map<string, Kept>,
  caps: Caps,
  trials: Trials,
  { timingMs, allMs, now, onKind }: Patience,
): Promise<TuningReport> {
  const begun = now();
  let timing = 0;
  const before = new Set(known.keys());
  const unmeasured = new Map<string, readonly string[]>();
  const missing = kinds.filter(({ name }) => !known.has(name));
  for (const [i, { name, product }] of missing.entries()) {
    onKind?.(i, missing.length);
    const isOver = () => timing >= timingMs || now() - begun >= allMs;
    if (isOver()) break;
    const leftMs = allMs - (now() - begun);
    const trial = await trials.open(product, candidatesOf(product, caps), leftMs);
    try {
      const from = now();
      const isLate = () => timing + now() - from >= timingMs || now() - begun >= allMs;
      const times = trial.names.length > 1 ? await timeAll(trial, isLate) : null;
      timing += now() - from;
      const usual = trial.names[0];
      const isTimed = trial.names.length === 1 || times !== null;
      unmeasured.set(name, trial.notes);
      if (usual === undefined || !isTimed) continue;
      const { name: chosen, faster } = times
        ? fastest(times[0]!, times.slice(1))
        : { name: usual, faster: 1 };
      known.set(name, { usual, chosen, faster, how: trials.how, notes: trial.notes });
    } finally {
      trial.close();
    }
  }
  const rows = kinds.map(({ name, share, product }): TuningRow => {
    const kept = known.get(name);
    if (kept) return { product: name, share, ...kept, isKept: before.has(name) };
    const usual = defaultVariant(product, caps);
    const notes = unmeasured.get(name) ?? [];
    return { product: name, share, usual, chosen: usual, faster: 1, how: null, isKept: false, notes };
  });
  return { milliseconds: now() - begun, rows };
}

/** The choices that differ from the default, as plans take them. */
export const tunedOf = (rows: readonly Pick<TuningRow, 'product' | 'usual' | 'chosen'>[]): Tuned =>
  Object.fromEntries(rows.filter((row) => row.chosen !== row.usual).map((row) => [row.product, row.chosen]));
