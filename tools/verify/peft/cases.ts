/** A folder of case files: each is one adapted layer with PEFT's figures, checked by {@link checkPeftCase}. */
import { join } from 'node:path';
import { methodByPeftType } from '../../../src/adapters/registry.ts';
import { listFiles, readText } from '../../../src/cli/runtime.ts';
import type { Device } from '../../../src/gpu/device.ts';
import { fail } from '../../../src/lib/errors.ts';
import { checkPeftCase, type Deviation, type PeftCase } from './case.ts';

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
export async function checkCases(
  device: Device,
  folder: string,
  say: (line: string) => void,
): Promise<CasesResult> {
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
export function caseSummary(result: CasesResult): string[] {
  return [
    ...Object.entries(result.methods).map(
      ([name, m]) =>
        `${name.padEnd(10)} passed ${m.passed}, failed ${m.failed}, worst error ${m.worst.toExponential(1)}`,
    ),
    ...Object.entries(result.unsupportedMethods).map(([name, n]) => `${name.padEnd(10)} not supported: ${n}`),
    `${result.passed} passed, ${result.failed} failed, ${result.unsupported} unsupported.`,
  ];
}
