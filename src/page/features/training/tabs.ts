/**
 * One tab owns what the browser keeps of a run. Whoever begins a run claims the place by a Web Lock, which the browser frees when the tab is gone,
 * however it went; the others hear from its owner what is kept, and can have the place handed over. Where there are no locks, every tab owns it.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { asPapilioError } from '../../../lib/errors.ts';
import { PATIENCE_MS } from '../../../lib/workers.ts';
import type { EvalMetric, StepMetric } from '../../../training/protocol.ts';
import type { Stores } from '../../stores.ts';
import type { PageSettings } from '../setup/settings.ts';
import { addRun, freeLook, newRun, type RunRecord } from './runs.ts';
import type { Sessions } from './sessions.ts';

/** What the tabs hear of a run from the one that has it. */
export interface TabNews {
  readonly name: string;
  readonly step: number;
  readonly totalSteps: number;
  readonly settings: PageSettings;
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
}

interface TabsView {
  /** Whose runs are kept. */
  readonly owner: 'nobody' | 'this' | 'other';
  /** What the owner said last, while that is another tab. */
  readonly news: TabNews | null;
}

const PLACE = 'papilio.run';
/** How often another tab's place is looked at: no message says that its owner is gone. */
const POLL_EVERY_MS = 2000;

type Message =
  | { readonly type: 'who' }
  | { readonly type: 'changed' }
  | { readonly type: 'hand-over' }
  | { readonly type: 'news'; readonly news: TabNews };

interface Host {
  readonly locks?: Pick<LockManager, 'request' | 'query'> | undefined;
  readonly channel?: Pick<BroadcastChannel, 'postMessage' | 'onmessage'> | undefined;
}

/**
 * Asks for the place and holds it until `release` is called, or it is stolen.
 *
 * @param onLost called before this rejects, or later when the place is stolen
 * @returns whether it was given
 */
function hold(
  locks: Pick<LockManager, 'request'>,
  options: LockOptions,
  onHeld: (release: () => void) => void,
  onLost: (isStolen: boolean) => void,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = locks.request(PLACE, options, (lock) => {
      if (lock === null) return resolve(false);
      return new Promise<void>((release) => {
        onHeld(release);
        resolve(true);
      });
    });
    request.catch((error: unknown) => {
      // Taken by another tab, or not given in time.
      onLost((error as Error).name === 'AbortError' && options.signal?.aborted !== true);
      reject(error);
    });
  });
}

/** Keeps up with who has the place: while it is another tab, by asking for its lock. */
function watchOwner(
  view: StoreApi<TabsView>,
  locks: Pick<LockManager, 'query'> | undefined,
  isMine: () => boolean,
) {
  let polling: ReturnType<typeof setInterval> | undefined;

  function setOwner(owner: TabsView['owner']): void {
    if (owner !== view.getState().owner)
      view.setState({ owner, ...(owner === 'other' ? {} : { news: null }) });
    clearInterval(polling);
    if (owner === 'other') polling = setInterval(() => void poll(), POLL_EVERY_MS);
  }

  async function poll(): Promise<void> {
    if (locks === undefined || isMine()) return;
    const { held = [] } = await locks.query();
    if (!isMine()) setOwner(held.some(({ name }) => name === PLACE) ? 'other' : 'nobody');
  }

  return { setOwner, poll };
}

export type Tabs = ReturnType<typeof createTabs>;

