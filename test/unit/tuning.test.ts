/**
 * What a tuner chooses, in what time, and what of earlier runs it believes. Seen to fail with: no margin, a median alone, shaders that are not
 * compared, no end of time, candidates beyond a device's limits.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileTunings } from '../../src/cli/engine.ts';
import type { Device } from '../../src/gpu/device.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { baseCaps, type Caps } from '../../src/graph/types.ts';
import { fail } from '../../src/lib/errors.ts';
import { productOf } from '../../src/ops/dispatchedProduct.ts';
import {
  allTuned,
  candidatesOf,
  chooseVariant,
  defaultVariant,
  type Form,
  gemmVariants,
  MOST_CANDIDATES,
  PRODUCT_CLASSES,
  productClass,
  workgroupBytes,
} from '../../src/ops/gemmVariants.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { productOp } from '../../src/ops/product.ts';
import { quantLayout } from '../../src/ops/quantised.ts';
import { createTuner } from '../../src/training/tuner.ts';
import {
  fastest,
  isTuned,
  type Kept,
  productKinds,
  readKept,
  type Trials,
  type TuningStore,
  tunedOf,
  tuneKinds,
} from '../../src/training/tuning.ts';

const plain: Form = { transA: false, transB: true, b: 'f32', hasEpilogue: false };
const large: Caps = { ...baseCaps, maxWorkgroupStorageBytes: 32768, maxInvocationsPerWorkgroup: 1024 };
const sizes = (m: number, n: number, k: number) => ({ m, n, k, batches: 1 });

describe('classes', () => {
  it('are those that there are, and none for what is too small', () => {
    expect(new Set(PRODUCT_CLASSES).size).toBe(PRODUCT_CLASSES.length);
    for (const side of [16, 33, 300, 600])
      for (const transA of [true, false])
        for (const b of ['f32', 'f16', 'packed'] as const)
          expect(PRODUCT_CLASSES).toContain(productClass(sizes(side, 512, side), { ...plain, transA, b }));
    expect(productClass(sizes(512, 768, 768), { ...plain, hasEpilogue: true })).toBe(
      'NT, m ≤ 512, n ≥ 256, k ≥ 256, f32, epilogue',
    );
    for (const small of [sizes(15, 64, 64), sizes(64, 15, 64), sizes(64, 64, 15)])
      expect(productClass(small, plain)).toBe(null);
  });

  it('are read off a plan, the largest first', () => {
    const g = createBuilder();
    const input = (name: string, ...shape: number[]) => g.input(name, { dtype: 'f32', shape });
    const x = input('x', 512, 256);
    const bias = input('bias', 300);
    const attrs = { transA: false, transB: true, alpha: 1, activation: 'gelu', slope: 'none' } as const;
    const packed = { bits: 4, columns: 300, block: 32, zeros: 'floats' } as const;
    const codes = g.input('codes', { dtype: 'u32', shape: [64, quantLayout(packed).stride] });
    const [y] = g.emit(productOp, [x, input('w', 300, 256), input('a2', 512, 8), input('b2', 300, 8), bias], {
      ...{ ...attrs, second: true },
      ...{ extras: ['bias'], keepPre: false, keepRaw: false },
    });
    const z = matmul(g, y!, codes, { transB: true, packed });
    // Of few columns: skinny.wgsl makes it, which has nothing to choose.
    const tiny = matmul(g, z, input('b', 64, 8));
    const batched = matmul(g, input('p', 6, 40, 50), input('q', 6, 50, 60));
    const plan = schedule(g.finish({ tiny, batched }), large);
    const found = plan.steps.flatMap((step) =>
      step.kind === 'dispatch' ? (productOf(step.dispatch) ?? []) : [],
    );
    expect(found).toEqual([
      {
        ...{ ...sizes(512, 300, 256), packed: undefined, second: 8, work: 512 * 300 * (256 + 8) },
        form: { ...plain, hasEpilogue: true },
      },
      { ...sizes(512, 64, 300), packed, second: 0, work: 512 * 64 * 300, form: { ...plain, b: 'packed' } },
      {
        ...{ m: 40, n: 60, k: 50, batches: 6, packed: undefined, second: 0, work: 6 * 40 * 60 * 50 },
        form: { ...plain, transB: false },
      },
    ]);
    const kinds = productKinds(plan);
    expect(kinds.map(({ name }) => name)).toEqual([
      'NT, m ≤ 512, n ≥ 256, k ≥ 256, f32, epilogue',
      'NT, m ≤ 512, n < 256, k ≥ 256, packed',
      'NN, m ≤ 64, n < 256, k < 256, f32',
    ]);
    expect(kinds.reduce((n, { share }) => n + share, 0)).toBeCloseTo(1);
  });
});

describe('variants', () => {
  const shapes = [sizes(512, 768, 768), sizes(40, 64, 64), sizes(4096, 768, 3072), sizes(24, 768, 768)];

  it('that are tried are few, the default first, and within the limits', () => {
    for (const caps of [baseCaps, large, { ...large, software: true }, { ...large, vendor: 'apple' }]) {
      for (const shape of shapes) {
        const names = candidatesOf(shape, caps);
        expect(names[0]).toBe(defaultVariant(shape, caps));
        expect(names.length).toBe(new Set(names).size);
        expect(names.length).toBeGreaterThan(2);
        expect(names.length).toBeLessThanOrEqual(MOST_CANDIDATES);
        for (const name of names)
          expect(workgroupBytes(gemmVariants[name])).toBeLessThanOrEqual(caps.maxWorkgroupStorageBytes);
      }
    }
    const little = { ...baseCaps, maxWorkgroupStorageBytes: 4096, maxInvocationsPerWorkgroup: 64 };
    for (const shape of shapes)
      for (const name of candidatesOf(shape, little)) {
        const variant = gemmVariants[name];
        expect(workgroupBytes(variant)).toBeLessThanOrEqual(4096);
        expect(variant.threads[0] * variant.threads[1]).toBeLessThanOrEqual(64);
      }
  });

  it('follow the table, unless the device cannot run them or nobody knows them', () => {
    const shape = shapes[0]!;
    const at = (name: string, caps = large) =>
      chooseVariant(shape, plain, { ...caps, tuned: { [productClass(shape, plain)!]: name } });
    expect(at('direct8')).toBe('direct8');
    expect(at('tiled1024')).toBe(defaultVariant(shape, large));
    expect(at('constructor')).toBe(defaultVariant(shape, large));
    const little = { ...large, maxWorkgroupStorageBytes: 4096 };
    expect(at('tiled128x64deep', little)).toBe(defaultVariant(shape, little));
    // Another class, and one too small for any.
    expect(chooseVariant(shape, { ...plain, b: 'f16' }, { ...large, tuned: { x: 'direct8' } })).toBe(
      defaultVariant(shape, large),
    );
    expect(chooseVariant(sizes(8, 64, 64), plain, { ...large, tuned: allTuned('direct8') })).toBe('direct4');
  });

  it('of a vendor that dislikes barriers have none', () => {
    const apple = { ...large, vendor: 'apple' };
    for (const shape of shapes) expect(defaultVariant(shape, apple)).toMatch(/^direct[48]$/);
    expect(defaultVariant(shapes[0]!, apple)).toBe('direct8');
    expect(defaultVariant(shapes[0]!, large)).toMatch(/^tiled/);
  });
});

describe('a choice', () => {
  const usual = { name: 'usual', rounds: [100, 104, 98] };

  it('is the fastest', () => {
    expect(
      fastest(usual, [
        { name: 'slow', rounds: [120, 120, 120] },
        { name: 'good', rounds: [80, 80, 80] },
        { name: 'best', rounds: [50, 52, 49] },
      ]),
    ).toEqual({ name: 'best', faster: 2 });
  });

  it('is the default where nothing is faster by a margin, or in every round', () => {
    const kept = { name: 'usual', faster: 1 };
    expect(fastest(usual, [])).toEqual(kept);
    expect(fastest(usual, [{ name: 'same', rounds: usual.rounds }])).toEqual(kept);
    expect(fastest(usual, [{ name: 'a bit', rounds: usual.rounds.map((t) => t / 1.04) }])).toEqual(kept);
    expect(fastest(usual, [{ name: 'enough', rounds: usual.rounds.map((t) => t / 1.06) }]).name).toBe(
      'enough',
    );
    // Noise: much faster twice, slower once.
    expect(fastest(usual, [{ name: 'noise', rounds: [50, 50, 99] }])).toEqual(kept);
    // A wait that hid the work: no time at all, or less.
    expect(fastest(usual, [{ name: 'nothing', rounds: [0, -3, 20] }])).toEqual(kept);
  });

  it('is made on a GPU, and on a software adapter only when asked for', () => {
    expect(isTuned(undefined, { software: false })).toBe(true);
    expect(isTuned(undefined, { software: true })).toBe(false);
    expect(isTuned(true, { software: true })).toBe(true);
    expect(isTuned(false, { software: false })).toBe(false);
  });
});

/** A clock that goes on by what is spent. */
function fakeTrials(times: Readonly<Record<string, number>>, openMs = 10, drops: readonly string[] = []) {
  const clock = { now: 0, opened: 0, closed: 0, timed: [] as string[] };
  const trials: Trials = {
    how: 'timestamps',
    async open(_product, names) {
      clock.now += openMs;
      clock.opened++;
      return {
        names: names.filter((name) => !drops.includes(name)),
        notes: drops.map((name) => `${name} gives other bits.`),
        async time(name) {
          clock.timed.push(name);
          clock.now += 5;
          return times[name] ?? 100;
        },
        close: () => {
          clock.closed++;
        },
      };
    },
  };
  return { clock, trials, now: () => clock.now };
}

