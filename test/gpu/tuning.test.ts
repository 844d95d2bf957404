/** A tuned run equals an untuned one bit for bit, whatever the table says; and the tuner measures what the device has, keeps it, and takes it up again. */
import { expect, it } from 'vitest';
import { TRAINABLE } from '../../src/adapters/inject.ts';
import { type GemmVariantName, PRODUCT_CLASSES } from '../../src/ops/gemmVariants.ts';
import { gpuBackend } from '../../src/training/backend.ts';
import { createEngine, type MakeEngine } from '../../src/training/engine.ts';
import { openSession } from '../../src/training/session.ts';
import { createTuner } from '../../src/training/tuner.ts';
import type { HowTimed, KeptTuning, TuningReport, TuningStore } from '../../src/training/tuning.ts';
import { testDevice } from './device.ts';
import { losses, type TinyRun, testHost, tinyRequest, tinyVision } from './tinyRuns.ts';

const STEPS = 4;
/** A run, another choice than the device's own for all of its products, and how the tuner measures. */
interface Case {
  readonly run: TinyRun;
  readonly other: GemmVariantName;
  readonly how: HowTimed;
}

const targets = { target_modules: ['query', 'dense'], modules_to_save: ['classifier'] };
const CASES: Readonly<Record<string, Case>> = {
  lora: {
    run: { method: 'lora', config: { r: 16, ...targets } },
    other: 'tiled64x64',
    how: 'timestamps',
  },
  boft: {
    run: { method: 'boft', config: { boft_block_size: 4, boft_n_butterfly_factor: 2, ...targets } },
    other: 'direct8',
    how: 'lengths',
  },
};

/** Wide enough that no product is too small to tune. */
const wide = (run: TinyRun): TinyRun => ({ ...run, model: tinyVision(3, 64), training: { steps: STEPS } });

interface Ran {
  readonly losses: readonly number[];
  readonly trained: readonly number[];
  readonly tuning: TuningReport | null;
}

/** Enough to reach some classes on a processor that plays GPU and does other things besides. */
const patience = { timingMs: 20_000, allMs: 40_000 };

async function ran(run: TinyRun, how: HowTimed, kept?: TuningStore): Promise<Ran> {
  const device = await testDevice();
  const timed = { ...device, timestamps: device.timestamps && how === 'timestamps' };
  const tuner = createTuner(timed, { kept, ...patience });
  const engine: MakeEngine = (request) => createEngine({ device, tuner, ...request });
  const session = await openSession({ ...gpuBackend(device), engine }, tinyRequest(run), testHost);
  try {
    await session.play();
    const trained = await session.engine.readState(TRAINABLE);
    return {
      losses: losses(session),
      trained: [...new Uint32Array(trained.buffer, trained.byteOffset, trained.length)],
      tuning: session.engine.tuning,
    };
  } finally {
    await session.close();
  }
}

/** A store that holds one thing. */
function storeOf(kept: unknown = null) {
  const store = {
    kept,
    read: async () => store.kept,
    write: async (_adapter: string, now: unknown) => {
      store.kept = now;
    },
  };
  return store;
}

it.each(Object.entries(CASES))(
  '%s is the same tuned',
  { timeout: 300_000 },
  async (_name, { run, other, how }) => {
    const untuned = await ran(wide(run), how);
    expect(untuned.tuning).toBe(null);
    expect(new Set(untuned.losses).size).toBe(STEPS);

    const store = storeOf();
    const tuned = await ran({ ...wide(run), tune: true }, how, store);
    const { rows } = tuned.tuning!;
    expect(rows.length).toBeGreaterThan(2);
    const measured = rows.filter((row) => row.how !== null);
    expect(measured.length).toBeGreaterThan(0);
    expect(measured.map((row) => [row.how, row.isKept])).toEqual(measured.map(() => [how, false]));
    expect(rows.flatMap(({ notes }) => notes).filter((note) => /other bits|refused/.test(note))).toEqual([]);
    expect(tuned.losses).toEqual(untuned.losses);
    expect(tuned.trained).toEqual(untuned.trained);

    // The same shaders, and another choice for everything.
    const { shaders } = store.kept as KeptTuning;
    const forced = await ran({ ...wide(run), tune: true }, how, storeOf(keptAs(shaders, other)));
    const chosen = forced.tuning!.rows.map((row) => [row.chosen, row.isKept]);
    expect(chosen).toEqual(rows.map(() => [other, true]));
    expect(forced.losses).toEqual(untuned.losses);
    expect(forced.trained).toEqual(untuned.trained);
  },
);

const keptAs = (shaders: string, name: GemmVariantName): KeptTuning => ({
  shaders,
  begun: 0,
  products: Object.fromEntries(
    PRODUCT_CLASSES.map((product) => [
      product,
      { usual: 'direct4', chosen: name, faster: 2, how: 'timestamps', notes: [] },
    ]),
  ),
});
