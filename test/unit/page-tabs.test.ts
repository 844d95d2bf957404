/**
 * Two tabs and one place: who owns it, what the other hears and is offered, how it changes hands. Seen to fail: a second tab that writes over
 * the first's run, a place that is lost with its tab.
 */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Controller } from '../../src/page/features/training/controller.ts';
import type { SavedSession, Sessions } from '../../src/page/features/training/sessions.ts';
import { readSession } from '../../src/page/features/training/sessions.ts';
import { followTabs, Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import { fakeTrainer, stepMetric } from './page-fixtures.ts';

type Held = { readonly tab: number; readonly end: (error?: Error) => void };
type Waiting = { readonly give: () => void; readonly tab: number };

/** One browser: a lock manager and a channel that its tabs share. */
function browser() {
  let held: Held | null = null;
  const queue: Waiting[] = [];
  const channels = new Map<number, { onmessage: ((event: MessageEvent) => void) | null }>();
  const next = () => {
    if (held === null) queue.shift()?.give();
  };
  const locksOf = (tab: number) => ({
    query: async () => ({ held: held === null ? [] : [{ name: 'papilio.run' }], pending: [] }),
    request(_: string, options: LockOptions, callback: (lock: Lock | null) => unknown): Promise<unknown> {
      return new Promise((resolve, reject) => {
        const give = () => {
          const mine: Held = {
            tab,
            end: (error) => {
              if (held === mine) held = null;
              if (error) reject(error);
              next();
            },
          };
          held = mine;
          void Promise.resolve(callback({ name: 'papilio.run', mode: 'exclusive' })).then((value) => {
            mine.end();
            resolve(value);
          });
        };
        const abort = () => new DOMException('', 'AbortError');
        if (options.steal) {
          held?.end(abort());
          give();
        } else if (held === null) give();
        else if (options.ifAvailable) resolve(callback(null));
        else {
          const waiting = { give, tab };
          queue.push(waiting);
          options.signal?.addEventListener('abort', () => {
            queue.splice(queue.indexOf(waiting), 1);
            reject(abort());
          });
        }
      });
    },
  });
  return {
    /** A tab's controller over its own trainer, and the storage that all share. */
    open(tab: number, sessions: Sessions) {
      const channel = {
        onmessage: null as ((event: MessageEvent) => void) | null,
        postMessage(data: unknown) {
          for (const [other, { onmessage }] of channels)
            if (other !== tab && channels.has(tab))
              queueMicrotask(() => onmessage?.({ data: structuredClone(data) } as MessageEvent));
        },
      };
      channels.set(tab, channel);
      const tabs = new Tabs({ locks: locksOf(tab) as unknown as LockManager, channel });
      const stores = createStores();
      const trainer = fakeTrainer();
      const controller = new Controller(stores, trainer, sessions, tabs);
      followTabs(stores, tabs, sessions, controller);
      return { ...stores, tabs, trainer, controller };
    },
    /** The tab is gone: no message, and its lock is free. */
    crash(tab: number) {
      channels.delete(tab);
      if (held?.tab === tab) held.end(new DOMException('', 'AbortError'));
    },
    /** The tab hangs: it hears nothing and keeps its lock. */
    hang(tab: number) {
      channels.get(tab)!.onmessage = null;
    },
  };
}

function storage() {
  let kept: SavedSession | null = null;
  const sessions: Sessions = {
    save: async (session) => {
      kept = session;
    },
    load: async () => kept && readSession(kept),
    clear: async () => {
      kept = null;
    },
  };
  return { sessions, kept: () => kept };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}
afterEach(() => {
  vi.useRealTimers();
});

async function twoTabs() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  const machine = browser();
  const { sessions, kept } = storage();
  const first = machine.open(1, sessions);
  const train = async ({ controller, trainer }: typeof first, steps: number) => {
    await controller.toggle();
    for (let step = 1; step <= steps; step++)
      trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
    await controller.save();
    await settle();
  };
  await train(first, 3);
  const second = machine.open(2, sessions);
  await settle();
  return { machine, kept, first, second, train };
}

