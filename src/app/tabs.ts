/**
 * One tab owns what the browser keeps of a run. Whoever begins a run claims the place by a Web Lock, which the browser frees when the tab is gone,
 * however it went; the others hear from its owner what is kept, and can have the place handed over. Where there are no locks, every tab owns it.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { PATIENCE_MS } from '../lib/workers.ts';
import type { EvalMetric, StepMetric } from '../training/protocol.ts';
import type { PageSettings } from './settings.ts';

/** A run as its tab tells the others of it. */
export interface TabNews {
  readonly name: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly settings: PageSettings;
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
}

export interface TabsView {
  /** Whose runs are kept. */
  readonly owner: 'nobody' | 'this' | 'other';
  /** What the owner said last, while that is another tab. */
  readonly news: TabNews | null;
}

export interface Tabs {
  readonly view: StoreApi<TabsView>;
  /** Whether what is kept from now on is this tab's. */
  claim(): Promise<boolean>;
  release(): void;
  /** Whether this tab may write what the browser keeps. */
  readonly mayKeep: boolean;
  /** Tells the others, if this tab owns the place. */
  tell(news: TabNews): void;
  /** Has the owner hand the place over; one that does not in time loses it. */
  takeOver(): Promise<void>;
  /** Called before the place is handed over: whatever is to be kept is kept by then. */
  onHandOver(listener: () => Promise<void>): void;
}

const PLACE = 'papilio.run';
/** How often another tab's place is looked at: that its owner is gone, no message tells. */
const LOOK_EVERY_MS = 2000;

type Message =
  | { readonly type: 'who' }
  | { readonly type: 'changed' }
  | { readonly type: 'hand-over' }
  | { readonly type: 'news'; readonly news: TabNews };

interface Around {
  readonly locks?: Pick<LockManager, 'request' | 'query'> | undefined;
  readonly channel?: Pick<BroadcastChannel, 'postMessage' | 'onmessage'> | undefined;
}

export function createTabs({ locks, channel }: Around): Tabs {
  const view = createStore<TabsView>(() => ({ owner: 'nobody', news: null }));
  let free: (() => void) | null = null;
  let told: TabNews | null = null;
  let handOver: () => Promise<void> = async () => {};
  let looking: ReturnType<typeof setInterval> | undefined;
  const post = (message: Message): void => channel?.postMessage(message);

  function set(owner: TabsView['owner']): void {
    if (owner !== view.getState().owner)
      view.setState({ owner, ...(owner === 'other' ? {} : { news: null }) });
    clearInterval(looking);
    if (owner === 'other') looking = setInterval(() => void look(), LOOK_EVERY_MS);
  }

  async function look(): Promise<void> {
    if (locks === undefined || free !== null) return;
    const { held = [] } = await locks.query();
    if (free === null) set(held.some(({ name }) => name === PLACE) ? 'other' : 'nobody');
  }

  /** Holds the place until it is released, or stolen. */
  function hold(options: LockOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const held = locks!.request(PLACE, options, (lock) => {
        if (lock === null) return resolve(false);
        return new Promise<void>((release) => {
          free = release;
          set('this');
          post({ type: 'changed' });
          resolve(true);
        });
      });
      held.catch((error: unknown) => {
        // Taken by another tab, or not given in time.
        const wasHeld =
          free !== null && (error as Error).name === 'AbortError' && options.signal?.aborted !== true;
        if (wasHeld) free = null;
        void look();
        reject(error);
      });
    });
  }

  if (channel !== undefined)
    channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.type === 'news' && free === null) {
        set('other');
        view.setState({ news: data.news });
      } else if (data.type === 'changed') void look();
      else if (data.type === 'who' && free !== null && told !== null) post({ type: 'news', news: told });
      else if (data.type === 'hand-over' && free !== null) void handOver().finally(release);
    };

  function release(): void {
    if (free === null) return;
    told = null;
    free();
    free = null;
    set('nobody');
    post({ type: 'changed' });
  }

  void look();
  post({ type: 'who' });

  return {
    view,
    get mayKeep() {
      return locks === undefined || free !== null;
    },
    async claim() {
      if (locks === undefined || free !== null) return true;
      const isMine = await hold({ ifAvailable: true });
      if (!isMine) set('other');
      return isMine;
    },
    release,
    tell(news) {
      if (free === null) return;
      told = news;
      post({ type: 'news', news });
    },
    async takeOver() {
      if (locks === undefined || free !== null) return;
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), PATIENCE_MS);
      post({ type: 'hand-over' });
      try {
        await hold({ signal: late.signal });
      } catch {
        await hold({ steal: true });
      } finally {
        clearTimeout(timer);
      }
    },
    onHandOver(listener) {
      handOver = listener;
    },
  };
}
