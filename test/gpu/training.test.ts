/**
 * The loop: steps make nothing and wait for nothing, the same seed gives the same curve, runs resume bit for bit, and a diverging run loses
 * nothing. Seen to fail with: a seed that follows the clock, a checkpoint without the second moment, an accumulator that is not cleared, a
 * loss divided by rows instead of labels, an optimiser that applies a gradient that is no number, one run in flight instead of two,
 * buffers that are freed while an evaluation writes them.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { TRAINABLE } from '../../src/adapters/inject.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { createEngine } from '../../src/training/engine.ts';
import { parity } from '../../src/training/parity.ts';
import type { Session } from '../../src/training/session.ts';
import { toyBase, toyInitial, toyPlan, toySettings } from '../tools/adaloraToy.ts';
import { countObjects } from './counting.ts';
import { testDevice } from './device.ts';
import { losses, openTiny, type TinyRun } from './tinyRuns.ts';

const open: Session[] = [];
const start = async (run: TinyRun, checkpoint?: Uint8Array) => {
  const session = await openTiny(run, checkpoint);
  open.push(session);
  return session;
};
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

/** Random draws in every step: dropout of inputs. */
const lora: TinyRun = {
  method: 'lora',
  config: { target_modules: ['query', 'value'], r: 2, lora_dropout: 0.2, modules_to_save: ['classifier'] },
  training: { learningRate: 0.02 },
};
/** Random draws in every step: dropped blocks. */
const boft: TinyRun = {
  method: 'boft',
  config: {
    target_modules: ['query', 'value'],
    boft_block_size: 4,
    boft_dropout: 0.5,
    modules_to_save: ['classifier'],
  },
  training: { learningRate: 0.02 },
};

describe('a run that is closed', () => {
  test.each([0, 1, 4, 16, 64])(
    'lets what is under way end, refuses what comes after, and leaves nothing on the device: after %i ms',
    async (wait) => {
      const device = await testDevice();
      const session = await start(lora);
      const before = session.evaluate('adapted');
      const after = [session.evaluate('base'), session.play(2)];
      await new Promise((resolve) => setTimeout(resolve, wait));
      await Promise.all([session.close(), ...[before, ...after].map((asked) => asked.catch(() => {}))]);
      await expect(session.evaluate('adapted')).rejects.toMatchObject({
        kind: 'aborted',
        details: { left: true },
      });
      await device.raw.queue.onSubmittedWorkDone();
      expect(() => device.assertAlive()).not.toThrow();
    },
  );
});

describe('an engine that does not come to be', () => {
  test.each([1, 2])('leaves nothing on the device: compiling stops in program %i', async (stopsIn) => {
    const device = await testDevice();
    const before = device.bytes();
    const plan = toyPlan();
    let program = 1;
    const made = createEngine({
      ...{ device, plan, build: (batch) => toyBase(batch), totalSteps: 4 },
      settings: toySettings({ batchSize: 4, gradientAccumulation: 2 }),
      initial: () => toyInitial(plan),
      onCompile(done, total) {
        if (program === stopsIn) throw new PapilioError('aborted', 'Stopped.');
        if (done === total) program++;
      },
    });
    await expect(made).rejects.toMatchObject({ kind: 'aborted' });
    expect(program).toBe(stopsIn);
    expect(device.bytes()).toBe(before);
  });
});

