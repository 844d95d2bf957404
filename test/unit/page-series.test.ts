/** Curves: smoothing, thinning, pace. Seen to fail: an average without the bias correction, thinning that loses a spike. */
import { expect, test } from 'vitest';
import { metricsCsv } from '../../src/page/exports.ts';
import { baseSettings } from '../../src/page/features/setup/settings.ts';
import { divergedAt } from '../../src/page/features/training/Charts.tsx';
import { partsOfStep } from '../../src/page/features/training/LastStep.tsx';
import { newRun } from '../../src/page/features/training/runs.ts';
import {
  createSeries,
  pacesOf,
  secondsPerStep,
  smooth,
  thin,
  undrawn,
  undrawnText,
  unitOf,
} from '../../src/page/features/training/series.ts';
import { openReport, stepMetric } from './page-fixtures.ts';

test('columns grow and keep every value', () => {
  const series = createSeries();
  for (let step = 1; step <= 1000; step++) series.add(stepMetric(step, step * 2));
  expect(series.length).toBe(1000);
  expect(series.column('loss')[999]).toBe(2000);
  expect(series.column('step').every((step, i) => step === i + 1)).toBe(true);
});

test('the average of a constant is that constant from the first point on', () => {
  const out = smooth(new Float64Array(50).fill(3), 0.95);
  for (const value of out) expect(value).toBeCloseTo(3, 12);
});

test('smoothing does not change what is already drawn', () => {
  const values = Float64Array.from({ length: 40 }, (_, i) => Math.sin(i));
  expect(smooth(values.subarray(0, 20), 0.9)).toEqual(smooth(values, 0.9).subarray(0, 20));
});

test('a NaN does not poison the average', () => {
  expect(smooth(Float64Array.of(1, Number.NaN, 1), 0.5)[2]).toBeCloseTo(1, 12);
});

test('thinning keeps both ends and every spike', () => {
  const values = new Float64Array(20_000).fill(1);
  values[7777] = 50;
  values[12_345] = -50;
  const kept = thin(values, 1500);
  expect(kept.length).toBeLessThanOrEqual(1500);
  expect(kept[0]).toBe(0);
  expect(kept.at(-1)).toBe(19_999);
  expect(kept).toContain(7777);
  expect(kept).toContain(12_345);
  expect(kept.every((place, i) => i === 0 || place > kept[i - 1]!)).toBe(true);
});

test('thinning keeps what stands beside a NaN, and points that are not drawn are counted and said', () => {
  const values = new Float64Array(20_000).fill(1);
  for (let i = 1; i < 20_000; i += 7) values[i] = Number.NaN;
  values[7777] = 50;
  values[12_345] = -50;
  const kept = thin(values, 1500);
  expect(kept).toContain(7777);
  expect(kept).toContain(12_345);

  const series = createSeries();
  for (const loss of [2, 0, -1, Number.NaN]) series.add(stepMetric(series.length + 1, loss));
  series.addEval({ step: 4, metric: 'accuracy', value: 0, loss: Number.POSITIVE_INFINITY, examples: 1 });
  expect(undrawn(series, false)).toEqual({ broken: 2, offScale: 0 });
  expect(undrawn(series, true)).toEqual({ broken: 2, offScale: 2 });
  expect(undrawnText(undrawn(series, true))).toEqual([
    '2 points off scale: they are 0 or less, for which a log scale has no place.',
    '2 points are not drawn: they are no numbers, or infinite.',
  ]);
  expect(undrawnText({ broken: 1, offScale: 1 }).every((text) => text.startsWith('1 point '))).toBe(true);
  expect(undrawnText({ broken: 0, offScale: 0 })).toEqual([]);
});

test('the pace is hidden for ten steps, then the median of the last twenty', () => {
  const seconds = Float64Array.from({ length: 40 }, (_, i) => i * 0.5 + (i >= 30 ? 10 : 0));
  expect(secondsPerStep(seconds.subarray(0, 10))).toBeNull();
  expect(secondsPerStep(seconds)).toBeCloseTo(0.5, 12);
  expect(secondsPerStep(seconds, 35)).toBeNull();
});

