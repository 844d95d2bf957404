/** What the page says of its files and its next version, over a service worker that does as it is told. Seen to fail: a version that another tab took, asked to go over once more. */
import { expect, test } from 'vitest';
import { createOffline } from '../../src/page/features/offline/offline.ts';

type Listener = (event: { readonly isUpdate?: boolean }) => void;

function opened(register: () => Promise<undefined> = async () => undefined) {
  const told: string[] = [];
  const listeners = new Map<string, Listener>();
  const worker = {
    register,
    addEventListener: (type: string, listener: Listener) => listeners.set(type, listener),
    messageSkipWaiting: () => told.push('go over'),
    update: async () => {},
  };
  const offline = createOffline(
    () => told.push('load anew'),
    async () => {
      told.push('keep');
    },
  );
  return {
    offline,
    told,
    start: () => offline.start(async () => worker as never),
    happens: (type: string, isUpdate = false) => listeners.get(type)!({ isUpdate }),
  };
}

test('files are on their way, then kept; or it is said that they are not', async () => {
  const { offline, start, happens } = opened();
  expect(offline.view.getState()).toEqual({ files: 'none', next: null });
  await start();
  expect(offline.view.getState().files).toBe('keeping');
  happens('installed');
  expect(offline.view.getState().files).toBe('kept');
  const refused = opened(() => Promise.reject(new Error('no room')));
  await refused.start();
  expect(refused.offline.view.getState().files).toBe('failed');
  const half = opened();
  await half.start();
  half.happens('redundant');
  expect(half.offline.view.getState().files).toBe('failed');
});

test('a version that waits is taken when it is asked for: the run is kept first, and the page loaded once it is in force', async () => {
  const { offline, told, start, happens } = opened();
  await start();
  happens('waiting');
  expect(offline.view.getState().next).toBe('waiting');
  expect(told).toEqual([]);
  await offline.take();
  expect(told).toEqual(['keep', 'go over']);
  happens('controlling', true);
  expect(told).toEqual(['keep', 'go over', 'load anew']);
});

test('a version that another tab took loads nothing unasked, and then only the page', async () => {
  const { offline, told, start, happens } = opened();
  await start();
  happens('controlling');
  expect(offline.view.getState().next).toBeNull();
  happens('controlling', true);
  expect(offline.view.getState().next).toBe('elsewhere');
  expect(told).toEqual([]);
  await offline.take();
  expect(told).toEqual(['keep', 'load anew']);
});
