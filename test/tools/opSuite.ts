/** The ops of the table through the one suite, on a GPU, in parts that take about as long. `OPS=softmax,linear` in the environment narrows it. */
import { expect, test } from 'vitest';
import { ops } from '../../src/ops/checks.ts';
import { describeCheck } from '../../src/training/checkReport.ts';
import { gpuChecks } from '../../src/training/deviceCheck.ts';
import { checkOp } from '../../src/training/opCheck.ts';
import { testDevice } from '../gpu/device.ts';

/** Ops that stand beside each other take long together, so parts have four in turn. */
const TURN = 4;

/** @param part from 0 to `parts` − 1 */
export function describeOps(part: number, parts: number): void {
  const only = (process.env.OPS || undefined)?.split(',');
  const mine = ops.filter((_, i) => Math.floor(i / TURN) % parts === part);

  test('the filter names ops that exist', () => {
    expect((only ?? []).filter((name) => !ops.some((op) => op.name === name))).toEqual([]);
  });

  for (const op of mine.filter(({ name }) => !only || only.includes(name))) {
    test(op.name, async () => {
      const { results, left } = await checkOp(gpuChecks(await testDevice()), op);
      expect(results.filter((r) => !r.ok).map(describeCheck)).toEqual([]);
      expect(left).toEqual([]);
      expect(results.length).toBeGreaterThan(0);
    });
  }
}
