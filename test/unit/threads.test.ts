/**
 * Workers are held while they load, and no longer; threads begin from a text in memory. Seen to fail: nothing held; held for good; the page's own class not
 * put back; begun from the file; a text for every thread; the text for every worker.
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

const begunWith: string[] = [];
/** A worker that notes the file it begins with. */
class Noting {
  constructor(file: string | URL) {
    begunWith.push(String(file));
  }
}

test('threads begin from one text in memory, other workers and those of other builds from where they are', async () => {
  vi.stubGlobal('Worker', Noting);
  const [threadFile, other] = ['https://page.test/ort.js', 'https://page.test/other.js'];
  const begin = (ort: object, ...files: readonly string[]) =>
    beginningThreads(ort, async () => {
      for (const file of files) new globalThis.Worker(new URL(file));
    });
  const ort = { threadFile, threadText: 'self.onmessage = null;' };
  await begin({}, threadFile);
  expect(begunWith.splice(0)).toEqual([threadFile]);
  await begin(ort, threadFile, other);
  await begin(ort, threadFile);
  const [text, ...others] = begunWith.splice(0);
  expect(others).toEqual([other, text]);
  expect(await resolveObjectURL(text!)!.text()).toBe(ort.threadText);
});