test('the table holds raw and smoothed values and evaluations at their steps', () => {
  const run = newRun(1, baseSettings('letters-boft'), 0);
  run.series.addEval({ step: 0, metric: 'accuracy', value: 0.1, loss: 3, examples: 20 });
  run.series.add(stepMetric(1, 4));
  run.series.add(stepMetric(2, 2));
  run.series.addEval({ step: 2, metric: 'accuracy', value: 0.5, loss: 2, examples: 20 });
  const [head, zero, one, two] = metricsCsv(run, 0.5)
    .trim()
    .split('\n')
    .map((line) => line.split(','));
  expect(head).toHaveLength(11);
  expect(zero).toEqual(['0', '', '', '', '', '', '', '', 'accuracy', '0.1', '3']);
  expect(one?.slice(0, 3)).toEqual(['1', '4', '4']);
  expect(Number(two?.[2])).toBeCloseTo(2 + 2 / 3, 12);
  expect(two?.slice(8)).toEqual(['accuracy', '0.5', '2']);
});

test('a pace is of the last twenty steps, in tokens where there are texts', () => {
  const series = createSeries();
  // A tenth of a second a step, from step 31 on a fifth.
  for (let step = 1; step <= 60; step++)
    series.add({
      ...stepMetric(step),
      tokens: 500 * step,
      seconds: step <= 30 ? step / 10 : 3 + (step - 30) / 5,
    });
  const paces = pacesOf(series, 'tokens');
  expect(paces[0]).toBeNaN();
  expect(paces[1]).toBeCloseTo(5000, 6);
  expect(paces[29]).toBeCloseTo(5000, 6);
  expect(paces[39]).toBeCloseTo((20 * 500) / (1 + 2), 6);
  expect(paces[59]).toBeCloseTo(2500, 6);
  const { data } = openReport({ steps: 1 });
  expect(unitOf({ data })).toBe('examples');
  expect(unitOf({ data: { ...data, kind: 'text' } })).toBe('tokens');
});

test('the last step is told in its parts, by what was measured of it', () => {
  const series = createSeries();
  series.add({ ...stepMetric(1, 3), tokens: 100 });
  const settings = { maxGradNorm: 1, optimizer: 'adamw' } as const;
  expect(partsOfStep(series, 'examples', settings)).toEqual([
    ['forward', '16 examples through the model'],
    ['loss', '3.000'],
    ['backward', 'gradient of norm 1.000'],
    ['update', 'AdamW at rate 0.001000'],
  ]);
  series.add({ ...stepMetric(2, 2.5), tokens: 164, gradNorm: 7, learningRate: 2e-3 });
  expect(partsOfStep(series, 'tokens', settings)).toEqual([
    ['forward', '64 tokens through the model'],
    ['loss', '2.500'],
    ['backward', 'gradient of norm 7.000, clipped to 1.000'],
    ['update', 'AdamW at rate 0.002000'],
  ]);
  const [, , backward, update] = partsOfStep(series, 'tokens', { maxGradNorm: 0, optimizer: 'sgd' });
  expect([backward, update]).toEqual([
    ['backward', 'gradient of norm 7.000'],
    ['update', 'SGD at rate 0.002000'],
  ]);
});

test('a divergence is marked after the last step that was a number, as high as the losses', () => {
  const run = newRun(1, baseSettings('letters-boft'), 0);
  expect(divergedAt(run, 'step')).toEqual([]);
  for (const [step, loss] of [3, 9, 2].entries()) run.series.add(stepMetric(step + 1, loss));
  expect(divergedAt(run, 'step')).toMatchObject([
    { name: 'diverged here, after step 3', x: [4, 4], y: [2, 9] },
  ]);
  expect(divergedAt(run, 'examples')).toMatchObject([{ x: [48, 48] }]);
});
