/**
 * Workers are held while they load, and no longer; threads and the files of a service worker take turns. Seen to fail: nothing held; held for good; the
 * page's own class not put back; no turn taken by either; a turn waited for without end.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { beginningThreads, whileNoThreadBegins } from '../../src/lib/threads.ts';

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
  const opened = beginningThreads(() => {
    first = begun().worker;
    return new Promise<void>((resolve) => {
      settle = resolve;
    });
  });
  // A second that fails meanwhile takes nothing from the first.
  await expect(beginningThreads(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect(await isCollected(first)).toBe(false);
  settle();
  await opened;
  expect(globalThis.Worker).toBe(Loading);
  expect(await isCollected(first)).toBe(true);
});

test('where there are no workers, it only does the work', async () => {
  vi.stubGlobal('Worker', undefined);
  expect(await beginningThreads(async () => 5)).toBe(5);
});

/** Locks of one name: one at a time; a request may be given up while it waits. */
function fakeLocks(): Pick<LockManager, 'request'> {
  let last: Promise<unknown> = Promise.resolve();
  const request = (_: string, ...rest: unknown[]) => {
    const task = rest.at(-1) as () => Promise<unknown>;
    const { signal } = (rest.length > 1 ? rest[0] : {}) as LockOptions;
    const givenUp = new Promise<never>((_, no) => {
      signal?.addEventListener('abort', () => no(signal.reason));
    });
    const turn = Promise.race([last, givenUp]).then(task);
    last = Promise.allSettled([last, turn]);
    return turn;
  };
  return { request } as Pick<LockManager, 'request'>;
}

test('threads begin before the files are fetched or after, never meanwhile', async () => {
  vi.stubGlobal('Worker', Loading);
  vi.stubGlobal('navigator', { locks: fakeLocks() });
  const order: string[] = [];
  const takes = (name: string) => async () => {
    order.push(`${name} begins`);
    await turn();
    order.push(`${name} ends`);
  };
  await Promise.all([
    beginningThreads(takes('thread')),
    whileNoThreadBegins(takes('files')),
    beginningThreads(takes('other thread')),
  ]);
  expect(order).toEqual(
    ['thread', 'files', 'other thread'].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
});

test('a turn that never comes is waited for 15 s, and an error of the work is its own', async () => {
  vi.stubGlobal('Worker', Loading);
  vi.stubGlobal('navigator', { locks: fakeLocks() });
  const waits: AbortController[] = [];
  const spied = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    expect(ms).toBe(15_000);
    waits.push(new AbortController());
    return waits.at(-1)!.signal;
  });
  void whileNoThreadBegins(() => new Promise(() => {}));
  const begins = beginningThreads(async () => 'begun');
  const fetches = whileNoThreadBegins(async () => 'fetched');
  for (const wait of waits) wait.abort();
  expect(await begins).toBe('begun');
  expect(await fetches).toBe('fetched');
  vi.stubGlobal('navigator', { locks: fakeLocks() });
  let times = 0;
  await expect(
    beginningThreads(async () => {
      times++;
      throw new Error('refused');
    }),
  ).rejects.toThrow('refused');
  expect(times).toBe(1);
  spied.mockRestore();
});
