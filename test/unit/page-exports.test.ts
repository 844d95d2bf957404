// Zips to take away: whole files in order, weights stored as they are, the rest packed.
import { unzipSync } from 'fflate';
import { expect, test } from 'vitest';
import { zipOf } from '../../src/page/exports.ts';

test('a zip holds bytes and handles, weights unpacked', async () => {
  const weights = new Uint8Array(300_000).fill(7);
  const text = 'again and again '.repeat(20_000);
  const zip = await zipOf([
    { name: 'a/onnx/model.onnx', bytes: new Blob([weights.subarray(0, 100_000), weights.subarray(100_000)]) },
    { name: 'a/data.jsonl', bytes: new TextEncoder().encode(text) },
    { name: 'a/empty.json', bytes: new Uint8Array(0) },
  ]);
  expect(zip.type).toBe('application/zip');
  expect(zip.size).toBeGreaterThan(300_000);
  expect(zip.size).toBeLessThan(320_000);
  const files = unzipSync(new Uint8Array(await zip.arrayBuffer()));
  expect(Object.keys(files)).toEqual(['a/onnx/model.onnx', 'a/data.jsonl', 'a/empty.json']);
  expect(Buffer.compare(files['a/onnx/model.onnx']!, weights)).toBe(0);
  expect(new TextDecoder().decode(files['a/data.jsonl'])).toBe(text);
  expect(files['a/empty.json']).toHaveLength(0);
});
