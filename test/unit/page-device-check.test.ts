/** The page's side of a check of the device. Seen to fail with: rows that go when the check is stopped, a case that stays on screen after the end. */
import { expect, test } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { createDeviceCheck } from '../../src/page/features/device/deviceCheck.ts';
import type { DeviceCheckEvent, DeviceCheckReport, OpCheckRow } from '../../src/training/checkReport.ts';

const row = (op: string): OpCheckRow => ({ op, cases: 1, checks: 2, worst: {}, failures: [], left: [] });

function setUp() {
  const calls: string[] = [];
  let hear: (event: DeviceCheckEvent) => unknown = () => {};
  let settle: {
    readonly resolve: (report: DeviceCheckReport) => void;
    readonly reject: (error: unknown) => void;
  };
  const check = createDeviceCheck({
    checkDevice: (engine, events) => {
      calls.push(`check ${engine}`);
      hear = events;
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    stopDeviceCheck: async () => void calls.push('stop'),
    endUnless: async () => void calls.push('end unless'),
  });
  return {
    ...{ calls, check, view: check.view },
    hear: (event: DeviceCheckEvent) => hear(event),
    resolve: (report: DeviceCheckReport) => settle.resolve(report),
    reject: (error: unknown) => settle.reject(error),
  };
}

const report = (rows: readonly OpCheckRow[], ended: DeviceCheckReport['ended']): DeviceCheckReport => ({
  ...{
    engine: 'onnxruntime',
    facts: { engine: 'onnxruntime', device: 'x', threads: 2, memoryBytes: 1 },
    rows,
    ended,
    seconds: 1,
  },
});

test('shows the case that is checked, rows as they come, and the report at the end', async () => {
  const { calls, check, view, hear, resolve } = setUp();
  const running = check.start('onnxruntime');
  expect(view.getState()).toMatchObject({ busy: 'Loading the references', rows: [], report: null });
  hear({ type: 'case', op: 'softmax', case: 'odd', done: 0, total: 2 });
  expect(view.getState()).toMatchObject({ busy: 'Checking', now: { op: 'softmax', done: 0, total: 2 } });
  hear({ type: 'row', row: row('softmax') });
  // One at a time.
  await check.start('webgpu');
  expect(calls).toEqual(['check onnxruntime']);
  const whole = report([row('softmax'), row('linear')], null);
  hear({ type: 'row', row: row('linear') });
  resolve(whole);
  await running;
  expect(view.getState()).toMatchObject({ busy: null, now: null, report: whole, error: null });
  expect(view.getState().rows.map(({ op }) => op)).toEqual(['softmax', 'linear']);
});

test('keeps what was checked when it is stopped, and when it breaks', async () => {
  const { calls, check, view, hear, resolve, reject } = setUp();
  const running = check.start('webgpu');
  hear({ type: 'row', row: row('softmax') });
  await check.stop();
  expect(calls).toEqual(['check webgpu', 'stop', 'end unless']);
  resolve(report([row('softmax')], { why: 'stopped' }));
  await running;
  expect(view.getState()).toMatchObject({ busy: null, now: null, rows: [{ op: 'softmax' }] });

  const again = check.start('webgpu');
  expect(view.getState().rows).toEqual([]);
  hear({ type: 'row', row: row('linear') });
  hear({ type: 'case', op: 'cast', case: 'one', done: 1, total: 2 });
  reject(new PapilioError('no-adapter', 'There is none.'));
  await again;
  expect(view.getState()).toMatchObject({ busy: null, now: null, report: null, rows: [{ op: 'linear' }] });
  expect(view.getState().error?.message).toBe('There is none.');
});
