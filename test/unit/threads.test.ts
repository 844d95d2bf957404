/**
 * Workers are held while they load, and no longer; threads begin from a copy in memory. Seen to fail: nothing held; held for good; the page's own class not
 * put back; begun from the file; a copy for every thread; a file that cannot be read taken for the copy.
 */
import { resolveObjectURL } from 'node:buffer';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { beginningThreads } from '../../src/lib/threads.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A worker that refers only to its own handler, as onnxruntime's threads do until they have loaded. */
class Loading {
  onmessage: (() => void) | null = null;
}

/** Begins one that only a promise of its own waits for. */
function begun(): { readonly worker: WeakRef<Loading>; readonly arrive: () => void } {
  const worker = new globalThis.Worker('thread.js') as unknown as Loading;
  worker.onmessage = () => {};
  const weak = new WeakRef(worker);
  return { worker: weak, arrive: () => weak.deref()?.onmessage?.() };
}

async function isCollected(worker: WeakRef<Loading>): Promise<boolean> {
  for (let i = 0; i < 5; i++) {
    await turn();
    collect();
  }
  return worker.deref() === undefined;
}

test('a worker is held until what it is opened for has settled', async () => {
  vi.stubGlobal('Worker', Loading);
  const alone = begun();
  expect(await isCollected(alone.worker)).toBe(true);
  let first!: WeakRef<Loading>;
  let settle!: () => void;
  const opened = beginningThreads({}, () => {
    first = begun().worker;
    return new Promise<void>((resolve) => {
      settle = resolve;
    });
  });
  // A second that fails meanwhile takes nothing from the first.
  await expect(beginningThreads({}, () => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect(await isCollected(first)).toBe(false);
  settle();
  await opened;
  expect(globalThis.Worker).toBe(Loading);
  expect(await isCollected(first)).toBe(true);
});

test('where there are no workers, it only does the work', async () => {
  vi.stubGlobal('Worker', undefined);
  expect(await beginningThreads({}, async () => 5)).toBe(5);
});

/** A worker that notes the file it begins with. */
const begunWith: string[] = [];
class Noting {
  constructor(file: string | URL) {
    begunWith.push(String(file));
  }
}

test('threads begin from one copy of their file, other workers and a file that cannot be read from where they are', async () => {
  vi.stubGlobal('Worker', Noting);
  const asked: string[] = [];
  vi.stubGlobal('fetch', async (file: string) => {
    asked.push(file);
    if (file.includes('gone')) throw new TypeError('no network');
    return new Response(`/* ${file} */`, { status: file.includes('missing') ? 404 : 200 });
  });
  const begin = (threadFile: string, ...files: readonly string[]) =>
    beginningThreads({ threadFile }, async () => {
      for (const file of files) new globalThis.Worker(new URL(file));
    });
  const ort = 'https://page.test/ort.js';
  await begin(ort, ort, 'https://page.test/other.js');
  await begin(ort, ort);
  const [copy, ...others] = begunWith.splice(0);
  expect(copy).toMatch(/^blob:/);
  expect(others).toEqual(['https://page.test/other.js', copy]);
  expect(await resolveObjectURL(copy!)!.text()).toBe(`/* ${ort} */`);
  for (const file of ['https://page.test/missing.js', 'https://page.test/gone.js']) await begin(file, file);
  expect(begunWith).toEqual(['https://page.test/missing.js', 'https://page.test/gone.js']);
  expect(asked.filter((file) => file === ort)).toHaveLength(1);
});
