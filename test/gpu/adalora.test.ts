/**
 * AdaLoRA on the GPU: thirty updates against plain loops in float64, and runs of a small model that resume bit for bit with what the method
 * keeps besides its parameters. Seen to fail with: a checkpoint without the importance, ranks counted without the group's place.
 */
import { expect, test } from 'vitest';
import { TRAINABLE } from '../../src/adapters/inject.ts';
import { readAdapter } from '../../src/adapters/peft.ts';
import { moduleTensors } from '../../src/adapters/plan.ts';
import { decodeCheckpoint } from '../../src/training/checkpoint.ts';
import { createEngine } from '../../src/training/engine.ts';
import { simulate } from '../tools/adaloraLoops.ts';
import { toyBase, toyBatches, toyInitial, toyPlan, toySettings } from '../tools/adaloraToy.ts';
import { testDevice } from './device.ts';
import { losses, openTiny, type TinyRun } from './tinyRuns.ts';

test.each([1, 2])(
  'thirty updates, each of %i batches, keep the triplets that plain loops keep',
  async (parts) => {
    const settings = toySettings({ batchSize: 8 / parts, gradientAccumulation: parts });
    const plan = toyPlan();
    const engine = await createEngine({
      device: await testDevice(),
      build: (batch) => toyBase(batch),
      plan,
      settings,
      totalSteps: settings.steps,
      initial: () => toyInitial(plan),
      onCompile: () => {},
    });
    try {
      const want = simulate(toySettings());
      const curve: number[] = [];
      engine.onResult(({ loss }) => curve.push(loss));
      const batches = toyBatches(parts);
      for (let step = 0; step < settings.steps; step++) {
        await engine.train(step, batches);
        if (step % 6 !== 0 && step + 1 < settings.steps) continue;
        await engine.settle();
        const mask = await engine.readState('adalora.mask');
        expect([...mask].map(Boolean), `after update ${step}`).toEqual(want.masks[step]!.flat());
        const tensors = moduleTensors(plan, await engine.readState(TRAINABLE));
        want.E[step]!.forEach((E, i) => {
          const own = tensors.get(`fc${i + 1}`)!.get('lora_E')!.data;
          E.forEach((value, k) => {
            expect(Math.abs(own[k]! - value), `E of fc${i + 1} after ${step}`).toBeLessThan(2e-4);
            if (value === 0) expect(own[k]).toBe(0);
          });
        });
      }
      want.losses.forEach((loss, step) => {
        expect(Math.abs(curve[step]! / loss - 1), `loss before update ${step}`).toBeLessThan(1e-4);
      });
      expect([...engine.states.keys()]).toContain('adalora.importance');
    } finally {
      await engine.close();
    }
  },
);

const run: TinyRun = {
  method: 'adalora',
  config: {
    target_modules: ['query', 'value', 'fc1'],
    init_r: 4,
    target_r: 2,
    tinit: 3,
    tfinal: 6,
    deltaT: 2,
    lora_dropout: 0.1,
    modules_to_save: ['classifier'],
  },
  training: { learningRate: 0.02 },
};

test('a run takes its length for the schedule, resumes bit for bit, and saves the rows that are left', async () => {
  const whole = await openTiny(run);
  const half = await openTiny(run);
  try {
    await whole.play();
    await half.play(11);
    const checkpoint = await half.checkpoint();
    expect((await decodeCheckpoint(checkpoint)).settings.config).toMatchObject({ total_step: 24 });
    const resumed = await openTiny(run, checkpoint);
    try {
      await resumed.play();
      expect(losses(resumed)).toEqual(losses(whole));
      const state = (s: typeof whole, name: string) => s.engine.readState(name);
      for (const name of whole.engine.states.keys())
        expect(await state(resumed, name), name).toEqual(await state(whole, name));

      const files = await resumed.exportAdapter();
      const { rank_pattern: pattern } = JSON.parse(files['adapter_config.json']) as {
        rank_pattern: Record<string, boolean[]>;
      };
      const left = Object.values(pattern).flat().filter(Boolean).length;
      // Three layers, two triplets each on average.
      expect(left).toBe(6);
      const read = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
      const rows = [...read.tensors.values()].map((t) => t.get('lora_A')!.shape[0]!);
      expect(rows.reduce((a, b) => a + b, 0)).toBe(6);
    } finally {
      await resumed.close();
    }
    const other = { ...run, config: { ...run.config, deltaT: 3 } };
    await expect(openTiny(other, checkpoint)).rejects.toThrow(/deltaT was 2 and is 3/);
  } finally {
    await whole.close();
    await half.close();
  }
});
