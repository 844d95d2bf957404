/**
 * A first visit: what the page is, which control is needed next, and which tab of See is open. Seen to fail with: a band that comes back at the next
 * visit, a storage that throws, a mark that stays on what was used, a run that takes somebody out of their tab.
 */
import { describe, expect, it } from 'vitest';
import { startNext } from '../../src/page/features/start/next.ts';
import { startStart } from '../../src/page/features/start/started.ts';
import { newRun } from '../../src/page/features/training/runs.ts';
import { followSeeTab } from '../../src/page/seeTab.ts';
import { saveWhenHidden } from '../../src/page/start.ts';
import { createStores } from '../../src/page/stores.ts';
import { openReport } from './page-fixtures.ts';

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

describe('the control that is needed next', () => {
  const open = openReport({ steps: 2 });
  const visitNext = (kept: ReturnType<typeof storage>) => {
    const stores = createStores();
    startNext(stores, () => kept);
    return { ...stores, next: () => stores.ui.getState().next };
  };

  it('is the button that trains, then what came of it, each until it was used once', () => {
    const kept = storage();
    const { run, ui, choice, next } = visitNext(kept);
    expect(next()).toBe('train');
    run.setState({ current: newRun(1, choice.getState().settings, 0), open, state: 'running' });
    expect(next()).toBeNull();
    run.setState({ state: 'finished' });
    expect(next()).toBe('compare');
    ui.setState({ seeTab: 'compare' });
    expect(next()).toBe('merge');
    ui.setState({ seeTab: 'merge' });
    expect(next()).toBeNull();
    expect(visitNext(kept).next()).toBeNull();
  });

  it('is none that was used at a visit before, and one where the browser keeps nothing', () => {
    const kept = storage();
    const { run, choice } = visitNext(kept);
    run.setState({ current: newRun(1, choice.getState().settings, 0) });
    expect(visitNext(kept).next()).toBeNull();
    const stores = createStores();
    startNext(stores, () => {
      throw new Error('SecurityError');
    });
    expect(stores.ui.getState().next).toBe('train');
  });
});

describe('the tab of See', () => {
  const open = openReport({ steps: 2 });
  const seen = () => {
    const stores = createStores();
    followSeeTab(stores);
    return { ...stores, now: () => [stores.ui.getState().seeTab, stores.ui.getState().isCompareNew] };
  };

  it('is that of the answers when a run begins and nobody has been there', () => {
    const { run, now } = seen();
    expect(now()).toEqual(['inside', false]);
    run.setState({ open });
    expect(now()).toEqual(['compare', false]);
    run.setState({ open: null });
    expect(now()).toEqual(['inside', false]);
  });

  it('stays where somebody is, and the answers are lit until they are looked at', () => {
    const { run, ui, now } = seen();
    ui.setState({ isSeeUsed: true });
    run.setState({ open });
    expect(now()).toEqual(['inside', true]);
    ui.setState({ seeTab: 'compare' });
    expect(now()).toEqual(['compare', false]);
    ui.setState({ seeTab: 'weights' });
    run.setState({ open: null });
    expect(now()).toEqual(['weights', false]);
  });

  it('of all runs stays in any case', () => {
    const { run, ui, now } = seen();
    ui.setState({ seeTab: 'runs' });
    run.setState({ open });
    expect(now()).toEqual(['runs', true]);
  });
});

it('a checkpoint is taken when the page is hidden, and none when it is seen again', () => {
  let saved = 0;
  const page = Object.assign(new EventTarget(), { hidden: false });
  saveWhenHidden(page as unknown as Document, { save: async () => void saved++ });
  for (const hidden of [true, false, true]) {
    page.hidden = hidden;
    page.dispatchEvent(new Event('visibilitychange'));
  }
  expect(saved).toBe(2);
});
