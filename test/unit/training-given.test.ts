// Files that are given as handles: read where they are used, told apart without reading, and the model of them imported once.

import { expect, test, vi } from 'vitest';
import type { PickedFile } from '../../src/lib/bytes.ts';
import { readFiles, sizeOf } from '../../src/training/inputFiles.ts';
import type { OpenedModel } from '../../src/training/openModel.ts';
import { keyOf, modelCache } from '../../src/training/openModel.ts';

const handle = (name: string, content: string, lastModified = 7): PickedFile => ({
  name,
  bytes: new File([content], name, { lastModified }),
});
const files = (...given: PickedFile[]) => ({ kind: 'files' as const, files: given });
const model = (name: string) => ({ name }) as OpenedModel;

test('handles and bytes read alike', async () => {
  const given = [handle('a', 'one'), { name: 'b', bytes: new TextEncoder().encode('three') }];
  expect(given.map(sizeOf)).toEqual([3, 5]);
  const read = await readFiles(given);
  expect(read.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(['one', 'three']);
});

test('a file that was moved is named, with what to do', async () => {
  const gone = new File([], 'model.onnx');
  gone.arrayBuffer = () => Promise.reject(new Error('A requested file could not be found.'));
  await expect(readFiles([{ name: 'model.onnx', bytes: gone }])).rejects.toThrow(
    'model.onnx could not be read (A requested file could not be found.); it may have been changed or moved since it was chosen. Choose it again.',
  );
});

test('sources are told apart by name, size and time, never by precision', () => {
  const key = keyOf(files(handle('a', 'one')));
  expect(keyOf({ ...files(handle('a', 'two')), precision: 'q4' })).toBe(key);
  for (const other of [handle('a', 'three'), handle('b', 'one'), handle('a', 'one', 8)])
    expect(keyOf(files(other))).not.toBe(key);
  expect(keyOf({ kind: 'embedded', name: 'x', precision: 'f16' })).toBe(
    keyOf({ kind: 'embedded', name: 'x' }),
  );
  // Without a time two contents of one length are the same from outside.
  expect(keyOf(files({ name: 'a', bytes: new Uint8Array(3) }))).toBeNull();
  expect(keyOf(files(handle('a', 'one'), { name: 'b', bytes: new Blob(['x']) }))).toBeNull();
});

test('the same model is opened once, another replaces it, a failure is tried again', async () => {
  const last = modelCache();
  const open = vi.fn(async () => model('x'));
  const [a, b] = await Promise.all([last('x', open), last('x', open)]);
  expect(a).toBe(b);
  expect(open).toHaveBeenCalledTimes(1);
  await last('y', open);
  await last('x', open);
  expect(open).toHaveBeenCalledTimes(3);
  await last(null, open);
  await last(null, open);
  expect(open).toHaveBeenCalledTimes(5);
  await expect(last('z', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect((await last('z', async () => model('z'))).name).toBe('z');
});
