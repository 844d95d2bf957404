/**
 * One tab owns what the browser keeps of a run. Whoever begins a run claims the place by a Web Lock, which the browser frees when the tab is gone,
 * however it went; the others hear from its owner what is kept, and can have the place handed over. Where there are no locks, every tab owns it.
 */
import { createStore } from 'zustand/vanilla';
import { asPapilioError, PATIENCE_MS, say } from '../../../common.ts';
import type { EvalMetric, StepMetric } from '../../../protocol.ts';
import type { Stores } from '../../stores.ts';
import type { PageSettings } from '../setup/settings.ts';
import { drawnRuns, ELSEWHERE, freeLook, newRun, type RunRecord } from './runs.ts';
import type { Sessions } from './sessions.ts';

/** What the tabs hear of a run from the one that has it. */
export interface TabNews {
  readonly name: string;
  readonly key: string;
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

export class Tabs {
  readonly view = createStore<TabsView>(() => ({ owner: 'nobody', news: null }));
  /** Frees the place, while it is this tab's. */
  private free: (() => void) | null = null;
  private lastNews: TabNews | null = null;
  private handOver: () => Promise<void> = async () => {};
  private polling: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly host: Host) {
    if (host.channel !== undefined)
      host.channel.onmessage = ({ data }: MessageEvent<Message>) => this.hear(data);
    void this.poll();
    this.post({ type: 'who' });
  }

  /** Whether this tab may write what the browser keeps. */
  get mayKeep(): boolean {
    return this.host.locks === undefined || this.free !== null;
  }

  /** Whether what is kept from now on is this tab's. */
  async claim(): Promise<boolean> {
    if (this.mayKeep) return true;
    const isGiven = await this.hold({ ifAvailable: true });
    if (!isGiven) this.setOwner('other');
    return isGiven;
  }

  release(): void {
    if (this.free === null) return;
    this.lastNews = null;
    this.free();
    this.free = null;
    this.setOwner('nobody');
    this.post({ type: 'changed' });
  }

  /** Says to the others how the run stands, if this tab owns the place. */
  emit(news: TabNews): void {
    if (this.free === null) return;
    this.lastNews = news;
    this.post({ type: 'news', news });
  }

  /** Has the owner hand the place over; one that does not in time loses it. */
  async takeOver(): Promise<void> {
    if (this.mayKeep) return;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), PATIENCE_MS);
    this.post({ type: 'hand-over' });
    await this.hold({ signal: late.signal })
      .catch(() => this.hold({ steal: true }))
      .finally(() => clearTimeout(timer));
  }

  /** Called before the place is handed over: whatever is to be kept is kept by then. */
  onHandOver(listener: () => Promise<void>): void {
    this.handOver = listener;
  }

  private post(message: Message): void {
    this.host.channel?.postMessage(message);
  }

  private hear(message: Message): void {
    if (message.type === 'changed') void this.poll();
    else if (message.type === 'news' && this.free === null) {
      this.setOwner('other');
      this.view.setState({ news: message.news });
    } else if (message.type === 'who' && this.free !== null && this.lastNews !== null)
      this.post({ type: 'news', news: this.lastNews });
    else if (message.type === 'hand-over' && this.free !== null)
      void this.handOver().finally(() => this.release());
  }

  private setOwner(owner: TabsView['owner']): void {
    if (owner !== this.view.getState().owner)
      this.view.setState({ owner, ...(owner === 'other' ? {} : { news: null }) });
    clearInterval(this.polling);
    if (owner === 'other') this.polling = setInterval(() => void this.poll(), POLL_EVERY_MS);
  }

  private async poll(): Promise<void> {
    const { locks } = this.host;
    if (locks === undefined || this.free !== null) return;
    const { held = [] } = await locks.query();
    if (this.free === null) this.setOwner(held.some(({ name }) => name === PLACE) ? 'other' : 'nobody');
  }

  /** Asks for the place and holds it until it is released, or stolen. @returns whether it was given */
  private hold(options: LockOptions): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const request = this.host.locks!.request(PLACE, options, (lock) => {
        if (lock === null) return resolve(false);
        return new Promise<void>((release) => {
          this.free = release;
          this.setOwner('this');
          this.post({ type: 'changed' });
          resolve(true);
        });
      });
      request.catch((error: unknown) => {
        // Taken by another tab, or not given in time.
        const isStolen = (error as Error).name === 'AbortError' && options.signal?.aborted !== true;
        if (isStolen) this.free = null;
        void this.poll();
        reject(error);
      });
    });
  }
}

/** Shows the curve of the run that another tab has, and offers what is kept once that tab is gone. */
export function followTabs(
  { run }: Stores,
  tabs: Tabs,
  sessions: Sessions,
  controller: { pause(): Promise<void> },
): void {
  const isThere = ({ id }: RunRecord) => id === ELSEWHERE;

  function show(news: TabNews): void {
    const { runs } = run.getState();
    const old = runs.find(isThere);
    const others = runs.filter((one) => !isThere(one) && one.key !== news.key);
    const look = old?.look ?? freeLook(drawnRuns(others));
    const record = newRun(ELSEWHERE, news.settings, look, say`${news.name} (another tab)`, news.key);
    for (const metric of news.steps) record.series.add(metric);
    for (const metric of news.evals) record.series.addEval(metric);
    run.setState({ runs: [...others, { ...record, isShown: old?.isShown ?? null }] });
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
