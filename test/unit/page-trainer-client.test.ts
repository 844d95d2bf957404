/**
 * The page's side of the worker over a real message channel. Seen to fail: events that come of a worker that is over, a call that hangs
 * when the worker dies, a worker that hangs and is waited for, one that is busy for somebody and is ended.
 */
import { type Endpoint, expose } from 'comlink';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { ASKED_ANEW, PATIENCE_MS, serve } from '../../src/lib/workers.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import { createStores } from '../../src/page/stores.ts';
import { trainerClient } from '../../src/page/trainerClient.ts';
import type { TrainerEvent } from '../../src/training/protocol.ts';

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

const request = runRequest(createStores().choice.getState());
const settle = () => new Promise((resolve) => setTimeout(resolve, 30));

/** A worker's stand-in: a port whose other end answers with `api`. */
function workerOf(api: object) {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  expose(api, port2 as unknown as Endpoint);
  port1.start();
  let isOver = false;
  const worker = Object.assign(port1, {
    terminate: () => {
      isOver = true;
    },
  }) as unknown as Worker;
  return { worker, isOver: () => isOver };
}

test('functions are called back in order, signals stay here, and of a worker that is over nothing is heard', async () => {
  const senders: ((event: TrainerEvent) => void)[] = [];
  const asked: unknown[][] = [];
  const { worker } = workerOf({
    open: async (_request: unknown, events: (event: TrainerEvent) => void) => {
      senders.push(events);
    },
    describe: async (...args: unknown[]) => void asked.push(args),
  });
  const client = trainerClient(() => worker);
  const heard: string[] = [];
  await client.open(request, (event) => heard.push(event.type === 'state' ? event.state : event.type));
  for (const state of ['loading', 'ready', 'running'] as const) senders[0]!({ type: 'state', state });
  await settle();
  expect(heard).toEqual(['loading', 'ready', 'running']);
  await client.describe({ kind: 'embedded', name: 'a' }, new AbortController().signal);
  expect(asked).toEqual([[{ kind: 'embedded', name: 'a' }]]);
  worker.dispatchEvent(Object.assign(new Event('error'), { message: 'broken' }));
  senders[0]!({ type: 'state', state: 'paused' });
  await settle();
  expect(heard).toHaveLength(3);
});

test('what the worker rejects with has its kind again', async () => {
  const { worker } = workerOf({
    play: async () => {
      throw new PapilioError('device-lost', 'The device was lost.', { step: 3 });
    },
  });
  const error = await trainerClient(() => worker)
    .play()
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PapilioError);
  expect(error).toMatchObject({ kind: 'device-lost', message: 'The device was lost.', details: { step: 3 } });
});

test('an error of the language is one of ours on the other side', async () => {
  const { worker } = workerOf({
    play: async () => {
      throw new TypeError('x is not a function');
    },
  });
  await expect(trainerClient(() => worker).play()).rejects.toMatchObject({
    name: 'PapilioError',
    kind: 'internal',
    message: 'Something went wrong inside Papilio: x is not a function',
  });
});

test('arrays that are made for the caller move to it; others stay what they were', async () => {
  const own = new Float32Array([1, 2, 3]);
  const made = { files: [{ name: 'a', bytes: new Uint8Array([7]) }], part: own.subarray(1) };
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const api = { exportAdapter: async () => made, checkpoint: async () => own };
  serve(api, ['exportAdapter'], port2 as unknown as Endpoint);
  port1.start();
  const client = trainerClient(() => port1 as unknown as Worker);
  expect(await client.exportAdapter()).toEqual({
    files: [{ name: 'a', bytes: new Uint8Array([7]) }],
    part: new Float32Array([2, 3]),
  });
  expect(made.files[0]!.bytes.length).toBe(0);
  expect(own.length).toBe(3);
  expect(await client.checkpoint()).toEqual(own);
  expect(own.length).toBe(3);
});

