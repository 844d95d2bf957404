/**
 * `papilio verify peft DIR` for a folder that holds PEFT's figures of every kind: cases/, train/, fixtures/, several adapters on one layer, and the
 * tables of its helpers. Whatever of them is there is checked, row by row.
 */
import { join } from 'node:path';
import { kindOf, listFolder, openGpu, readText } from '../../../src/cli/runtime.ts';
import { print } from '../../../src/cli/terminal.ts';
import { type Device, openDevice } from '../../../src/gpu/device.ts';
import { graphRunner } from '../../../src/training/runGraph.ts';
import { caseSummary, checkCases } from './cases.ts';
import { checkFixtures } from './fixtures.ts';
import { checkMultiAdapter } from './multi.ts';
import { type RowResult, TABLES } from './tables.ts';
import { checkPeftTrain } from './train.ts';

interface Checked {
  passed: number;
  failed: number;
  readonly failures: { row: string; reason: string }[];
}

/** @returns the exit code */
export async function verifyPeftRoot(folder: string, json: boolean): Promise<number> {
  const say = json ? () => {} : (line: string) => print(`${line}\n`);
  const device = await openDevice(await openGpu());
  const run = graphRunner(async () => device);
  const parts: Record<string, Checked> = {};
  const check = async (name: string, rows: Iterable<RowResult> | AsyncIterable<RowResult>) => {
    const part: Checked = { passed: 0, failed: 0, failures: [] };
    try {
      for await (const { row, reason } of rows) {
        if (reason === null) part.passed++;
        else part.failures.push({ row, reason });
      }
    } catch (error) {
      part.failures.push({ row: 'run', reason: error instanceof Error ? error.message : String(error) });
    }
    if (part.passed + part.failures.length === 0)
      part.failures.push({ row: 'run', reason: 'it holds nothing to check' });
    part.failed = part.failures.length;
    parts[name] = part;
    say(
      `${part.failed === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(26)} ${part.passed} of ${part.passed + part.failed}`,
    );
    for (const { row, reason } of part.failures) say(`     ${row}: ${reason}`);
  };

  const cases = await checkCases(device, join(folder, 'cases'), say);
  for (const line of caseSummary(cases)) say(line);
  const unknown: string[] = [];
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    const table = Object.hasOwn(TABLES, name) ? TABLES[name] : undefined;
    if (name === 'fixtures') await check(name, checkFixtures(path, run));
    else if (name === 'train') await check(name, checkTraining(device, path));
    else if (name === 'multi_adapter.json') {
      const figures = JSON.parse(await readText(path)) as Parameters<typeof checkMultiAdapter>[0];
      await check(name, checkMultiAdapter(figures, run));
    } else if (table) await check(name, table(JSON.parse(await readText(path)) as never));
    else if (name !== 'cases' && (name.endsWith('.json') || (await kindOf(path)) === 'folder'))
      unknown.push(name);
  }
  device.destroy();
  for (const name of unknown) say(`NONE ${name}: there is no check for it`);
  const total = (key: 'passed' | 'failed') =>
    cases[key] + Object.values(parts).reduce((sum, part) => sum + part[key], 0);
  const [passed, failed] = [total('passed'), total('failed')];
  const { unsupported } = cases;
  if (json) print(`${JSON.stringify({ passed, failed, unsupported, unchecked: unknown, cases, parts })}\n`);
  else
    say(`${passed} passed, ${failed} failed, ${unsupported} unsupported, ${unknown.length} without a check.`);
  return failed + unsupported + unknown.length > 0 ? 1 : 0;
}

async function* checkTraining(device: Device, folder: string): AsyncIterable<RowResult> {
  for (const name of await listFolder(folder)) {
    if (!name.endsWith('.json')) continue;
    let reason: string | null;
    try {
      const results = await checkPeftTrain(device, JSON.parse(await readText(join(folder, name))));
      const bad = results.find(({ ok }) => !ok);
      reason = bad ? `${bad.what} is off by ${bad.error}` : null;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    yield { row: name, reason };
  }
}