/** Two classes, one with nine tenths of the work. */
function twoKinds(): Plan {
  const g = createBuilder();
  const x = g.input('x', { dtype: 'f32', shape: [512, 512] });
  const y = matmul(g, x, g.input('w', { dtype: 'f32', shape: [900, 512] }), { transB: true });
  const z = matmul(g, x, g.input('v', { dtype: 'f32', shape: [512, 100] }));
  return schedule(g.finish({ y, z }), large);
}

describe('tuning', () => {
  const kinds = productKinds(twoKinds());
  const [first, second] = kinds.map(({ name }) => name) as [string, string];
  const patience = { timingMs: 500, allMs: 2000 };

  it('measures each class once and takes the fastest', async () => {
    const { trials, clock, now } = fakeTrials({ direct8: 50 });
    const known = new Map<string, Kept>();
    const heard: string[] = [];
    const onKind = (done: number, total: number) => heard.push(`${done} of ${total}`);
    const report = await tuneKinds(kinds, known, large, trials, { ...patience, now, onKind });
    expect(
      report.rows.map(({ product, chosen, faster, how, isKept }) => [product, chosen, faster, how, isKept]),
    ).toEqual([
      [first, 'direct8', 2, 'timestamps', false],
      [second, 'direct8', 2, 'timestamps', false],
    ]);
    expect(heard).toEqual(['0 of 2', '1 of 2']);
    expect(report.milliseconds).toBe(clock.now);
    expect(clock.opened).toBe(2);
    expect(clock.closed).toBe(2);
    expect(tunedOf(report.rows)).toEqual({ [first]: 'direct8', [second]: 'direct8' });

    const again = fakeTrials({});
    const kept = await tuneKinds(kinds, known, large, again.trials, { ...patience, now: again.now });
    expect(again.clock.opened).toBe(0);
    expect(kept.rows.map(({ chosen, isKept }) => [chosen, isKept])).toEqual([
      ['direct8', true],
      ['direct8', true],
    ]);
  });

  it('leaves out what gives other bits, and does not time the hopeless twice', async () => {
    const { trials, clock, now } = fakeTrials({ direct8: 1, tiled64x64wide: 400 }, 10, ['direct8']);
    const report = await tuneKinds(kinds.slice(0, 1), new Map(), large, trials, { ...patience, now });
    expect(report.rows[0]).toMatchObject({
      chosen: report.rows[0]!.usual,
      faster: 1,
      notes: ['direct8 gives other bits.'],
    });
    expect(tunedOf(report.rows)).toEqual({});
    expect(clock.timed).not.toContain('direct8');
    expect(clock.timed.filter((name) => name === 'tiled64x64wide')).toHaveLength(1);
    expect(clock.timed.filter((name) => name === 'tiled32x64').length).toBeLessThanOrEqual(4);
  });

  it.each([
    ['timing', 70, 2000, 10],
    ['everything', 10_000, 1010, 1000],
  ])('ends when its time is up: %s', async (_what, timingMs, allMs, openMs) => {
    const { trials, clock, now } = fakeTrials({ direct8: 50 }, openMs);
    const known = new Map<string, Kept>();
    const report = await tuneKinds(kinds, known, large, trials, { timingMs, allMs, now });
    expect(clock.now).toBeLessThanOrEqual(Math.min(timingMs + 2 * openMs, allMs) + 5);
    const reached = report.rows.filter(({ how }) => how !== null);
    expect(reached.length).toBeLessThan(2);
    const left = report.rows.at(-1)!;
    expect(left).toMatchObject({ how: null, faster: 1, chosen: left.usual });
    expect(known.has(left.product)).toBe(false);
    expect(clock.closed).toBe(clock.opened);
  });

  it('ends with what is thrown to it', async () => {
    const { trials, clock, now } = fakeTrials({});
    const onKind = (done: number) => {
      if (done === 1) throw new Error('left');
    };
    await expect(tuneKinds(kinds, new Map(), large, trials, { ...patience, now, onKind })).rejects.toThrow(
      'left',
    );
    expect(clock.opened).toBe(1);
    expect(clock.closed).toBe(1);
  });
});