test('a worker that breaks rejects what is under way, says so, and the next call starts a new one', async () => {
  const first = workerOf({ play: () => new Promise(() => {}) });
  const second = workerOf({ play: async () => undefined });
  const workers = [first, second];
  let started = 0;
  const client = trainerClient(() => workers[started++]!.worker);
  const crashes: string[] = [];
  client.onCrash((message) => crashes.push(message));
  const hanging = client.play().catch((reason: unknown) => reason);
  first.worker.dispatchEvent(Object.assign(new Event('error'), { message: 'out of luck' }));
  expect(await hanging).toMatchObject({ kind: 'internal', details: { crashed: true } });
  expect(crashes).toHaveLength(1);
  expect(crashes[0]).toContain('out of luck');
  expect(first.isOver()).toBe(true);
  await client.play();
  expect(started).toBe(2);
});

/** A stand-in whose thread hangs from the first call on: only the question whether it is loaded is answered, once it is. */
function hangingWorker({ isLoaded = true } = {}) {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const told = ({ data: { id } }: MessageEvent) => port2.postMessage({ id, type: 'RAW', value: undefined });
  if (isLoaded) port2.addEventListener('message', told, { once: true });
  port2.start();
  port1.start();
  let isOver = false;
  const worker = Object.assign(port1, {
    terminate: () => {
      isOver = true;
    },
  }) as unknown as Worker;
  return { worker, isOver: () => isOver };
}

