/**
 * Kernels timed one by one, beside the best rates that were seen. Seen to fail with: a table that a lookup hardly reads counted whole, a range
 * that is bound twice counted twice.
 */
import { expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import type { DispatchStep } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { binary } from '../../src/ops/elementwise.ts';
import { gather } from '../../src/ops/lookups.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { bytesMoved, kernelsOf } from '../../src/training/kernels.ts';
import { testDevice } from './device.ts';

const device = await testDevice();

/** Rows of a long table, times themselves, plus a small sum. */
function graph() {
  const g = createBuilder();
  const table = g.input('table', { dtype: 'f32', shape: [100_000, 64] });
  const ids = g.input('ids', { dtype: 'i32', shape: [64] });
  const rows = gather(g, table, ids);
  const y = matmul(g, rows, rows);
  return g.finish({ z: binary(g, y, y, { fn: 'add' }) });
}

test('no kernel is quicker than the roofline, and each counts what it moves', async () => {
  const plan = schedule(graph(), device.caps);
  const moved = plan.steps.map((step) => bytesMoved(step as DispatchStep));
  const matrix = 4 * 64 * 64;
  expect(moved).toEqual([2 * matrix, 2 * matrix, 2 * matrix]);

  const found = await kernelsOf(device, plan);
  const { peaks, kernels, timeline, rooflineSeconds } = found!;
  // The step in its order, each dispatch with the time that its kind has in the list.
  expect(timeline.map(({ label }) => label)).toEqual(plan.steps.map(({ label }) => label));
  for (const { label, microseconds } of timeline)
    expect(kernels.find((kernel) => kernel.label === label)!.microseconds).toBe(microseconds);
  expect(peaks.workPerSecond).toBeGreaterThan(1e6);
  expect(peaks.bytesPerSecond).toBeGreaterThan(1e6);
  expect(kernels.map(({ work }) => work).toSorted()).toEqual([64 ** 3, null, null]);
  for (const { rooflineShare } of kernels)
    if (rooflineShare !== null) expect(rooflineShare).toBeLessThanOrEqual(1);
  expect(kernels.some(({ rooflineShare }) => (rooflineShare ?? 0) > 0)).toBe(true);
  const all = kernels.reduce((n, k) => n + (k.count * k.microseconds) / 1e6, 0);
  expect(rooflineSeconds).toBeGreaterThan(0);
  expect(rooflineSeconds).toBeLessThanOrEqual(all);
});