describe('what was kept', () => {
  const row: Kept = { usual: 'direct4', chosen: 'direct8', faster: 1.5, how: 'lengths', notes: [] };
  const good = { shaders: 'abc', products: { 'a class': row }, begun: 0 };

  it('is believed of the same shaders, where it is whole', () => {
    expect([...readKept(good, 'abc').products]).toEqual([['a class', row]]);
    for (const bad of [
      null,
      'text',
      { ...good, shaders: 'abd' },
      { shaders: 'abc' },
      { ...good, begun: -1 },
      { ...good, products: { 'a class': { ...row, chosen: 'tiled1024' } } },
      { ...good, products: { 'a class': { ...row, chosen: 'constructor' } } },
      { ...good, products: { 'a class': { ...row, faster: Number.NaN } } },
      { ...good, products: { 'a class': { ...row, how: 'guessed' } } },
      { ...good, products: { 'a class': 'direct8' } },
    ])
      expect([...readKept(bad, 'abc').products], JSON.stringify(bad)).toEqual([]);
  });

  const deviceWith = (shaders: string): Device =>
    ({ identity: ['v', 'a', 'd', 'x'], pipelines: { shaders }, caps: large }) as unknown as Device;

  it('is taken up by the next tuner; of other shaders it is measured anew and replaced', async () => {
    const plan = twoKinds();
    const held = new Map<string, unknown>();
    const store: TuningStore = {
      read: async (adapter) => held.get(adapter),
      write: async (adapter, kept) => void held.set(adapter, kept),
    };
    const run = async (shaders: string, keeps: TuningStore | undefined = store) => {
      const { trials, clock } = fakeTrials({ direct8: 50 });
      const { report, tuned } = await createTuner(deviceWith(shaders), { kept: keeps, trials }).tune(plan);
      expect(Object.values(tuned)).toEqual(['direct8', 'direct8']);
      return { opened: clock.opened, kept: report.rows.every(({ isKept }) => isKept) };
    };
    expect(await run('one')).toEqual({ opened: 2, kept: false });
    expect([...held.keys()]).toEqual(['["v","a","d","x"]']);
    const written = held.get('["v","a","d","x"]');
    expect(await run('one')).toEqual({ opened: 0, kept: true });
    expect(await run('two')).toEqual({ opened: 2, kept: false });
    expect(held.get('["v","a","d","x"]')).not.toEqual(written);
    expect(await run('two')).toEqual({ opened: 0, kept: true });
    held.set('["v","a","d","x"]', { shaders: 3 });
    expect(await run('two')).toEqual({ opened: 2, kept: false });
    // A place that refuses costs only time.
    const refuses = async () => {
      throw new Error('full');
    };
    expect(await run('two', { read: refuses, write: refuses })).toEqual({ opened: 2, kept: false });
  });

  it('says when measuring takes the device away, which is not tried a third time', async () => {
    const plan = twoKinds();
    let held: unknown = null;
    const store: TuningStore = {
      read: async () => held,
      write: async (_adapter, kept) => {
        held = kept;
      },
    };
    const { trials, clock } = fakeTrials({ direct8: 50 });
    const ending = (kind: 'device-lost' | 'aborted'): Trials => ({
      ...trials,
      open: async () => fail(kind, 'It ends here.'),
    });
    const run = (with_: Trials) => createTuner(deviceWith('one'), { kept: store, trials: with_ }).tune(plan);
    // Who leaves takes no device away.
    await expect(run(ending('aborted'))).rejects.toMatchObject({ kind: 'aborted' });
    expect(held).toMatchObject({ begun: 0 });
    for (const begun of [1, 2]) {
      await expect(run(ending('device-lost'))).rejects.toMatchObject({ kind: 'device-lost' });
      expect(held).toMatchObject({ begun });
    }
    const { report, tuned } = await run(trials);
    expect(clock.opened).toBe(0);
    expect(tuned).toEqual({});
    expect(report.rows.map(({ how, notes }) => [how, notes])).toEqual(
      report.rows.map(() => [null, [expect.stringContaining('twice come to no end')]]),
    );
    expect(held).toMatchObject({ begun: 2 });
  });

  it('lies in one file of the cache folder, which is begun anew where it is damaged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'papilio-tuning-'));
    const path = join(folder, 'tuning.json');
    const store = fileTunings(folder);
    await store.write('one', good);
    await store.write('two', { ...good, shaders: 'two' });
    expect(await store.read('one')).toEqual(good);
    expect(await store.read('__proto__')).toBe(undefined);
    await writeFile(path, '{"one": ');
    await expect(store.read('one')).rejects.toThrow();
    await store.write('two', good);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ two: good });
  });
});