describe('a second tab', () => {
  test('looks on: it hears the run and its curve, now and as it grows', async () => {
    const { first, second } = await twoTabs();
    expect(first.tabs.view.getState().owner).toBe('this');
    expect(second.tabs.view.getState()).toMatchObject({ owner: 'other', news: { step: 3, totalSteps: 300 } });
    const [shown] = second.run.getState().runs;
    expect(shown?.name).toBe(`${first.run.getState().current?.name} (another tab)`);
    first.trainer.send({ type: 'step', metric: stepMetric(4), submits: 1 });
    await first.controller.save();
    await settle();
    expect([...(second.run.getState().runs[0]?.series.column('step') ?? [])]).toEqual([1, 2, 3, 4]);
    expect(second.run.getState().runs).toHaveLength(1);
  });

  test('trains without being kept: the run of the first stays', async () => {
    const { first, second, train, kept } = await twoTabs();
    await train(second, 7);
    expect(second.run.getState()).toMatchObject({ state: 'running', isKept: false, checkpoint: { step: 7 } });
    expect(kept()).toMatchObject({ name: first.run.getState().current?.name, step: 3 });
  });

  test('is offered what a tab that crashed has kept', async () => {
    const { machine, second } = await twoTabs();
    machine.crash(1);
    await vi.advanceTimersByTimeAsync(2100);
    await settle();
    expect(second.tabs.view.getState().owner).toBe('nobody');
    expect(second.run.getState()).toMatchObject({ runs: [], saved: { step: 3 } });
    await second.controller.resumeSaved();
    expect(second.tabs.view.getState().owner).toBe('this');
    expect(second.run.getState().current?.series.length).toBe(3);
  });

  test('with a run of its own keeps that only when it is told to', async () => {
    const { machine, second, train, kept } = await twoTabs();
    await train(second, 5);
    machine.crash(1);
    await vi.advanceTimersByTimeAsync(2100);
    await second.controller.save();
    expect(kept()?.step).toBe(3);
    await second.controller.keepInstead();
    expect(kept()?.step).toBe(5);
    expect(second.run.getState().isKept).toBe(true);
  });

  test('takes over from where the first is, which pauses and keeps nothing more', async () => {
    const { first, second, kept } = await twoTabs();
    first.trainer.send({ type: 'step', metric: stepMetric(4), submits: 1 });
    const taking = second.controller.takeOver();
    await settle();
    await taking;
    await settle();
    expect(first.run.getState()).toMatchObject({ state: 'paused', isKept: false });
    expect(second.run.getState()).toMatchObject({ state: 'paused', isKept: true });
    expect(second.run.getState().current?.series.length).toBe(4);
    first.trainer.send({ type: 'step', metric: stepMetric(5), submits: 1 });
    await first.controller.save();
    expect(kept()?.step).toBe(4);
    expect(first.tabs.view.getState().owner).toBe('other');
  });

  test('takes over from one that hangs, three seconds later', async () => {
    const { machine, first, second } = await twoTabs();
    machine.hang(1);
    const taking = second.controller.takeOver();
    await settle();
    expect(second.tabs.view.getState().owner).toBe('other');
    await vi.advanceTimersByTimeAsync(3100);
    await taking;
    expect(second.tabs.view.getState().owner).toBe('this');
    expect(second.run.getState().current?.series.length).toBe(3);
    await settle();
    expect(first.run.getState()).toMatchObject({ state: 'paused', isKept: false });
  });

  test('begins a run of its own when the first has reset its', async () => {
    const { first, second, train, kept } = await twoTabs();
    const resetting = first.controller.reset();
    await settle();
    await vi.advanceTimersByTimeAsync(10);
    await resetting;
    await settle();
    expect(second.tabs.view.getState().owner).toBe('nobody');
    expect(second.run.getState().saved?.step).toBe(3);
    await train(second, 2);
    expect(kept()?.step).toBe(2);
    expect(first.tabs.view.getState().owner).toBe('other');
  });
});
