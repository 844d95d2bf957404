/**
 * A fixed share of `npm run fuzz` (see tools/fuzz) and every input that ever failed in it: each is read or refused by a sentence, within 5 s of computing and
 * with no more memory than 4 times the input and 64 MiB, in a process of its own, so that a hang or an abort is seen as one.
 * Seen to fail: without the bound on matrices that are folded, on functions that unfold, on depth of JSON; with a path of a listing used as it comes.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DoorReport } from '../../tools/fuzz/report.ts';

const DOORS = [
  ...[
    'onnx-bytes',
    'onnx-structure',
    'safetensors',
    'adapter-folder',
    'adapter-zip',
    'checkpoint',
    'tokenizer',
  ],
  ...[
    'template',
    'table',
    'parquet',
    'picture',
    'idx',
    'zip',
    'link',
    'run-file',
    'runs-file',
    'hub-listing',
    'expression',
  ],
];
const EACH = 40;
const SEED = 20;

async function fuzz(...words: string[]): Promise<DoorReport[]> {
  const run = promisify(execFile);
  const command = ['tools/fuzz/run.mjs', ...words, '--json'];
  // An exit code of 1 says that something failed, and what it printed says what.
  const { stdout } = await run(process.execPath, command, { maxBuffer: 2 ** 26 }).catch(
    (error: { stdout: string }) => error,
  );
  return JSON.parse(stdout) as DoorReport[];
}

const failuresOf = ({ failures }: DoorReport): string[] =>
  failures.map(({ end, index, file, message }) => `${end} at ${index} (${file}): ${message}`);

describe('spoiled inputs', () => {
  let reports: ReadonlyMap<string, DoorReport>;
  beforeAll(async () => {
    const all = await fuzz('all', String(EACH * DOORS.length), String(SEED));
    reports = new Map(all.map((report) => [report.door, report]));
  }, 300_000);

  it('go through every door', () => {
    expect([...reports.keys()].sort()).toEqual([...DOORS].sort());
  });

  it.each(DOORS.map((door) => [door] as const))('%s', (door) => {
    const report = reports.get(door)!;
    expect(failuresOf(report)).toEqual([]);
    expect(report.inputs).toBeGreaterThanOrEqual(EACH);
    // What is as it should be is read.
    expect(report.ends.read).toBeGreaterThan(0);
  });
});

describe('inputs that failed once', () => {
  it('are read or refused', async () => {
    const reports = await fuzz('cases');
    expect(reports.flatMap(failuresOf)).toEqual([]);
    expect(reports.reduce((sum, { inputs }) => sum + inputs, 0)).toBeGreaterThan(30);
  }, 300_000);
});
