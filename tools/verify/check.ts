/** `papilio check [--ops a,b] [--json]`: the adapter, and every op's kernels and gradients on it, with the worst error of each. */

import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { gpuRuntimeName, openGpu } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { openDevice } from '../../src/gpu/device.ts';
import { fail } from '../../src/lib/errors.ts';
import { ops } from '../../src/ops/checks.ts';
import { type CheckResult, checkOp, describe } from './deviceCheck.ts';

const whats: readonly CheckResult['what'][] = ['compiles', 'forward', 'gradient-reference', 'gradient-gpu'];

/** Worst error of each kind of check, or null where the op has none. */
function worst(results: readonly CheckResult[]): Record<string, number | null> {
  return Object.fromEntries(
    whats.map((what) => {
      const errors = results.filter((r) => r.what === what).map((r) => r.error);
      return [what, errors.length ? Math.max(...errors) : null];
    }),
  );
}

const options = {
  ops: { type: 'string', value: 'a,b', about: 'only these ops', otherwise: 'all' },
  json: { type: 'boolean', about: 'one line of figures instead of words' },
} as const satisfies OptionTable;

export const checkCommand = command(
  {
    name: 'check',
    about: 'Checks the adapter, and every kernel and gradient on it against float64 references.',
    options,
  },
  check,
);

/** @returns the exit code: 1 when an op fails */
async function check(values: Values<typeof options>): Promise<number> {
  const wanted = values.ops?.split(',');
  const unknown = wanted?.filter((name) => !ops.some((op) => op.name === name)) ?? [];
  if (unknown.length)
    fail('bad-argument', `There is no op ${unknown.join(', ')}; --ops takes names of src/ops.`);
  const device = await openDevice(await openGpu());
  const say = (line: string): void => {
    if (!values.json) print(`${line}\n`);
  };
  say(
    `${gpuRuntimeName}: ${[device.info.vendor, device.info.architecture, device.info.description].filter(Boolean).join(', ')}`,
  );
  say(
    `timestamps ${device.timestamps ? 'yes' : 'no'}, bindings up to ${device.caps.maxStorageBindingBytes / 1048576} MiB`,
  );
  const failures: CheckResult[] = [];
  const report: Record<string, unknown> = {};
  for (const op of ops) {
    if (wanted && !wanted.includes(op.name)) continue;
    const results = await checkOp(device, op);
    const failed = results.filter((r) => !r.ok);
    failures.push(...failed);
    const errors = worst(results);
    report[op.name] = { checks: results.length, failed: failed.length, worst: errors };
    const figures = whats
      .slice(1)
      .map((what) => (errors[what] == null ? '-' : errors[what].toExponential(1)).padStart(9));
    say(`${failed.length ? 'FAIL' : 'ok  '} ${op.name.padEnd(24)} ${figures.join(' ')}`);
    for (const r of failed) say(`     ${describe(r)}`);
  }
  if (values.json) {
    const adapter = { ...device.info, ...device.caps, runtime: gpuRuntimeName };
    print(`${JSON.stringify({ adapter, ops: report, failures: failures.map(describe) })}\n`);
  } else say(failures.length ? `${failures.length} checks failed.` : 'Every check passed.');
  device.destroy();
  return failures.length ? 1 : 0;
}
