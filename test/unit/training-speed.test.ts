/**
 * The speed of a step on this machine, and the page's way to it. Seen to fail with: LoRA at the method's own rank, a method that is measured at the
 * first step, what was measured of other settings kept on screen.
 */
import { expect, test } from 'vitest';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { createSpeed } from '../../src/page/features/training/speed.ts';
import { createStores } from '../../src/page/stores.ts';
import type { Backend } from '../../src/training/backend.ts';
import type { SpeedReport } from '../../src/training/kernels.ts';
import { measureSpeed } from '../../src/training/speed.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { testHost, tinyRequest } from '../gpu/tinyRuns.ts';
import { input, visionReport } from './page-fixtures.ts';

const on = {
  info: {
    engine: 'onnxruntime',
    vendor: 'cpu',
    architecture: 'none',
    description: 'the interpreter',
    isSoftware: true,
  },
  engine: interpreterEngines,
  device: null,
  caps: { software: true },
} as unknown as Backend;

test('a method stands beside LoRA with about as many numbers, both measured', async () => {
  const request = tinyRequest({
    method: 'oft',
    config: { target_modules: ['query', 'value'], oft_block_size: 8 },
    training: { batchSize: 2 },
  });
  const { steps, unit, device, peaks, kernels, timeline } = await measureSpeed(on, request, testHost);
  expect([unit, device, peaks, kernels, timeline]).toEqual(['pictures', 'the interpreter', null, null, null]);
  expect(steps.map((step) => step.method)).toEqual(['oft', 'lora']);
  for (const { secondsPerStep, perSecond, dispatches } of steps) {
    expect(secondsPerStep).toBeGreaterThan(0);
    expect(perSecond * secondsPerStep).toBeCloseTo(2, 6);
    expect(dispatches).toBeNull();
  }
  const [oft, lora] = steps.map((step) => step.trainable);
  // Ranks of these layers differ by 64 numbers.
  expect(Math.abs(lora! - oft!)).toBeLessThanOrEqual(64);
});

test('LoRA stands alone, and who leaves is heard', async () => {
  const request = tinyRequest({ method: 'lora', config: { target_modules: ['query'], r: 2 } });
  const left = new AbortController();
  left.abort();
  await expect(measureSpeed(on, request, testHost, left.signal)).rejects.toBe(left.signal.reason);
  const { steps } = await measureSpeed(on, request, testHost);
  expect(steps.map((step) => step.method)).toEqual(['lora']);
});

test('the page shows what was measured until something else is chosen', async () => {
  const stores = createStores();
  const waiting: ((report: SpeedReport) => void)[] = [];
  const speed = createSpeed(stores, { speed: () => new Promise((resolve) => waiting.push(resolve)) });
  stores.choice.setState({
    settings: baseSettings('letters-boft', { model: 'glyphs-vit' }),
    report: visionReport(),
  });
  input(stores, {});
  const report: SpeedReport = {
    device: 'd',
    unit: 'pictures',
    peaks: null,
    steps: [],
    kernels: null,
    timeline: null,
  };
  const asked = speed.ask();
  expect(speed.view.getState().busy).toBe('Measuring');
  waiting[0]!(report);
  await asked;
  expect(speed.view.getState()).toMatchObject({ busy: null, report });
  const { settings } = stores.choice.getState();
  const training = { ...settings.training, batchSize: settings.training.batchSize + 1 };
  stores.choice.setState({ settings: { ...settings, training } });
  expect(speed.view.getState().report).toBeNull();

  // An answer that comes after that is nobody's.
  const again = speed.ask();
  stores.choice.setState({ settings });
  waiting[1]!(report);
  await again;
  expect(speed.view.getState()).toMatchObject({ busy: null, report: null });
});
