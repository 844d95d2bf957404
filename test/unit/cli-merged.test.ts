/** Where a merged file goes by how it was found, and what is said of its rounding. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { disk } from '../../src/cli/disk.ts';
import { nextCommand } from '../../src/cli/finetuneResult.ts';
import { describeWritten, exitCodeOf, writeMerged } from '../../src/cli/mergedFile.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-merged-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('has its own name only if it passed, and leaves no file of an earlier result beside it', async () => {
  const path = join(folder, 'tuned.onnx');
  const put = async (verdict: 'passed' | 'failed' | 'unchecked') => {
    await writeMerged(path, new TextEncoder().encode(verdict), { verdict });
    return readdir(folder);
  };
  expect(await put('passed')).toEqual(['tuned.onnx']);
  expect(await put('failed')).toEqual(['tuned.failed.onnx']);
  expect(await put('unchecked')).toEqual(['tuned.unchecked.onnx']);
  expect(await put('passed')).toEqual(['tuned.onnx']);
  expect((['passed', 'failed', 'unchecked'] as const).map((verdict) => exitCodeOf({ verdict }))).toEqual([
    0, 1, 1,
  ]);
  expect(await writeMerged(join(folder, 'model'), new Uint8Array(1), { verdict: 'failed' })).toBe(
    join(folder, 'model.failed.onnx'),
  );
});

it('takes nothing away before it is there itself', async () => {
  const path = join(folder, 'tuned.onnx');
  await writeMerged(path, new Uint8Array(3), { verdict: 'passed' });
  const { write } = disk;
  disk.write = () => Promise.reject(Object.assign(new Error(), { code: 'ENOSPC' }));
  try {
    await expect(writeMerged(path, new Uint8Array(3), { verdict: 'failed' })).rejects.toThrow(/disk is full/);
  } finally {
    disk.write = write;
  }
  expect(await readdir(folder)).toEqual(['tuned.onnx']);
});

it('rounding is told by kind, each with its worst weight', () => {
  const weight = (name: string, how: 'bf16' | 'requantised' | 'exact', relativeError: number) => ({
    ...{ name, how, maxError: relativeError / 2, relativeError },
  });
  expect(
    describeWritten([
      weight('a', 'bf16', 1e-3),
      weight('b', 'requantised', 5e-2),
      weight('c', 'bf16', 2e-3),
      weight('d', 'exact', 0),
    ]),
  ).toEqual([
    '2 merged weights were rounded to bf16; the worst is c: max 1.0e-3, relative 2.0e-3',
    '1 merged weight was rounded to codes again; the worst is b: max 2.5e-2, relative 5.0e-2',
  ]);
});

it('is followed by a command that can be run on what came of the run', () => {
  expect(nextCommand('out/tales', 'text', { verdict: 'passed' })).toBe(
    'papilio generate --model out/tales/model.onnx --prompt "…"',
  );
  expect(nextCommand('out/chat', 'instruction', { verdict: 'passed' })).toMatch(/--chat$/);
  expect(nextCommand('out/chat', 'instruction', { verdict: 'failed' })).toBe(
    'papilio python --run out/chat --out out/chat-python',
  );
  expect(nextCommand('my runs/a/', 'image', { verdict: 'passed' })).toBe(
    'papilio python --run "my runs/a/" --out "my runs/a-python"',
  );
});