describe('a worker that hangs', () => {
  const model = { kind: 'embedded', name: 'other' } as const;
  /** Clients of these workers in turn; what was heard of their ends. */
  function clientOf(...workers: { readonly worker: Worker }[]) {
    let started = 0;
    const ends: string[] = [];
    const client = trainerClient(() => workers[started++]!.worker);
    client.onEnd((message) => ends.push(message));
    return { client, ends, started: () => started };
  }
  /** Runs with a clock that stands until it is told; messages take their own time. */
  async function withClock(task: (pass: (ms: number) => Promise<void>) => Promise<void>): Promise<void> {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const settleAll = async () => {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    };
    try {
      await task(async (ms) => {
        await settleAll();
        await vi.advanceTimersByTimeAsync(ms);
        await settleAll();
      });
    } finally {
      vi.useRealTimers();
    }
  }

  test('is ended when its run is left, three seconds later and no sooner', () =>
    withClock(async (pass) => {
      const first = hangingWorker();
      const { client, ends } = clientOf(first);
      const playing = client.play().catch((error: unknown) => error);
      const leaving = client.leave({ isRunning: true, takesCheckpoint: true });
      await pass(PATIENCE_MS - 100);
      expect(first.isOver()).toBe(false);
      await pass(200);
      expect(first.isOver()).toBe(true);
      expect(await leaving).toBeNull();
      expect(await playing).toMatchObject({ kind: 'aborted', details: { ended: true } });
      expect(ends).toEqual(['The training worker did not answer for 3 seconds and was ended.']);
    }));

  test('in any one of what ends a run: pausing, its checkpoint, closing', () =>
    withClock(async (pass) => {
      for (const hanging of ['pause', 'checkpoint', 'close']) {
        const answers: Record<string, () => Promise<unknown>> = {
          pause: async () => undefined,
          checkpoint: async () => Uint8Array.of(7),
          close: async () => undefined,
          [hanging]: () => new Promise(() => {}),
        };
        const first = workerOf(answers);
        const { client } = clientOf(first);
        void client.play().catch(() => {});
        const leaving = client.leave({ isRunning: true, takesCheckpoint: true });
        await pass(PATIENCE_MS + 1);
        expect(await leaving).toEqual(hanging === 'close' ? Uint8Array.of(7) : null);
        expect(first.isOver()).toBe(true);
      }
    }));

  test('is waited for as long as nobody leaves', () =>
    withClock(async (pass) => {
      const first = hangingWorker();
      const { client } = clientOf(first);
      void client.describe(model).catch(() => {});
      void client.pause().catch(() => {});
      await pass(600_000);
      expect(first.isOver()).toBe(false);
    }));

  test('in a file gives way to the next file, which is read by a new worker', () =>
    withClock(async (pass) => {
      const first = hangingWorker();
      const second = workerOf({ describe: async ({ name }: { name: string }) => ({ name }) });
      const { client, started } = clientOf(first, second);
      const left = new AbortController();
      const reading = client.describe(model, left.signal).catch((error: unknown) => error);
      await pass(60_000);
      left.abort();
      expect(await reading).toMatchObject({ kind: 'aborted' });
      const next = client.describe({ kind: 'embedded', name: 'next' });
      await pass(PATIENCE_MS - 100);
      expect(started()).toBe(1);
      await pass(200);
      expect(await next).toEqual({ name: 'next' });
      expect(first.isOver()).toBe(true);
    }));

  test('is not taken for one while it is still being loaded, whatever was chosen meanwhile', () =>
    withClock(async (pass) => {
      const first = hangingWorker({ isLoaded: false });
      const { client, ends } = clientOf(first);
      for (const _ of ['one', 'another', 'a third']) {
        const left = new AbortController();
        void client.describe(model, left.signal).catch(() => {});
        await pass(1000);
        left.abort();
        await pass(30_000);
      }
      expect(first.isOver()).toBe(false);
      // Who resets asks for a way out of whatever it is.
      void client.leave({ isRunning: true, takesCheckpoint: false });
      await pass(PATIENCE_MS + 1);
      expect(first.isOver()).toBe(true);
      expect(ends).toHaveLength(1);
    }));

  test('is waited for where the same is asked with other numbers, until another thing is chosen', () =>
    withClock(async (pass) => {
      const first = hangingWorker();
      const { client } = clientOf(first, workerOf({ preview: async () => 'seen' }));
      const how = { seed: 1, sequenceLength: 8, batchSize: 1 };
      const data = { kind: 'text', text: 'a' } as const;
      const [one, two] = [new AbortController(), new AbortController()];
      void client.preview(model, data, how, one.signal).catch(() => {});
      await pass(10_000);
      one.abort(ASKED_ANEW);
      void client.preview(model, data, { ...how, seed: 2 }, two.signal).catch(() => {});
      await pass(60_000);
      expect(first.isOver()).toBe(false);
      two.abort();
      const next = client.preview(model, { ...data, text: 'b' }, how);
      await pass(PATIENCE_MS + 1);
      expect(first.isOver()).toBe(true);
      expect(await next).toBe('seen');
    }));

  test('is not ended while it works at what is wanted: that comes first', () =>
    withClock(async (pass) => {
      // The thread is taken by the model, which is wanted; the data was chosen again meanwhile.
      const { port1, port2 } = new MessageChannel();
      ports.push(port1, port2);
      const api = { describe: async () => 'read', preview: async () => 'seen' };
      let isOver = false;
      const worker = Object.assign(port1, { terminate: () => (isOver = true) }) as unknown as Worker;
      const { client } = clientOf({ worker });
      const describing = client.describe(model);
      const left = new AbortController();
      const how = { seed: 1, sequenceLength: 8, batchSize: 1 };
      const data = { kind: 'text', text: 'a' } as const;
      const old = client.preview(model, data, how, left.signal).catch(() => 'left');
      await pass(1000);
      left.abort();
      const preview = client.preview(model, data, how);
      await pass(20_000);
      expect(isOver).toBe(false);
      expose(api, port2 as unknown as Endpoint);
      await pass(PATIENCE_MS + 1000);
      expect([await describing, await old, await preview]).toEqual(['read', 'left', 'seen']);
      expect(isOver).toBe(false);
    }));

  test('that answers is left alone, however long what was left takes', () =>
    withClock(async (pass) => {
      const first = workerOf({
        describe: async ({ name }: { name: string }) => (name === 'other' ? new Promise(() => {}) : { name }),
      });
      const { client } = clientOf(first);
      const left = new AbortController();
      void client.describe(model, left.signal).catch(() => {});
      left.abort();
      const next = client.describe({ kind: 'embedded', name: 'next' });
      await pass(60_000);
      expect(await next).toEqual({ name: 'next' });
      expect(first.isOver()).toBe(false);
    }));

  test('is ended where something else was chosen, unless it answers', () =>
    withClock(async (pass) => {
      const first = hangingWorker();
      const second = workerOf({ play: async () => undefined });
      const { client } = clientOf(first, second);
      void client.play().catch(() => {});
      const ending = client.endUnless();
      await pass(PATIENCE_MS + 1);
      await ending;
      expect(first.isOver()).toBe(true);
      await Promise.all([client.play(), pass(0)]);
      const other = client.endUnless();
      await pass(PATIENCE_MS + 1);
      await other;
      expect(second.isOver()).toBe(false);
    }));
});
