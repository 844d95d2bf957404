/**
 * A thread whose text is there is begun by the page; another worker is held while it loads, and no longer. Seen to fail: nothing held; held for good; the
 * page's own class not put back; the channel's first message heard as the thread's; a text for every thread; errors kept, or told before anybody listens; a thread that outlives its worker, or begins after it; two openings
 * at once.
 */
import { resolveObjectURL } from 'node:buffer';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { beginningThreads } from '../../src/lib/threads.ts';
import { RunningWorker } from '../../src/lib/workers.ts';

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
  // A second waits for the first, and takes nothing from it.
  const refused = beginningThreads({}, () => Promise.reject(new Error('refused')));
  await turn();
  expect(await isCollected(first)).toBe(false);
  settle();
  await opened;
  await expect(refused).rejects.toThrow('refused');
  expect(globalThis.Worker).toBe(Loading);
  expect(await isCollected(first)).toBe(true);
});

test('where there are no workers, it only does the work', async () => {
  vi.stubGlobal('Worker', undefined);
  expect(await beginningThreads({}, async () => 5)).toBe(5);
});

type Hear = (event: { data: unknown; ports: readonly MessagePort[] }) => void;

/** One side of a worker: whoever listens on the other hears what is posted here, copied, with ports that move. */
class Side {
  other!: Side;
  readonly terminate = () => {};
  private readonly listeners: Hear[] = [];
  readonly addEventListener = (type: string, hear: Hear, { signal }: AddEventListenerOptions = {}) => {
    if (type !== 'message') return;
    this.listeners.push(hear);
    signal?.addEventListener('abort', () => this.listeners.splice(this.listeners.indexOf(hear), 1));
  };
  readonly postMessage = (
    message: unknown,
    moved: readonly MessagePort[] | { transfer: MessagePort[] } = [],
  ) => {
    const ports = 'transfer' in moved ? moved.transfer : moved;
    const data = ports.includes(message as MessagePort) ? message : structuredClone(message);
    for (const hear of this.other.listeners) hear({ data, ports });
  };
}

function twoSides(): [Side, Side] {
  const [one, two] = [new Side(), new Side()];
  one.other = two;
  two.other = one;
  return [one, two];
}

/** A worker of the page that runs the text it is begun with, as far as a thread needs one. */
class Thread {
  static readonly begun: Thread[] = [];
  isEnded = false;
  private readonly errors: ((error: { message: string }) => void)[] = [];
  private readonly running: Promise<{ readonly hear: (event: object) => void }>;

  constructor(
    readonly place: string,
    readonly options: WorkerOptions,
  ) {
    if (options.name === 'refused') throw new Error('no more workers');
    Thread.begun.push(this);
    this.running = (async () => {
      const hearers: ((event: object) => void)[] = [];
      const self = {
        name: options.name,
        onmessage: null as ((event: object) => void) | null,
        addEventListener: (_: string, hear: (event: object) => void) => hearers.push(hear),
        postMessage: () => expect.unreachable('what a thread says goes through its channel'),
      };
      runInNewContext(await resolveObjectURL(place)!.text(), Object.assign(self, { self }));
      const hear = (event: object) => {
        let isStopped = false;
        const stopImmediatePropagation = () => {
          isStopped = true;
        };
        for (const one of hearers.splice(0)) one({ ...event, stopImmediatePropagation });
        if (!isStopped) self.onmessage?.(event);
      };
      return { hear };
    })();
  }

  addEventListener(_: string, hear: (error: { message: string }) => void) {
    this.errors.push(hear);
  }
  postMessage(data: unknown) {
    void this.running.then(({ hear }) => hear({ data }));
  }
  fail(message: string) {
    for (const hear of this.errors) hear({ message });
  }
  terminate() {
    this.isEnded = true;
  }
}

/** Doubles what it is sent, and says who it is. */
const DOUBLES = `self.onmessage = ({ data }) => self.postMessage({ name: self.name, twice: data.number * 2 });`;

test('a thread whose text is there is begun by the page, talks through a channel, tells of its error and ends with its worker', async () => {
  const [page, worker] = twoSides();
  Thread.begun.length = 0;
  vi.stubGlobal('Worker', Thread);
  const running = new RunningWorker(page as unknown as Worker, () => {});
  vi.stubGlobal('postMessage', worker.postMessage);
  vi.stubGlobal('addEventListener', worker.addEventListener);
  const begun: Worker[] = [];
  const errors: string[] = [];
  const begin = (...names: readonly string[]) =>
    beginningThreads({ threadText: DOUBLES }, async () => {
      // As onnxruntime begins them; the page begins its own outside.
      const Own = globalThis.Worker;
      globalThis.Worker = Thread as unknown as typeof globalThis.Worker;
      for (const name of names) {
        const thread = new Own('bundled.js', { type: 'module', name });
        thread.onerror = ({ message }: ErrorEvent) => errors.push(message);
        begun.push(thread);
      }
      globalThis.Worker = Own;
    });
  await begin('one', 'two');
  expect(globalThis.Worker).toBe(Thread);
  const [one] = begun as [Worker, Worker];
  expect(Thread.begun.map(({ options }) => options)).toEqual([
    { type: 'module', name: 'one' },
    { type: 'module', name: 'two' },
  ]);
  expect(Thread.begun[0]!.place).toBe(Thread.begun[1]!.place);
  const answers = Promise.all(
    begun.map((thread) => new Promise((resolve) => (thread.onmessage = ({ data }) => resolve(data)))),
  );
  for (const [i, thread] of begun.entries()) thread.postMessage({ number: i + 4 });
  expect(await answers).toEqual([
    { name: 'one', twice: 8 },
    { name: 'two', twice: 10 },
  ]);
  Thread.begun[1]!.fail('no memory');
  expect(errors).toEqual(['no memory']);
  await begin('refused');
  await turn();
  expect(errors).toEqual(['no memory', 'Error: no more workers']);
  one.terminate();
  expect(Thread.begun.map(({ isEnded }) => isEnded)).toEqual([true, false]);
  running.finish(new PapilioError('internal', 'ended'));
  expect(Thread.begun.map(({ isEnded }) => isEnded)).toEqual([true, true]);
  // What a worker that is ended asked for comes to nothing.
  await begin('late');
  expect(Thread.begun).toHaveLength(2);
});