describe('a step', () => {
  test('makes no buffer, pipeline or bind group', async () => {
    for (const run of [lora, { ...lora, training: { gradientAccumulation: 2, batchSize: 4 } }]) {
      const session = await start(run);
      await session.play(2);
      const counts = countObjects(await testDevice());
      await session.play(4);
      expect(counts.made()).toEqual({});
      await session.evaluate('adapted');
      // An evaluation does make some: the counter counts.
      expect(counts.made()).not.toEqual({});
    }
  });

  test('is submitted while the one before is still unheard of, and no third one is', async () => {
    const session = await start(lora);
    const heard: number[] = [];
    session.engine.onResult(({ step }) => heard.push(step));
    const { train } = session.engine;
    const update = session.batches.update;
    await train(0, update(0));
    await session.engine.settle();
    expect(heard).toEqual([0]);

    // Numbers come back only when the gate opens.
    let openGate = () => {};
    const gate = new Promise<void>((resolve) => {
      openGate = resolve;
    });
    const prototype = Object.getPrototypeOf(
      (await testDevice()).raw.createBuffer({ size: 4, usage: 1 | 8 }),
    ) as GPUBuffer;
    const original = prototype.mapAsync;
    prototype.mapAsync = async function (this: GPUBuffer, ...args: Parameters<GPUBuffer['mapAsync']>) {
      await gate;
      return original.apply(this, args);
    };
    try {
      const submitted = train(1, update(1)).then(() => train(2, update(2)));
      const waited = new Promise((resolve) => setTimeout(resolve, 20_000, 'waited for numbers'));
      expect(await Promise.race([submitted.then(() => 'submitted'), waited])).toBe('submitted');
      expect(heard).toEqual([0]);
      let third = false;
      const waiting = train(3, update(3)).then(() => {
        third = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(third).toBe(false);
      openGate();
      await waiting;
      await session.engine.settle();
      expect(heard).toEqual([0, 1, 2, 3]);
    } finally {
      openGate();
      prototype.mapAsync = original;
    }
  });
});

describe('a run', () => {
  test.each([lora, boft])('is the same for the same seed and another for another: $method', async (run) => {
    const curve = async (seed: number) => {
      const session = await start({ ...run, training: { ...run.training, seed } });
      await session.play(8);
      return losses(session);
    };
    const first = await curve(3);
    expect(first).toHaveLength(8);
    expect(await curve(3)).toEqual(first);
    expect(await curve(4)).not.toEqual(first);
  });

  test.each([
    lora,
    { ...boft, training: { gradientAccumulation: 2, batchSize: 4, learningRate: 0.02 } },
    { ...lora, training: { optimizer: 'sgd', learningRate: 0.3 } },
  ] as const)('continues from a checkpoint bit for bit: $method $training', async (run) => {
    const training = { ...run.training, steps: 10, evalEvery: 3 };
    const whole = await start({ ...run, training });
    await whole.play();

    const first = await start({ ...run, training });
    await first.play(4);
    const bytes = await first.checkpoint();
    const second = await start({ ...run, training }, bytes);
    expect(second.position()).toEqual({ step: 4, total: 10 });
    expect(losses(second)).toEqual(losses(first));
    await second.play();

    expect(losses(second)).toEqual(losses(whole));
    expect(second.history.evals).toEqual(whole.history.evals);
    expect(second.history.evals.map((e) => e.step)).toEqual([3, 6, 9, 10]);
    expect([...(await second.engine.readState(TRAINABLE))]).toEqual([
      ...(await whole.engine.readState(TRAINABLE)),
    ]);
  });

  test('refuses a checkpoint of other data', async () => {
    const session = await start(lora);
    const bytes = await session.checkpoint();
    const data = { kind: 'embedded', name: 'digits' } as const;
    await expect(start({ ...lora, data }, bytes)).rejects.toMatchObject({ kind: 'checkpoint' });
  });

  test('pauses between two steps and goes on', async () => {
    const session = await start(lora);
    const playing = session.play();
    expect(session.isRunning()).toBe(true);
    await session.pause();
    await playing;
    const at = session.position().step;
    expect(at).toBeLessThan(24);
    expect(losses(session)).toHaveLength(at);
    await session.play(2);
    expect(session.position().step).toBe(at + 2);
  });

  test('learns with SGD', async () => {
    const session = await start({
      ...lora,
      config: { ...lora.config, lora_dropout: 0 },
      training: { optimizer: 'sgd', learningRate: 0.2, momentum: 0.9 },
    });
    const before = await session.evaluate('base');
    await session.play();
    expect(session.history.evals.at(-1)!.loss).toBeLessThan(0.8 * before.loss);
  });
});

test('two batches of four accumulated are one of eight', async () => {
  const config = { ...lora.config, lora_dropout: 0 };
  const training = { learningRate: 0.02, steps: 3, warmupSteps: 0 };
  const eight = await start({ ...lora, config, training: { ...training, batchSize: 8 } });
  const twice = await start({
    ...lora,
    config,
    training: { ...training, batchSize: 4, gradientAccumulation: 2 },
  });
  for (const step of [0, 1, 2]) {
    const pixels = (s: Session) => s.batches.update(step).flatMap((b) => [...b.inputs.pixel_values!.data]);
    expect(pixels(twice)).toEqual(pixels(eight));
  }
  await eight.play();
  await twice.play();
  expect(parity(losses(twice), losses(eight)).maxRel).toBeLessThan(1e-5);
  const norms = (s: Session) => s.history.steps.map((m) => m.gradNorm);
  expect(parity(norms(twice), norms(eight)).maxRel).toBeLessThan(1e-4);
  const state = (s: Session) => s.engine.readState(TRAINABLE);
  expect(parity(await state(twice), await state(eight)).maxRel).toBeLessThan(1e-3);
});

describe('a learning rate that is far too high', () => {
  test.each([1, 2])(
    'ends in one sentence with the weights before it intact (accumulation %i)',
    async (gradientAccumulation) => {
      const run: TinyRun = {
        ...lora,
        config: { ...lora.config, lora_dropout: 0 },
        training: {
          learningRate: 1e25,
          warmupSteps: 0,
          schedule: 'constant',
          maxGradNorm: 0,
          gradientAccumulation,
        },
      };
      const session = await start(run);
      await expect(session.play()).rejects.toMatchObject({
        kind: 'non-finite',
        message: expect.stringMatching(/not a number at step \d+, .* lower the learning rate/),
      });
      const { step } = session.position();
      expect(step).toBeGreaterThan(0);
      expect(losses(session)).toHaveLength(step);
      const kept = await session.engine.readState(TRAINABLE);
      expect(kept.every(Number.isFinite)).toBe(true);

      const twin = await start(run);
      await twin.play(step);
      expect([...kept]).toEqual([...(await twin.engine.readState(TRAINABLE))]);

      // Going on reports it again and still loses nothing.
      await expect(session.play()).rejects.toMatchObject({ kind: 'non-finite' });
      expect([...(await session.engine.readState(TRAINABLE))]).toEqual([...kept]);
    },
  );
});
