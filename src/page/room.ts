/** What the browser keeps for this page: how much, how much it would, and whether it has promised to keep it. */
import { createStore } from 'zustand/vanilla';
import { say } from '../common.ts';
import type { Sessions } from './features/training/sessions.ts';

interface RoomView {
  /** Of everything that the browser keeps of this page; null where it does not say. */
  readonly quota: { readonly usedBytes: number; readonly totalBytes: number } | null;
  /** Whether it keeps that when a disk is short of room; null where it was not asked, or does not say. */
  readonly isPromised: boolean | null;
}

export type BrowserStorage = Partial<Pick<StorageManager, 'estimate' | 'persist' | 'persisted'>>;

export type Room = ReturnType<typeof createRoom>;

/** @param storage the browser's; undefined where it has none (no secure address) */
export function createRoom(storage: BrowserStorage | undefined) {
  const view = createStore<RoomView>(() => ({ quota: null, isPromised: null }));
  let isAsked = false;
  const promised = async (): Promise<boolean | null> =>
    (await storage?.persisted?.().catch(() => null)) ?? null;
  return {
    view,
    /** Asks how much there is, which costs nobody a question. */
    async measure(): Promise<void> {
      const { usage, quota } = (await storage?.estimate?.().catch(() => null)) ?? {};
      if (usage !== undefined && quota !== undefined)
        view.setState({ quota: { usedBytes: usage, totalBytes: quota } });
      const isPromised = await promised();
      // A refusal is known only once it was asked for.
      if (isPromised === true || isAsked) view.setState({ isPromised });
    },
    /** Has the browser promise to keep what is kept: once in a sitting, since some ask the reader. */
    async askToStay(): Promise<void> {
      if (isAsked) return;
      isAsked = true;
      const isPromised = (await promised()) || (await storage?.persist?.().catch(() => null));
      view.setState({ isPromised: isPromised ?? null });
    },
  };
}

/** What the browser answered; empty where it was not asked, or does not say. */
export function promiseText(isPromised: boolean | null): string {
  if (isPromised === null) return '';
  return isPromised
    ? say`It has promised to keep all of it when a disk is short of room.`
    : say`It has not promised to keep it: when a disk is short of room it may clear all of it.`;
}

/** The same sessions, whose first checkpoint has the browser promise to keep it, and after each of which the room is measured. */
export const keptIn = (room: Pick<Room, 'measure' | 'askToStay'>, sessions: Sessions): Sessions => ({
  ...sessions,
  async save(session) {
    try {
      await sessions.save(session);
      void room.askToStay();
    } finally {
      void room.measure();
    }
  },
});