export function createTabs({ locks, channel }: Host) {
  const view = createStore<TabsView>(() => ({ owner: 'nobody', news: null }));
  /** Frees the place, while it is this tab's. */
  let free: (() => void) | null = null;
  let lastNews: TabNews | null = null;
  let handOver: () => Promise<void> = async () => {};
  const post = (message: Message): void => channel?.postMessage(message);
  const { setOwner, poll } = watchOwner(view, locks, () => free !== null);

  const holdPlace = (options: LockOptions): Promise<boolean> =>
    hold(
      locks!,
      options,
      (release) => {
        free = release;
        setOwner('this');
        post({ type: 'changed' });
      },
      (isStolen) => {
        if (isStolen) free = null;
        void poll();
      },
    );

  function release(): void {
    if (free === null) return;
    lastNews = null;
    free();
    free = null;
    setOwner('nobody');
    post({ type: 'changed' });
  }

  function hear({ data }: MessageEvent<Message>): void {
    if (data.type === 'news' && free === null) {
      setOwner('other');
      view.setState({ news: data.news });
    } else if (data.type === 'changed') void poll();
    else if (data.type === 'who' && free !== null && lastNews !== null)
      post({ type: 'news', news: lastNews });
    else if (data.type === 'hand-over' && free !== null) void handOver().finally(release);
  }

  if (channel !== undefined) channel.onmessage = hear;
  void poll();
  post({ type: 'who' });

  const isMine = (): boolean => locks === undefined || free !== null;
  return {
    view,
    /** Whether this tab may write what the browser keeps. */
    mayKeep: isMine,
    /** Whether what is kept from now on is this tab's. */
    claim: async (): Promise<boolean> => {
      if (isMine()) return true;
      const isGiven = await holdPlace({ ifAvailable: true });
      if (!isGiven) setOwner('other');
      return isGiven;
    },
    release,
    /** Says to the others how the run stands, if this tab owns the place. */
    emit: (news: TabNews): void => {
      if (free === null) return;
      lastNews = news;
      post({ type: 'news', news });
    },
    /** Has the owner hand the place over; one that does not in time loses it. */
    takeOver: async (): Promise<void> => {
      if (isMine()) return;
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), PATIENCE_MS);
      post({ type: 'hand-over' });
      await holdPlace({ signal: late.signal })
        .catch(() => holdPlace({ steal: true }))
        .finally(() => clearTimeout(timer));
    },
    /** Called before the place is handed over: whatever is to be kept is kept by then. */
    onHandOver: (listener: () => Promise<void>): void => {
      handOver = listener;
    },
  };
}

/** No run of this tab has this number. */
const ELSEWHERE = -1;

/** Shows the curve of the run that another tab has, and offers what is kept once that tab is gone. */
export function followTabs(
  { run }: Stores,
  tabs: Tabs,
  sessions: Sessions,
  controller: { pause(): Promise<void> },
): void {
  const isThere = ({ id }: RunRecord) => id === ELSEWHERE;

  function show(news: TabNews): void {
    const others = run.getState().runs.filter((one) => !isThere(one));
    const record = newRun(ELSEWHERE, news.settings, freeLook(others), `${news.name} (another tab)`);
    for (const metric of news.steps) record.series.add(metric);
    for (const metric of news.evals) record.series.addEval(metric);
    run.setState(({ runs }) => ({
      runs: runs.some(isThere)
        ? runs.map((one) => (isThere(one) ? { ...record, look: one.look, isShown: one.isShown } : one))
        : addRun(runs, record),
    }));
  }

  tabs.view.subscribe((now, before) => {
    if (now.news !== null && now.news !== before.news) show(now.news);
    if (now.owner === before.owner) return;
    if (before.owner === 'other') run.setState(({ runs }) => ({ runs: runs.filter((one) => !isThere(one)) }));
    if (before.owner === 'this' && now.owner === 'other') {
      // Taken without asking, since this tab did not answer: the run goes on there.
      run.setState({ isKept: false });
      if (run.getState().state === 'running') void controller.pause();
    }
    if (before.owner === 'other' && now.owner === 'nobody') void loadSaved({ run }, sessions);
  });
}

/** Offers what the browser keeps, or says why it cannot be gone on with. */
export async function loadSaved({ run }: Pick<Stores, 'run'>, sessions: Sessions): Promise<void> {
  try {
    run.setState({ saved: await sessions.load(), savedProblem: null });
  } catch (error) {
    run.setState({ saved: null, savedProblem: asPapilioError(error).message });
  }
}
