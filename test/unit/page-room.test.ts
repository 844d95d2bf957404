/**
 * How much room there is in the browser, and its promise to keep what is kept. Seen to fail with: a question at every checkpoint.
 */
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import { ErrorCard } from '../../src/page/parts/Errors.tsx';
import { createRoom, keptIn, promiseText } from '../../src/page/room.ts';
import { createStores } from '../../src/page/stores.ts';
import { PageContext } from '../../src/page/usePage.ts';
import { fakeTrainer } from './page-fixtures.ts';

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

function browser(answer: boolean, before = false) {
  let isPromised = before;
  return {
    estimate: vi.fn(async () => ({ usage: 3e6, quota: 1e9 })),
    persisted: vi.fn(async () => isPromised),
    persist: vi.fn(async () => {
      isPromised = answer;
      return answer;
    }),
  };
}

const { choice } = createStores();
const session = {
  ...{ name: 'calm-apollo', step: 1, totalSteps: 3, savedAt: 0, settings: choice.getState().settings },
  ...{ request: runRequest(choice.getState()), checkpoint: Uint8Array.of(1) },
};

describe('the browser', () => {
  it.each([true, false])(
    'is asked for its promise with the first checkpoint, and once: %s',
    async (answer) => {
      const storage = browser(answer);
      const room = createRoom(storage);
      await room.measure();
      expect(storage.persist).not.toHaveBeenCalled();
      expect(room.view.getState()).toEqual({
        quota: { usedBytes: 3e6, totalBytes: 1e9 },
        isPromised: null,
      });
      const sessions = keptIn(room, { save: async () => {}, load: async () => null, clear: async () => {} });
      await sessions.save(session);
      await sessions.save(session);
      await settle();
      expect(storage.persist).toHaveBeenCalledTimes(1);
      expect(room.view.getState().isPromised).toBe(answer);
      expect(promiseText(answer)).toMatch(answer ? /^It has promised/ : /^It has not promised/);
    },
  );

  it('that has promised before is not asked again, and that is known at once', async () => {
    const storage = browser(true, true);
    const room = createRoom(storage);
    await room.measure();
    expect(room.view.getState().isPromised).toBe(true);
    await room.askToStay();
    expect(storage.persist).not.toHaveBeenCalled();
  });

  it('that has no room is measured, and asked for nothing', async () => {
    const storage = browser(true);
    const room = createRoom(storage);
    const full = { save: () => Promise.reject(new PapilioError('quota', 'Full.')) };
    const sessions = keptIn(room, { ...full, load: async () => null, clear: async () => {} });
    await expect(sessions.save(session)).rejects.toMatchObject({ kind: 'quota' });
    await settle();
    expect(storage.estimate).toHaveBeenCalledTimes(1);
    expect(storage.persist).not.toHaveBeenCalled();
  });

  it('that says nothing, or breaks, leaves nothing said', async () => {
    const broken = {
      estimate: () => Promise.reject(new Error('no')),
      persist: () => Promise.reject(new Error('no')),
    };
    for (const storage of [undefined, {}, broken]) {
      const room = createRoom(storage);
      await room.measure();
      await room.askToStay();
      expect(room.view.getState()).toEqual({ quota: null, isPromised: null });
    }
    expect(promiseText(null)).toBe('');
  });
});

it('the card of a full browser says how much room is left', async () => {
  const unused = () => Promise.reject(new Error('not used in these tests'));
  const page = createPage({
    trainer: fakeTrainer(),
    sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
    ...{ tabs: new Tabs({}), storage: browser(true), inference: unused, hub: unused, root: '/' },
  });
  await page.room.measure();
  page.run.setState({
    error: { report: { kind: 'quota', message: 'Full.', details: {} }, canResume: true, losses: 0 },
  });
  // Drawn as a server would, React takes the state that a store began with.
  for (const store of [page.run, page.room.view]) store.getInitialState = store.getState as () => never;
  const card = createElement(PageContext, { value: page }, createElement(ErrorCard, { panel: 'train' }));
  expect(renderToStaticMarkup(card).replaceAll('\u00a0', ' ')).toContain(
    'Of the 954 MB that this browser gives Papilio, 951 MB are left.',
  );
});
