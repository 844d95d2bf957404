/**
 * onnxruntime's threads are workers that begin with the file that onnxruntime is bundled into: what that file imports, every thread runs. Seen to fail
 * without `threadsAlone` of vite.config.ts, by which a thread no longer begins with the whole worker that trains.
 */
import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

/** The name that onnxruntime gives its threads. */
const THREAD = 'em-pthread';

test('a file that threads begin with imports no other', async () => {
  const names = (await readdir('dist/assets')).filter((name) => name.endsWith('.js'));
  const files = await Promise.all(
    names.map(async (name) => ({ name, text: await readFile(`dist/assets/${name}`, 'utf8') })),
  );
  const started = files.filter(({ text }) => text.includes(THREAD));
  expect(started.length).toBeGreaterThan(0);
  for (const { name, text } of started)
    expect(text.match(/\b(import|from)\s*["'`]\.\/[^"'`]+["'`]/g) ?? [], name).toEqual([]);
});
