/** Forecasts: parts that add up, limits that are named, and ways to fit that do fit. No device: plans are made without one. */
import { describe, expect, test } from 'vitest';
import { baseCaps } from '../../src/graph/types.ts';
import type { ForecastLimits } from '../../src/training/forecast.ts';
import { forecastReport } from '../../src/training/forecast.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { testHost, tinyLanguage, tinyRequest, tinyText } from '../gpu/tinyRuns.ts';

const limits = (more: Partial<ForecastLimits> = {}): ForecastLimits => ({
  engine: 'webgpu',
  caps: baseCaps,
  maxBufferBytes: 2 ** 28,
  ...more,
});

const request = (change: Partial<RunRequest['training']> = {}): RunRequest =>
  tinyRequest({
    method: 'oft',
    config: { target_modules: 'all-linear', oft_block_size: 4 },
    model: tinyLanguage(),
    data: tinyText,
    training: change,
  });

const report = (run: RunRequest, at: ForecastLimits) => forecastReport(run, testHost, at, null);

describe('a forecast', () => {
  test('adds up, and says nothing of time without a probe', async () => {
    const { bytes, refusal, ways, secondsPerStep, dispatchesPerStep } = await report(request(), limits());
    const { peak, ...parts } = bytes;
    expect(Object.values(parts).reduce((n, b) => n + b, 0)).toBe(peak);
    expect(Math.min(...Object.values(parts))).toBeGreaterThan(0);
    // Two moments per trained number.
    expect(bytes.optimiser).toBe(2 * bytes.adapter);
    expect([refusal, ways, secondsPerStep]).toEqual([null, [], null]);
    expect(dispatchesPerStep).toBeGreaterThan(10);
  });

  test('counts time by work and dispatches', async () => {
    const speed = { secondsPerWork: 1e-9, secondsPerElement: 1e-9, secondsPerDispatch: 1e-4 };
    const one = await forecastReport(request(), testHost, limits(), speed);
    const two = await forecastReport(
      request({ batchSize: 4, gradientAccumulation: 2 }),
      testHost,
      limits(),
      speed,
    );
    expect(one.secondsPerStep!).toBeGreaterThan(one.dispatchesPerStep! * 1e-4);
    // A product counts by its multiplications: twice as dear, and only they cost more.
    const dearer = { ...speed, secondsPerWork: 2e-9 };
    const three = await forecastReport(request(), testHost, limits(), dearer);
    expect(three.secondsPerStep!).toBeGreaterThan(one.secondsPerStep!);
    expect(three.secondsPerStep!).toBeLessThan(2 * one.secondsPerStep!);
    expect(two.dispatchesPerStep).toBeGreaterThan(1.5 * one.dispatchesPerStep!);
  });

  test('names a buffer that the device does not allow', async () => {
    const { refusal, largest } = await report(request(), limits({ maxBufferBytes: 4096 }));
    expect(refusal).toContain(largest.label);
    expect(largest.bytes).toBeGreaterThan(4096);
  });

  test('names a binding that the device does not allow', async () => {
    const caps = { ...baseCaps, maxStorageBindingBytes: 2048 };
    const { refusal, bytes } = await report(request(), limits({ caps }));
    expect(refusal).toContain('in one binding');
    expect(bytes.peak).toBeNaN();
  });
});

describe('ways to fit', () => {
  test('begin with what changes nothing, and fit', async () => {
    const { bytes } = await report(request(), limits());
    const budgetBytes = Math.floor(0.97 * bytes.peak);
    const tight = await report(request(), limits({ budgetBytes }));
    expect(tight.refusal).toContain('more than');
    expect(tight.ways[0]!.change).toEqual({ batchSize: 4, gradientAccumulation: 2 });
    expect(tight.ways.length).toBeGreaterThan(1);
    for (const way of tight.ways) expect(way.peakBytes).toBeLessThanOrEqual(budgetBytes);
    const taken = await report(request({ batchSize: 4, gradientAccumulation: 2 }), limits({ budgetBytes }));
    expect(taken.refusal).toBeNull();
    expect(taken.bytes.peak).toBe(tight.ways[0]!.peakBytes);
  });

  test('are none where nothing helps', async () => {
    const { refusal, ways } = await report(request(), limits({ budgetBytes: 1000 }));
    expect(refusal).not.toBeNull();
    expect(ways).toEqual([]);
  });

  test('lower precision takes less', async () => {
    const run = request();
    const whole = await report(run, limits());
    const half = await report({ ...run, model: { ...run.model, precision: 'f16' } }, limits());
    expect(half.bytes.weights).toBeLessThan(0.8 * whole.bytes.weights);
    expect(half.bytes.adapter).toBe(whole.bytes.adapter);
  });
});
