import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { kindOf, listFiles, listFolder, readBytes, readText, writeBytes } from '../../src/cli/runtime.ts';
import { barText, clock, progressBar, wordsOf } from '../../src/cli/terminal.ts';
import type { StepMetric } from '../../src/training/protocol.ts';

describe('files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'papilio-test-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('writes into folders that do not exist yet and reads back', async () => {
    await writeBytes(join(folder, 'b', 'c', 'deep.bin'), Uint8Array.of(1, 2, 255));
    await writeBytes(join(folder, 'a.txt'), 'Grüße');
    expect(await readBytes(join(folder, 'b', 'c', 'deep.bin'))).toEqual(Uint8Array.of(1, 2, 255));
    expect(await readText(join(folder, 'a.txt'))).toBe('Grüße');
    expect(await listFolder(folder)).toEqual(['a.txt', 'b']);
    expect(await listFiles(folder)).toEqual(['a.txt', 'b/c/deep.bin']);
    expect(await kindOf(folder)).toBe('folder');
    expect(await kindOf(join(folder, 'a.txt'))).toBe('file');
    expect(await kindOf(join(folder, 'none'))).toBe(null);
  });

  it('names the path that cannot be used', async () => {
    const none = join(folder, 'none.onnx');
    const notFound = { kind: 'not-found', message: `${none} cannot be read: there is no such file.` };
    await expect(readBytes(none)).rejects.toMatchObject(notFound);
    await expect(readBytes(folder)).rejects.toMatchObject({
      message: expect.stringContaining('it is a folder'),
    });
    await expect(listFolder(none)).rejects.toMatchObject({ kind: 'not-found' });
    await expect(writeBytes(folder, 'x')).rejects.toMatchObject({ kind: 'bad-argument' });
  });
});

describe('progress', () => {
  it('spells times', () => {
    expect([0, 59.6, 65, 3605, 36000].map(clock)).toEqual(['0:00', '1:00', '1:05', '1:00:05', '10:00:00']);
  });

  it('shows share, counts and the time that is left', () => {
    const text = barText('train', 25, 100, 10, 'loss 2.31', 120);
    expect(text).toContain('██████░░');
    expect(text).toContain('25 %  25/100  0:30 left  loss 2.31');
    expect(barText('train', 0, 100, 10, '', 120)).toContain('– left');
    expect(barText('train', 100, 100, 10, '', 40)).toHaveLength(39);
  });

  it('is silent off a terminal, except for its log', () => {
    const written: string[] = [];
    const original = process.stderr.write;
    process.stderr.write = ((text: string) => written.push(text) > 0) as typeof process.stderr.write;
    try {
      const bar = progressBar('train', { isTerminal: false });
      bar.update(1, 2);
      bar.log('one warning');
      bar.end();
    } finally {
      process.stderr.write = original;
    }
    expect(written).toEqual(['one warning\n']);
  });

  it('says off a terminal every ten seconds how far it is, unless it is to be quiet', () => {
    const written: string[] = [];
    const write = vi
      .spyOn(process.stderr, 'write')
      .mockImplementation((text) => written.push(String(text)) > 0);
    let now = 0;
    const clockNow = vi.spyOn(performance, 'now').mockImplementation(() => now);
    try {
      const bar = progressBar('train', { isTerminal: false });
      const quiet = progressBar('train', { isTerminal: false, isQuiet: true });
      for (let step = 1; step <= 7; step++) {
        now = step * 4000;
        const words = wordsOf({ step, loss: 1 / step, seconds: step * 4 } as StepMetric);
        bar.update(step, 9, words);
        quiet.update(step, 9, words);
      }
    } finally {
      write.mockRestore();
      clockNow.mockRestore();
    }
    expect(written).toEqual([
      'train: 3 of 9  loss 0.3333, 4.0 s a step\n',
      'train: 6 of 9  loss 0.1667, 4.0 s a step\n',
    ]);
  });
});
