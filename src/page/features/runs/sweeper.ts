/** Trains the runs of a sweep one after the other, as a person would: chosen, begun, waited for. The queue is kept, so that a reload loses none of it. */
import { createStore } from 'zustand/vanilla';
import type { Stores } from '../../stores.ts';
import { chosenBy, isLeft } from '../setup/holds.ts';
import { takeLink } from '../setup/link.ts';
import type { PageSettings } from '../setup/settings.ts';
import type { Controller } from '../training/controller.ts';
import type { RunBook } from './book.ts';
import {
  begun,
  continued,
  done,
  failed,
  isOver,
  left,
  newSweep,
  nextIn,
  type Sweep,
  stopped,
  sweepSchema,
} from './sweep.ts';

const KEPT_AS = 'sweep';
/** After so many failures in a row what comes next would fail too. */
export const MOST_FAILURES = 2;

interface SweepView {
  readonly sweep: Sweep | null;
}

/** What a sweep needs of the page. */
export interface SweepPage extends Pick<Stores, 'choice' | 'run' | 'ui'> {
  readonly controller: Pick<Controller, 'restart' | 'toggle' | 'pause' | 'resumeSaved'>;
  setSettings(settings: PageSettings): void;
}

type End =
  | { readonly is: 'done' | 'left' | 'stopped'; readonly reason?: undefined }
  | { readonly is: 'failed'; readonly reason: string | null };

export class Sweeper {
  readonly view = createStore<SweepView>(() => ({ sweep: null }));
  private isGoing = false;

  constructor(
    private readonly page: SweepPage,
    private readonly book: Pick<RunBook, 'change' | 'keepNote' | 'keptNote'>,
  ) {}

  /** What a page of before left: it stands until somebody continues it. */
  async load(): Promise<void> {
    const { data } = sweepSchema.safeParse(await this.book.keptNote(KEPT_AS));
    if (data === undefined) return;
    this.view.setState({ sweep: isOver(data) || data.isStopped ? data : stopped(data) });
  }

  start(name: string, runs: readonly PageSettings[]): Promise<void> {
    if (this.isGoing || runs.length === 0) return Promise.resolve();
    this.show(newSweep(name, this.page.choice.getState(), runs));
    return this.go();
  }

  continue(): Promise<void> {
    const { sweep } = this.view.getState();
    if (sweep === null || this.isGoing) return Promise.resolve();
    this.show(continued(sweep));
    return this.go();
  }

  /** Pauses the run under way; it can be gone on with. */
  async stop(): Promise<void> {
    const { sweep } = this.view.getState();
    if (sweep === null) return;
    this.show(stopped(sweep));
    if (this.isOurs() && this.page.run.getState().state === 'running') await this.page.controller.pause();
  }

  /** Forgets a sweep that is over or stopped; its runs stay. */
  forget(): void {
    if (!this.isGoing) this.show(null);
  }

  private show(sweep: Sweep | null): void {
    this.view.setState({ sweep });
    void this.book.keepNote(KEPT_AS, sweep);
  }

  private get sweep(): Sweep {
    return this.view.getState().sweep!;
  }

  private async go(): Promise<void> {
    this.isGoing = true;
    let failures = 0;
    try {
      for (let at = nextIn(this.sweep); at !== null; at = nextIn(this.sweep)) {
        const end = await this.train(at);
        failures = end.is === 'failed' ? failures + 1 : 0;
        this.show(this.after(at, end, failures));
      }
      if (isOver(this.sweep) && !this.isLeft(this.sweep.home)) this.choose(this.sweep.home);
    } finally {
      this.isGoing = false;
    }
  }

  private after(at: number, end: End, failures: number): Sweep {
    const { sweep } = this;
    if (end.is !== 'failed') {
      if (end.is === 'done') return done(sweep, at);
      if (end.is === 'stopped') return sweep;
      return stopped(left(sweep, at), 'left');
    }
    const now = failed(sweep, at, end.reason);
    return failures < MOST_FAILURES || isOver(now) ? now : stopped(now, 'failures');
  }

  /** Whether a lesson that was opened since holds something of it. */
  private isLeft(link: string): boolean {
    return isLeft(this.page, chosenBy(link));
  }

  private choose(link: string): void {
    takeLink(this.page, link);
  }

  /** Begins the run of this place, or goes on with it, and waits for what comes of it. */
  private async train(at: number): Promise<End> {
    const { run, controller } = this.page;
    const { key, link } = this.sweep.items[at]!;
    if (this.isLeft(link)) {
      this.show(stopped(this.sweep, 'lesson'));
      return { is: 'stopped' };
    }
    const { current, saved } = run.getState();
    if (key !== null && current?.key === key && run.getState().state === 'paused') await controller.toggle();
    else if (key !== null && current === null && saved?.key === key) {
      await controller.resumeSaved();
      if (run.getState().state === 'paused') await controller.toggle();
    } else {
      const problem = await this.begin(link);
      if (problem !== null) return problem;
    }
    const now = run.getState().current;
    if (now === null) return { is: 'left' };
    this.show(begun(this.sweep, at, now.key));
    this.book.change(now.key, { sweep: this.sweep.name });
    // Who stopped the sweep while its run was still being loaded stopped that run too.
    if (this.sweep.isStopped && run.getState().state === 'running') await controller.pause();
    return this.ended(now.key);
  }

  /** Whether the run on screen is one of the sweep. */
  private isOurs(): boolean {
    const { current } = this.page.run.getState();
    return current !== null && this.sweep.items.some(({ key }) => key === current.key);
  }

  private async begin(link: string): Promise<End | null> {
    this.choose(link);
    const { model, data } = this.page.choice.getState();
    if (model === null || data === null) {
      this.show(stopped(this.sweep, 'no-source'));
      return { is: 'stopped' };
    }
    const { run, ui, controller } = this.page;
    const isOurs = this.isOurs();
    const [{ undo }, { notice }] = [run.getState(), ui.getState()];
    await controller.restart();
    // That the sweep's own run before can be taken back is no news; what can be taken back stays what was there before the sweep.
    if (isOurs) {
      run.setState({ undo });
      ui.setState({ notice });
    }
    return null;
  }

  /** What comes of the run with this key; while it is paused by hand the sweep waits. */
  private ended(key: string): Promise<End> {
    return new Promise((resolve) => {
      const endings: (() => void)[] = [];
      const look = () => {
        const end = this.endOf(key);
        if (end === null) return;
        for (const ending of endings) ending();
        resolve(end);
      };
      endings.push(this.page.run.subscribe(look), this.view.subscribe(look));
      look();
    });
  }

  private endOf(key: string): End | null {
    const { current, state, error } = this.page.run.getState();
    if (current?.key !== key) return { is: 'left' };
    if (state === 'finished') return { is: 'done' };
    // That a checkpoint could not be kept ends no run.
    const isBroken = error !== null && error.report.kind !== 'quota' && state === 'paused';
    if (state === 'failed' || isBroken) return { is: 'failed', reason: error?.report.message ?? null };
    return this.sweep.isStopped && state === 'paused' ? { is: 'stopped' } : null;
  }
}
