/** `papilio verify peft DIR [--json]`: every case file of a folder, by {@link checkPeftCase}; exit code 1 on any failure. */
import { basename, join } from 'node:path';
import process from 'node:process';
import { methodByPeftType } from '../adapters/registry.ts';
import { openDevice } from '../gpu/device.ts';
import { fail } from '../lib/errors.ts';
import { checkPeftCase, type Deviation, type PeftCase } from './peftCase.ts';
import { listFiles, openGpu, readText } from './runtime.ts';

interface MethodCount {
  passed: number;
  failed: number;
  /** Largest deviation relative to the tensor's largest entry. */
  worst: number;
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

/** @returns the exit code */
export async function verifyPeft(folder: string, json: boolean): Promise<number> {
  const files = (await listFiles(folder)).filter((f) => f.endsWith('.json')).sort();
  if (files.length === 0) fail('not-found', `${folder} holds no case files (*.json).`);
  const device = await openDevice(await openGpu());
  const methods: Record<string, MethodCount> = {};
  const unsupported: Record<string, number> = {};
  const failures: { case: string; what: string; error: number | string }[] = [];
  let passed = 0;
  for (const file of files) {
    const c = parseCase(file, await readText(join(folder, basename(file))));
    const method = methodByPeftType(c.method);
    if (!method) {
      unsupported[c.method] = (unsupported[c.method] ?? 0) + 1;
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
    if (!json) process.stdout.write(`${bad.length === 0 ? 'ok  ' : 'FAIL'} ${c.name}\n`);
    if (!json) for (const b of bad) process.stdout.write(`     ${b.what}: ${b.error}\n`);
  }
  device.destroy();
  const failed = new Set(failures.map((f) => f.case)).size;
  const missing = Object.values(unsupported).reduce((n, k) => n + k, 0);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ passed, failed, unsupported: missing, unsupportedMethods: unsupported, methods, failures })}\n`,
    );
  } else {
    for (const [name, m] of Object.entries(methods)) {
      process.stdout.write(
        `${name.padEnd(10)} passed ${m.passed}, failed ${m.failed}, worst error ${m.worst.toExponential(1)}\n`,
      );
    }
    for (const [name, n] of Object.entries(unsupported))
      process.stdout.write(`${name.padEnd(10)} not supported yet: ${n}\n`);
    process.stdout.write(`${passed} passed, ${failed} failed, ${missing} unsupported.\n`);
  }
  return failed > 0 ? 1 : 0;
}
