/** Every op of the table through the one suite. `OPS=softmax,linear` in the environment narrows it. */
import { expect, test } from 'vitest';
import { ops } from '../../src/ops/checks.ts';
import { describeCheck } from '../../src/training/checkReport.ts';
import { gpuChecks } from '../../src/training/deviceCheck.ts';
import { checkOp } from '../../src/training/opCheck.ts';
import { testDevice } from './device.ts';

const only = (process.env.OPS || undefined)?.split(',');
const chosen = ops.filter((op) => !only || only.includes(op.name));

test('the filter names ops that exist', () => {
  expect((only ?? []).filter((name) => !ops.some((op) => op.name === name))).toEqual([]);
});

for (const op of chosen) {
  test(op.name, async () => {
    const { results, left } = await checkOp(gpuChecks(await testDevice()), op);
    expect(results.filter((r) => !r.ok).map(describeCheck)).toEqual([]);
    expect(left).toEqual([]);
    expect(results.length).toBeGreaterThan(0);
  });
}
