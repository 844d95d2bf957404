/** `papilio check [--ops a,b] [--json]`: the adapter, and every op's kernels and gradients on it, with the worst error of each. */

import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { gpuRuntimeName, openGpu } from '../../src/cli/runtime.ts';
import { print } from '../../src/cli/terminal.ts';
import { openDevice } from '../../src/gpu/device.ts';
import {
  CHECK_FIGURES,
  type CheckResult,
  describeCheck,
  type OpCheckRow,
  whyEnded,
} from '../../src/training/checkReport.ts';
import { checkOps, gpuChecks, opsNamed } from '../../src/training/deviceCheck.ts';

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
export async function check(values: Values<typeof options>): Promise<number> {
  const chosen = opsNamed(values.ops?.split(','));
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
  const heard = ({ op, checks, worst, failures: failed }: OpCheckRow): void => {
    failures.push(...failed);
    const errors = Object.fromEntries(Object.entries(worst).map(([what, { error }]) => [what, error]));
    report[op] = { checks, failed: failed.length, worst: errors };
    const words = CHECK_FIGURES.map((what) => (worst[what]?.error.toExponential(1) ?? '-').padStart(9));
    say(`${failed.length ? 'FAIL' : 'ok  '} ${op.padEnd(24)} ${words.join(' ')}`);
    for (const r of failed) say(`     ${describeCheck(r)}`);
  };
  const ended = await checkOps(gpuChecks(device), chosen, (event) => {
    if (event.type === 'row') heard(event.row);
  });
  if (values.json) {
    const adapter = { ...device.info, ...device.caps, runtime: gpuRuntimeName };
    print(`${JSON.stringify({ adapter, ops: report, failures: failures.map(describeCheck), ended })}\n`);
  } else {
    if (failures.length) say(`${failures.length} checks failed.`);
    for (const why of whyEnded(ended)) say(why);
    if (!failures.length && !ended) say('Every check passed.');
  }
  device.destroy();
  return failures.length || ended ? 1 : 0;
}
