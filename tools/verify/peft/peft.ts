/**
 * `papilio verify peft DIR [--json]`: every case file of a folder; or, for a folder with `cases/` in it, all figures it holds. Exit code 1 on any
 * failure; a method that Papilio lacks is one.
 */
import { join } from 'node:path';
import { methodByPeftType } from '../../../src/adapters/registry.ts';
import { kindOf, listFiles, listFolder, openGpu, readText } from '../../../src/cli/runtime.ts';
import { print } from '../../../src/cli/terminal.ts';
import { type Device, openDevice } from '../../../src/gpu/device.ts';
import { fail } from '../../../src/lib/errors.ts';
import { graphRunner } from '../../../src/training/graphRuns.ts';
import { checkPeftCase, type Deviation, type PeftCase } from './case.ts';
import { checkFixtures } from './fixtures.ts';
import { checkMultiAdapter } from './multi.ts';
import { type RowResult, TABLES } from './tables.ts';
import { checkPeftTrain } from './train.ts';

/** @returns the exit code */
export async function verifyPeft(folder: string, json: boolean): Promise<number> {
  if ((await kindOf(join(folder, 'cases'))) === 'folder') return verifyPeftRoot(folder, json);
  const device = await openDevice(await openGpu());
  const say = json ? () => {} : (line: string) => print(`${line}\n`);
  const result = await checkCases(device, folder, say);
  device.destroy();
  print(json ? `${JSON.stringify(result)}\n` : `${caseSummary(result).join('\n')}\n`);
  return result.failed + result.unsupported > 0 ? 1 : 0;
}

interface Checked {
  passed: number;
  failed: number;
  readonly failures: { row: string; reason: string }[];
}

/**
 * PEFT's figures of every kind: cases/, train/, fixtures/, several adapters on one layer, and the tables of its helpers. Whatever of them is there
 * is checked, row by row.
 * @returns the exit code
 */
async function verifyPeftRoot(folder: string, json: boolean): Promise<number> {
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

interface MethodCount {
  passed: number;
  failed: number;
  /** Largest deviation relative to the tensor's largest entry. */
  worst: number;
}

interface CasesResult {
  readonly passed: number;
  readonly failed: number;
  /** Cases of methods that Papilio lacks. */
  readonly unsupported: number;
  readonly unsupportedMethods: Readonly<Record<string, number>>;
  readonly methods: Readonly<Record<string, MethodCount>>;
  readonly failures: readonly {
    readonly case: string;
    readonly what: string;
    readonly error: number | string;
  }[];
}

function parseCase(file: string, text: string): PeftCase {
  try {
    const value = JSON.parse(text) as PeftCase;
    if (typeof value.method === 'string' && value.layer && value.expected) return value;
  } catch {
    // Falls through to the sentence below.
  }
  return fail('bad-data', `${file} is no case file: it needs method, layer, config, adapter and expected.`);
}

/** Every case of a folder; each is written to `say` as it is done. */
async function checkCases(device: Device, folder: string, say: (line: string) => void): Promise<CasesResult> {
  const files = (await listFiles(folder)).filter((f) => f.endsWith('.json')).sort();
  if (files.length === 0) fail('not-found', `${folder} holds no case files (*.json).`);
  const methods: Record<string, MethodCount> = Object.create(null);
  const unsupportedMethods: Record<string, number> = Object.create(null);
  const failures: { case: string; what: string; error: number | string }[] = [];
  let passed = 0;
  let unsupported = 0;
  for (const file of files) {
    const c = parseCase(file, await readText(join(folder, file)));
    if (!methodByPeftType(c.method)) {
      unsupportedMethods[c.method] = (unsupportedMethods[c.method] ?? 0) + 1;
      unsupported++;
      say(`NONE ${c.name}: ${c.method} is not supported`);
      continue;
    }
    const count = (methods[c.method] ??= { passed: 0, failed: 0, worst: 0 });
    let bad: { what: string; error: number | string }[];
    try {
      const results = await checkPeftCase(device, c);
      count.worst = Math.max(count.worst, ...results.map((r) => r.error));
      bad = results.filter((r: Deviation) => !r.ok);
    } catch (error) {
      bad = [{ what: 'run', error: error instanceof Error ? error.message : String(error) }];
    }
    if (bad.length === 0) count.passed++;
    else count.failed++;
    passed += bad.length === 0 ? 1 : 0;
    for (const b of bad) failures.push({ case: c.name, ...b });
    say(`${bad.length === 0 ? 'ok  ' : 'FAIL'} ${c.name}`);
    for (const b of bad) say(`     ${b.what}: ${b.error}`);
  }
  const failed = new Set(failures.map((f) => f.case)).size;
  return { passed, failed, unsupported, unsupportedMethods, methods, failures };
}

/** The lines that sum up {@link checkCases}. */
function caseSummary(result: CasesResult): string[] {
  return [
    ...Object.entries(result.methods).map(
      ([name, m]) =>
        `${name.padEnd(10)} passed ${m.passed}, failed ${m.failed}, worst error ${m.worst.toExponential(1)}`,
    ),
    ...Object.entries(result.unsupportedMethods).map(([name, n]) => `${name.padEnd(10)} not supported: ${n}`),
    `${result.passed} passed, ${result.failed} failed, ${result.unsupported} unsupported.`,
  ];
}
