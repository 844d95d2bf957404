/** What the page is, on a first visit. Seen to fail with: a band that comes back at the next visit, a storage that throws. */
import { describe, expect, it } from 'vitest';
import { startStart } from '../../src/page/features/start/started.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import { createStores } from '../../src/page/stores.ts';

function storage() {
  const kept = new Map<string, string>();
  return {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  };
}

function visit(kept: ReturnType<typeof storage>) {
  const stores = createStores();
  startStart(stores, () => kept);
  return { stores, isOpen: () => stores.ui.getState().isStartOpen };
}

describe('what the page is', () => {
  it('is said on a first visit, until it is put away, and then when it is asked for', () => {
    const kept = storage();
    expect(visit(kept).isOpen()).toBe(true);
    const { stores, isOpen } = visit(kept);
    expect(isOpen()).toBe(true);
    stores.ui.setState({ isStartOpen: false });
    const again = visit(kept);
    expect(again.isOpen()).toBe(false);
    again.stores.ui.setState({ isStartOpen: true });
    expect(again.isOpen()).toBe(true);
  });

  it('gives way to a run that begins, and stays away', () => {
    const kept = storage();
    const { stores, isOpen } = visit(kept);
    stores.run.setState({ current: newRun(1, stores.choice.getState().settings, 0) });
    expect(isOpen()).toBe(false);
    expect(visit(kept).isOpen()).toBe(false);
  });

  it('is said at every visit where the browser keeps nothing', () => {
    const stores = createStores();
    startStart(stores, () => {
      throw new Error('SecurityError');
    });
    expect(stores.ui.getState().isStartOpen).toBe(true);
    stores.ui.setState({ isStartOpen: false });
    expect(stores.ui.getState().isStartOpen).toBe(false);
  });
});
