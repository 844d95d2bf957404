/**
 * The page's side of the worker over a real message channel. Seen to fail: events of an older run that get through, a call that hangs
 * when the worker dies.
 */
import { type Endpoint, expose } from 'comlink';
import { afterEach, expect, test } from 'vitest';
import { runRequest } from '../../src/app/request.ts';
import { createStores } from '../../src/app/stores.ts';
import { trainerClient } from '../../src/app/trainerClient.ts';
import { PapilioError } from '../../src/lib/errors.ts';
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

test('events of a run that is over are dropped', async () => {
  const senders: ((event: TrainerEvent) => void)[] = [];
  const { worker } = workerOf({
    open: async (_request: unknown, events: (event: TrainerEvent) => void) => {
      senders.push(events);
      return { runId: senders.length };
    },
  });
  const client = trainerClient(() => worker);
  const heard: string[] = [];
  await client.open(request, (event) => heard.push(`first ${event.type}`));
  senders[0]!({ runId: 1, type: 'state', state: 'ready' });
  await settle();
  await client.open(request, (event) => heard.push(`second ${event.type}`));
  senders[0]!({ runId: 1, type: 'state', state: 'running' });
  senders[1]!({ runId: 2, type: 'state', state: 'ready' });
  senders[1]!({ runId: 1, type: 'checkpoint', step: 1, bytes: 1 });
  await settle();
  expect(heard).toEqual(['first state', 'second state']);
});

test('what the worker rejects with has its kind again', async () => {
  const { worker } = workerOf({
    play: async () => {
      throw { kind: 'device-lost', message: 'The device was lost.', details: { step: 3 } };
    },
  });
  const error = await trainerClient(() => worker)
    .play()
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PapilioError);
  expect(error).toMatchObject({ kind: 'device-lost', message: 'The device was lost.', details: { step: 3 } });
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
