/** What the browser keeps of models and data has one writer. Seen to fail: two tabs that fetch at once, a lock that outlives its last task. */
import { expect, test } from 'vitest';
import { cacheOwner } from '../../src/hub/browserStore.ts';
import { PapilioError } from '../../src/lib/errors.ts';

function locks() {
  let isHeld = false;
  return {
    isHeld: () => isHeld,
    async request(
      _: string,
      options: LockOptions,
      callback: (lock: Lock | null) => unknown,
    ): Promise<unknown> {
      expect(options.ifAvailable).toBe(true);
      if (isHeld) return callback(null);
      isHeld = true;
      const value = await callback({ name: 'cache', mode: 'exclusive' });
      isHeld = false;
      return value;
    },
  };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('tasks of one tab run side by side, those of another are refused until the last has ended', async () => {
  const shared = locks();
  const manager = shared as unknown as LockManager;
  const [here, there] = [cacheOwner(manager), cacheOwner(manager)];
  const ends: (() => void)[] = [];
  const task = () => new Promise<string>((resolve) => ends.push(() => resolve('done')));
  const running = [here(task), here(task)];
  await settle();
  expect(ends).toHaveLength(2);
  const refused = await there(task).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(PapilioError);
  expect(refused).toMatchObject({ kind: 'bad-argument', details: { way: 'resume' } });
  ends[0]!();
  await settle();
  expect(shared.isHeld()).toBe(true);
  ends[1]!();
  expect(await Promise.all(running)).toEqual(['done', 'done']);
  await settle();
  expect(shared.isHeld()).toBe(false);
  const later = there(async () => 'mine');
  expect(await later).toBe('mine');
});

test('a task that fails frees the place, and where there are no locks nothing is refused', async () => {
  const shared = locks();
  const owner = cacheOwner(shared as unknown as LockManager);
  await expect(owner(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  await settle();
  expect(shared.isHeld()).toBe(false);
  expect(await cacheOwner(undefined)(async () => 1)).toBe(1);
});
