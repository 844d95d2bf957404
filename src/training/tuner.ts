/**
 * Tunes a device's products before a run: candidates are compiled, held against the default's bits on a small product, and timed at the sizes of the
 * step's own products. What was measured is kept by adapter and by a hash of the shaders.
 */

import { compile } from '../gpu/compile.ts';
import type { Device } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { createStore, type Store } from '../gpu/store.ts';
import { createBuilder } from '../graph/builder.ts';
import type { Plan } from '../graph/plan.ts';
import { schedule } from '../graph/schedule.ts';
import { sizeOf, zerosOf } from '../graph/shape.ts';
import type { Caps, DeviceData, Graph, TensorType, Tuned, Value } from '../graph/types.ts';
import { createSha256 } from '../lib/bytes.ts';
import { PapilioError } from '../lib/errors.ts';
import { toHalf } from '../lib/half.ts';
import { createLock } from '../lib/lock.ts';
import { type Rng, rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';
import type { DispatchedProduct } from '../ops/dispatchedProduct.ts';
import { allTuned, type GemmVariantName, gemmVariants } from '../ops/gemmVariants.ts';
import { matmul } from '../ops/matmul.ts';
import { productOp } from '../ops/product.ts';
import { packMatrix, type QuantFormat, quantLayout } from '../ops/quantised.ts';
import {
  type HowTimed,
  type Kept,
  productKinds,
  readKept,
  type Trial,
  type Trials,
  type TuningReport,
  type TuningStore,
  tunedOf,
  tuneKinds,
} from './tuning.ts';

export interface Tuner {
  /**
   * @param onKind is called before each class of products that is measured; what it throws ends the tuning
   * @throws PapilioError 'device-lost'
   */
  tune(
    plan: Plan,
    onKind?: (done: number, total: number) => void,
  ): Promise<{ readonly tuned: Tuned; readonly report: TuningReport }>;
}

/** Of the shaders and of what the names of variants stand for. */
function hashOf(shaders: string): string {
  const hash = createSha256();
  hash.update(new TextEncoder().encode(shaders + JSON.stringify(gemmVariants)));
  return hash.hex();
}

export interface TunerOptions {
  /** Where measurements are kept between runs; absent: with the tuner alone. */
  readonly kept?: TuningStore | undefined;
  /** Measure; with the device, unless given. */
  readonly trials?: Trials;
  /** Milliseconds that timing takes at most, and all of it with the compilation of candidates. */
  readonly timingMs?: number;
  readonly allMs?: number;
}

export function createTuner(
  device: Device,
  { kept, trials = trialsOn(device), timingMs = 500, allMs = 2000 }: TunerOptions = {},
): Tuner {
  const adapter = JSON.stringify(device.identity);
  let hash: string | undefined;
  const shaders = (): string => {
    hash ??= hashOf(device.pipelines.shaders);
    return hash;
  };
  const oneAtATime = createLock();
  let known: Promise<ReturnType<typeof readKept>> | undefined;
  const load = async () => readKept(await kept?.read(adapter).catch(() => null), shaders());
  // A place that keeps nothing only costs the next run its half second.
  const keep = async (products: ReadonlyMap<string, Kept>, begun: number): Promise<void> =>
    kept
      ?.write(adapter, { shaders: shaders(), products: Object.fromEntries(products), begun })
      .catch(() => {});
  return {
    tune: (plan, onKind) =>
      oneAtATime(async () => {
        known ??= load();
        const { products, begun } = await known;
        const kinds = productKinds(plan);
        const isMissing = kinds.some(({ name }) => !products.has(name));
        const patience = { timingMs, allMs, now: () => performance.now(), ...(onKind && { onKind }) };
        const measured = begun < MOST_BEGUN ? trials : givenUp;
        // Whoever takes the device away, or the browser with it, is known by what is left here.
        if (isMissing && measured === trials) await keep(products, begun + 1);
        let isLost = false;
        try {
          const report = await tuneKinds(kinds, products, device.caps, measured, patience);
          return { tuned: tunedOf(report.rows), report };
        } catch (error) {
          isLost = error instanceof PapilioError && error.kind === 'device-lost';
          throw error;
        } finally {
          if (isMissing && measured === trials && !isLost) await keep(products, 0);
        }
      }),
  };
}

/** So many measurements that came to no end are enough. */
const MOST_BEGUN = 2;

const givenUp: Trials = {
  how: 'timestamps',
  open: async () => noTrial(say`It is not measured: that has twice come to no end on this device.`),
};

const trialsOn = (device: Device): Trials => ({
  how: device.timestamps ? 'timestamps' : 'lengths',
  async open(product, words, leftMs) {
    const names = words as readonly GemmVariantName[];
    const isReady = await isCompiled(device, product, names, leftMs).catch(refusal);
    if (isReady instanceof PapilioError) return noTrial(isReady.message);
    return isReady ? openTrial(device, product, names) : noTrial();
  },
});

const noTrial = (...notes: readonly string[]): Trial => ({
  names: [],
  notes,
  time: async () => 0,
  close: () => {},
});

/** Compiles candidates. @returns whether that was done in time; what comes later is there for the next run */
async function isCompiled(
  device: Device,
  product: DispatchedProduct,
  names: readonly GemmVariantName[],
  leftMs: number,
): Promise<boolean> {
  const sides = [smallSides(product), timedSides(product)];
  const plans = names.flatMap((name) =>
    sides.map((own) =>
      schedule(
        productGraph(product, own, (g, operand, type) => g.input(operand, type)),
        inVariant(device.caps, name),
      ),
    ),
  );
  const deadline = performance.now() + leftMs;
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const pipelines: Promise<unknown>[] = [];
  for (const step of plans.flatMap((plan) => plan.steps)) {
    if (step.kind !== 'dispatch') continue;
    pipelines.push(device.pipelines.get(step.dispatch).catch(() => {}));
    // Where compiling holds this thread up, time is known to be over after each.
    await pause(0);
    if (performance.now() >= deadline) return false;
  }
  const all = Promise.all(pipelines).then(() => true);
  return Promise.race([all, pause(deadline - performance.now()).then(() => false)]);
}

/** What a candidate may fail of without harm to others. */
const refusal = (error: unknown): PapilioError => {
  if (error instanceof PapilioError && ['internal', 'limit', 'out-of-memory'].includes(error.kind))
    return error;
  throw error;
};

async function openTrial(
  device: Device,
  product: DispatchedProduct,
  names: readonly GemmVariantName[],
): Promise<Trial> {
  const store = createStore(device);
  const programs = new Map<string, Program>();
  const notes: string[] = [];
  const close = (): void => {
    for (const program of programs.values()) program.destroy();
    store.destroy();
  };
  try {
    const bits = await Promise.all(names.map((name) => bitsOf(device, product, name)));
    const usual = bits[0]!;
    // Without the default there is nothing to hold others against.
    if (usual instanceof PapilioError)
      return { names: [], notes: [usual.message], time: async () => 0, close };
    for (const [i, name] of names.entries()) {
      const own = bits[i]!;
      if (own instanceof PapilioError) notes.push(say`${name} is refused: ${own.message}`);
      else if (own.some((word, at) => word !== usual[at]))
        notes.push(say`${name} gives other bits than ${names[0]!} here and is left out.`);
      else {
        const made = await timedProgram(device, store, product, name).catch(refusal);
        if (made instanceof PapilioError) notes.push(say`${name} is refused: ${made.message}`);
        else programs.set(name, made);
      }
    }
    if (!programs.has(names[0]!)) return { names: [], notes, time: async () => 0, close };
    const stopwatch = createStopwatch(device.timestamps ? 'timestamps' : 'lengths');
    return { names: [...programs.keys()], notes, time: (name) => stopwatch(programs.get(name)!), close };
  } catch (error) {
    close();
    throw error;
  }
}

// The products that stand for those of the step.

type Sides = Pick<DispatchedProduct, 'm' | 'n' | 'k' | 'batches'>;

/** How a packed B of these sizes is stored. */
const packedOf = ({ form, packed }: DispatchedProduct, { n, k }: Sides): QuantFormat | undefined =>
  packed && { ...packed, columns: form.transB ? k : n };

/** A product with its operands as inputs or parameters, a second pair among them; the bias stands for whatever else an epilogue does. */
function productGraph(
  product: DispatchedProduct,
  sides: Sides,
  operand: (g: ReturnType<typeof createBuilder>, name: string, type: TensorType) => Value,
): Graph {
  const g = createBuilder();
  const { form } = product;
  const { transA, transB } = form;
  const { m, n, k, batches } = sides;
  const lead = batches > 1 && form.b === 'f32' ? [batches] : [];
  const rows = transB ? n : k;
  const format = packedOf(product, sides);
  const a = operand(g, 'a', { dtype: 'f32', shape: [...lead, ...(transA ? [k, m] : [m, k])] });
  const b = operand(
    g,
    'b',
    format
      ? { dtype: 'u32', shape: [rows, quantLayout(format).stride] }
      : { dtype: form.b === 'f16' ? 'f16' : 'f32', shape: [...lead, rows, transB ? k : n] },
  );
  const layout = { transA, transB, alpha: 1, ...(format && { packed: format }) };
  if (lead.length > 0) return g.finish({ c: matmul(g, a, b, layout) });
  const floats = (name: string, ...shape: number[]): Value => operand(g, name, { dtype: 'f32', shape });
  const { second } = product;
  const pair =
    second > 0 ? [floats('a2', m, second), floats('b2', ...(transB ? [n, second] : [second, n]))] : [];
  const rest = { activation: 'none', slope: 'none', keepPre: false, keepRaw: false } as const;
  const own = { ...layout, ...rest, second: second > 0 };
  const inputs = [a, b, ...pair, ...(form.hasEpilogue ? [floats('bias', n)] : [])];
  return g.finish({ c: g.emit(productOp, inputs, { ...own, extras: form.hasEpilogue ? ['bias'] : [] })[0]! });
}

const inVariant = (caps: Caps, name: GemmVariantName): Caps => ({ ...caps, tuned: allTuned(name) });

/** Longer sides are cut down to these, less what they leave over 32: edges and alignment stay as they are. */
const cut = (side: number, most: number): number =>
  side >= most + NARROWEST ? most + (side % NARROWEST) : side;
const NARROWEST = 32;
const SMALL_SIDE = 64;
const LONG_SIDE = 4096;
/** Numbers of a result. */
const MOST_NUMBERS = 1 << 22;

function timedSides({ m, n, k, batches }: Sides): Sides {
  const [columns, inner] = [cut(n, LONG_SIDE), cut(k, LONG_SIDE)];
  const rows = cut(m, Math.max(1024, Math.floor(MOST_NUMBERS / columns / NARROWEST) * NARROWEST));
  const perMatrix = Math.max(rows * columns, rows * inner, inner * columns);
  return {
    m: rows,
    n: columns,
    k: inner,
    batches: Math.max(1, Math.min(batches, Math.floor(MOST_NUMBERS / perMatrix))),
  };
}

const smallSides = ({ m, n, k, batches }: Sides): Sides => ({
  ...{ m: cut(m, SMALL_SIDE), n: cut(n, SMALL_SIDE), k: cut(k, SMALL_SIDE) },
  batches: Math.min(batches, 2),
});

async function timedProgram(
  device: Device,
  store: Store,
  product: DispatchedProduct,
  name: GemmVariantName,
): Promise<Program> {
  const graph = productGraph(product, timedSides(product), (g, operand, type) =>
    g.parameter(operand, type, () => zerosOf(type)),
  );
  return compile(device, store, schedule(graph, inVariant(device.caps, name)));
}

/** Words of the result of a small product of random numbers. */
async function bitsOf(
  device: Device,
  product: DispatchedProduct,
  name: GemmVariantName,
): Promise<Uint32Array | PapilioError> {
  const store = createStore(device);
  const types = new Map<string, TensorType>();
  const sides = smallSides(product);
  const graph = productGraph(product, sides, (g, operand, type) => {
    types.set(operand, type);
    return g.input(operand, type);
  });
  try {
    const program = await compile(device, store, schedule(graph, inVariant(device.caps, name)));
    try {
      const random = rng(0x7e57);
      for (const [operand, type] of types)
        program.write(operand, randomData(type, packedOf(product, sides), random));
      program.run();
      const c = await program.read('c');
      return new Uint32Array(c.buffer, c.byteOffset, c.length);
    } finally {
      program.destroy();
    }
  } catch (error) {
    return refusal(error);
  } finally {
    store.destroy();
  }
}

function randomData({ dtype, shape }: TensorType, packed: QuantFormat | undefined, random: Rng): DeviceData {
  const number = (): number => random.between(-1, 1);
  const length = sizeOf(shape);
  if (dtype === 'f16') return Uint16Array.from({ length }, () => toHalf(number()));
  if (dtype === 'f32' || !packed) return Float32Array.from({ length }, number);
  return packMatrix(shape[0]!, packed, {
    code: () => random.int(2 ** packed.bits),
    scale: number,
    zero: () => random.int(2 ** packed.bits),
  });
}

// The clock.

/** A row of dispatches is as long as timestamps, which browsers round to 0.1 ms, or waits need to be told from noise; in microseconds. */
const LONG_ENOUGH: Readonly<Record<HowTimed, number>> = { timestamps: 4000, lengths: 8000 };
const MOST_IN_A_ROW = 256;

/** Times programs of one product; the first finds out how many make a row that is long enough, for all. */
function createStopwatch(how: HowTimed): (program: Program) => Promise<number> {
  const perProduct = async (program: Program, count: number): Promise<number> => {
    if (how === 'lengths')
      return (((await program.row(4 * count)) - (await program.row(count))) * 1000) / (3 * count);
    const found = (await program.profile(() => count)) ?? [];
    return found.reduce((sum, { microseconds, places }) => sum + microseconds * places.length, 0);
  };
  let row = 0;
  return async (program) => {
    if (row > 0) return perProduct(program, row);
    for (row = 1; ; ) {
      const time = await perProduct(program, row);
      const missing = LONG_ENOUGH[how] / (time * row);
      if ((missing > 0 && missing <= 1) || row >= MOST_IN_A_ROW) return time;
      // A row that is far too short says little of how long it has to be.
      row = Math.min(MOST_IN_A_ROW, Math.ceil(row * (missing > 0 && missing < 8 ? 1.1 * missing : 8)));
    }
  };
}
