/**
 * What the page can do with a run: start, pause, step, reset and take it back, keep checkpoints, resume. One object over the stores and
 * a trainer, so that it is tested with a trainer made for the purpose.
 */
import {
  type ErrorReport,
  isEnded,
  isFatal,
  PATIENCE_MS,
  PapilioError,
  type PickedFile,
  say,
  settlesWithin,
} from '../../../common.ts';
import type { EngineName, OpenReport, Progress, RunRequest, TrainerEvent } from '../../../protocol.ts';
import { emptyRun, isOpening, type RunView, type Stores } from '../../stores.ts';
import { reportOf } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { choiceAfter, choicesOf, runRequest, trainingAsked } from '../setup/choice.ts';
import { isLeft } from '../setup/holds.ts';
import { type PageSettings, sameValue } from '../setup/settings.ts';
import { choiceFor, nameIn } from './fromFile.ts';
import { canTakeUp } from './onTheWay.ts';
import { drawnRuns, freeLook, newRun, type RunRecord } from './runs.ts';
import { createSeries, metricsOf } from './series.ts';
import type { Sessions } from './sessions.ts';
import type { Tabs } from './tabs.ts';

const CHECKPOINT_EVERY_MS = 20_000;
const CHECKPOINT_EVERY_STEPS = 100;

type Trainer = Pick<
  TrainerClient,
  'open' | 'play' | 'pause' | 'step' | 'checkpoint' | 'readCheckpoint' | 'requireGoesOn' | 'leave'
>;
type Saved = Pick<NonNullable<RunView['checkpoint']>, 'bytes' | 'step'>;

type Download = Progress & { readonly clock: 'download' };

/** Downloads of a run as one, by the last: bytes of all its files so far. */
function gathered(downloads: Map<string, Download>, last: Download): Download {
  const all = [...downloads.set(last.what, last).values()];
  return {
    ...last,
    doneBytes: all.reduce((n, { doneBytes }) => n + doneBytes, 0),
    totalBytes: all.reduce((n, { totalBytes }) => n + totalBytes, 0),
  };
}

/** Runs that were reset and can be taken back, beside the one that is. */
const OLDER_RUNS = 2;

/** What can be taken back, newest first, without one of the runs, and no more than are kept. */
function undosWithout(undo: RunView['undo'], key: string, most = OLDER_RUNS): RunView['undo'] {
  if (undo === null || most === 0) return null;
  if (undo.run.key === key) return undosWithout(undo.older, key, most);
  return { ...undo, older: undosWithout(undo.older, key, most - 1) };
}

/** Of a log: how many lines it keeps, and how long they may be. */
const LINES = 20;
const LETTERS = 200;

/** The last of what a run's worker said, for whoever reports that it stopped. */
interface RunLog {
  add(event: TrainerEvent): void;
  /** Oldest first, each with the seconds since the log began. */
  lines(): readonly string[];
}

/** The report of an opened run is long, and says nothing of how it ends. */
const short = (event: TrainerEvent): object =>
  event.type === 'open' ? { type: event.type, device: event.report.device } : event;

/** @param now milliseconds */
function createLog(now: () => number): RunLog {
  const began = now();
  const kept: { readonly at: number; readonly event: object }[] = [];
  return {
    add(event) {
      kept.push({ at: now(), event: short(event) });
      if (kept.length > LINES) kept.shift();
    },
    lines: () =>
      kept.map(({ at, event }) =>
        `+${((at - began) / 1000).toFixed(1)} s ${JSON.stringify(event)}`.slice(0, LETTERS),
      ),
  };
}

export class Controller {
  private readonly settled: (() => void)[] = [];
  private readonly downloads = new Map<string, Download>();
  /** Of each run, by its key, the openings that lost their device. */
  private readonly losses = new Map<string, Set<number>>();
  private log: RunLog;
  private nextId: number;
  private savedAt = 0;
  private saving: Promise<void> | null = null;
  /** The worker is being asked to end the run. */
  private isLeaving = false;

  constructor(
    private readonly stores: Stores,
    private readonly trainer: Trainer,
    private readonly sessions: Sessions,
    private readonly tabs: Tabs,
    private readonly now: () => number = Date.now,
  ) {
    this.nextId = Math.floor(now() / 1000) % 256;
    this.log = createLog(now);
    // The other tab goes on from the last step of this one.
    tabs.onHandOver(async () => {
      const pausing = this.view.state === 'running' ? this.pauseRun() : this.save();
      await settlesWithin(pausing, PATIENCE_MS);
      this.show({ isKept: false });
    });
  }

  // ── What a person asks for; what goes wrong is shown. ──

  /** Starts, continues or pauses, whichever makes sense now. */
  toggle(): Promise<void> {
    return this.guarded(async () => {
      if (this.isBusy) return;
      if (this.view.state === 'running') return this.pauseRun();
      if (await this.isOpen()) await this.play();
    });
  }

  pause(): Promise<void> {
    return this.guarded(() => this.pauseRun());
  }

  step(): Promise<void> {
    return this.guarded(async () => {
      const { state } = this.view;
      if (this.isBusy || state === 'finished') return;
      if (state === 'running') return this.pauseRun();
      if (await this.isOpen()) await this.trainer.step();
    });
  }

  /** Ends the run; it stays in the comparison and can be taken back. */
  reset(): Promise<void> {
    return this.guarded(() => this.resetRun());
  }

  restart(): Promise<void> {
    return this.guarded(async () => {
      await this.resetRun();
      if (!this.isBusy && (await this.begin())) await this.play();
    });
  }

  undoReset(): Promise<void> {
    return this.guarded(async () => {
      const { undo } = this.view;
      if (undo === null || isLeft(this.stores, this.chosen(undo.run.settings, undo.request, undo.run.name)))
        return;
      this.stores.ui.setState({ notice: null });
      await this.resetRun();
      this.choose(undo.run.settings, undo.request, undo.run.name);
      await this.open(this.again(undo.run), undo.request, undo);
    });
  }

  resumeSaved(): Promise<void> {
    return this.guarded(() => this.openSaved());
  }

  /** Goes on from a checkpoint that was downloaded; the run that is open can be taken back. A file that cannot be read, is of another run, or that a lesson does not let in, changes nothing. */
  resumeFile(file: PickedFile): Promise<void> {
    return this.guarded(async () => {
      if (this.isBusy) return;
      const { choice, ui } = this.stores;
      const { bytes, step, ...report } = await this.trainer.readCheckpoint(file);
      const isGpu = ui.getState().gpu?.state === 'ready';
      const change = choiceFor({ bytes, step, ...report }, choice.getState(), isGpu);
      if (this.isBusy || isLeft(this.stores, change)) return;
      await this.requireGoesOn(runRequest(choiceAfter(choice.getState(), change)), bytes);
      if (this.isBusy || isLeft(this.stores, change)) return;
      await this.resetRun();
      choice.setState(change);
      const { settings } = choice.getState();
      const request = runRequest(choice.getState());
      await this.open(this.newRun(settings, nameIn(file.name)), request, { bytes, step });
    });
  }

  forgetSaved(): Promise<void> {
    return this.guarded(async () => {
      this.show({ saved: null, savedProblem: null });
      await this.sessions.clear();
    });
  }

  /** Takes over the run that another tab has, and goes on with it here. */
  takeOver(): Promise<void> {
    return this.guarded(async () => {
      if (this.view.current !== null) return;
      await this.tabs.takeOver();
      this.show({ saved: await this.sessions.load() });
      await this.openSaved();
    });
  }

  /** Keeps this run from now on, in the place of one that a closed tab left. */
  keepInstead(): Promise<void> {
    return this.guarded(async () => {
      if (!(await this.tabs.claim())) return;
      this.show({ saved: null, isKept: true });
      await this.save();
    });
  }

  /** Continues from the last update of a run that is paused or over, else from its newest checkpoint; if wanted with changed training settings. */
  resumeRun(change?: (settings: PageSettings) => PageSettings): Promise<void> {
    return this.resumeWith({}, change);
  }

  /** Goes on from its last step with what is chosen now, where that changes only what may change on the way. */
  goOn(): Promise<void> {
    return this.guarded(async () => {
      const { choice } = this.stores;
      if (this.isBusy || !canTakeUp(this.view, choice.getState())) return;
      if (this.view.state === 'running') await this.pauseRun();
      // It has trained on meanwhile, perhaps beyond the new end.
      if (canTakeUp(this.view, choice.getState()))
        await this.resumeWith({}, () => choice.getState().settings);
    });
  }

  /** The same on another engine. */
  resumeOn(engine: EngineName): Promise<void> {
    return this.resumeWith({ engine });
  }

  private resumeWith(
    on: Pick<RunRequest, 'engine'>,
    change?: (settings: PageSettings) => PageSettings,
  ): Promise<void> {
    return this.guarded(async () => {
      // Nothing is lost: it goes on from the last update, not from the last checkpoint of before.
      if (this.view.state === 'paused' || this.view.state === 'finished')
        await settlesWithin(
          Promise.resolve(this.saving).then(() => this.save()),
          PATIENCE_MS,
        );
      const { current, request, checkpoint } = this.view;
      if (current === null || request === null) return;
      const settings = change?.(current.settings) ?? current.settings;
      const isChanged = !sameValue(settings, current.settings);
      const left = { ...(isChanged ? { settings } : {}), ...on };
      if (isLeft(this.stores, left)) return;
      if (isChanged) this.stores.choice.setState({ settings });
      if (on.engine !== undefined) this.stores.choice.setState(on);
      const record = isChanged ? this.newRun(settings) : this.again(current);
      const { ownRate: _, ...rest } = request;
      const asked = { ...(isChanged ? { ...rest, ...trainingAsked(settings) } : request), ...on };
      if (await this.open(record, asked, checkpoint)) await this.play();
    });
  }

  /** Takes a checkpoint now and keeps it in the browser. */
  save(): Promise<void> {
    this.saving ??= this.takeCheckpoint().finally(() => {
      this.saving = null;
    });
    return this.saving;
  }

  /** Called after the run has opened, been evaluated, paused or ended. */
  onSettled(listener: () => void): void {
    this.settled.push(listener);
  }

  // ── What comes from the trainer. ──

  fail(error: unknown): void {
    // Who ended the worker has said so, or has left.
    if (isEnded(error)) return;
    const report = reportOf(error);
    const isCrash = report.details.crashed === true;
    const shown = isCrash ? { ...report, details: { ...report.details, log: this.log.lines() } } : report;
    this.stores.run.setState((s) => ({
      error: this.errorOf(shown, (isCrash || isFatal(report.kind)) && s.checkpoint !== null),
      busy: null,
      state: isCrash || isFatal(report.kind) ? 'failed' : s.state,
    }));
  }

  /** An error as it is shown. A device is lost once for each opening of a run, however many hear of it. */
  private errorOf(report: ErrorReport, canResume: boolean): NonNullable<RunView['error']> {
    const { current } = this.view;
    const lost = this.losses.get(current?.key ?? '') ?? new Set();
    if (report.kind === 'device-lost' && current !== null) this.losses.set(current.key, lost.add(current.id));
    return { report, canResume, losses: lost.size };
  }

  /** The worker was ended since it did not answer: the run goes on from what was kept, if anything was. */
  ended(message: string): void {
    const { current, request, open, checkpoint } = this.view;
    if (this.isLeaving || current === null) return;
    if (open === null) {
      this.layDown(current, request, checkpoint, message);
      return;
    }
    const kept = checkpoint === null ? '' : ` ${say`Step ${checkpoint.step} is kept.`}`;
    this.fail({ kind: 'internal', message: `${message}${kept}`, details: { crashed: true } });
  }

  /** The one way by which the state of a run becomes the page's. Of a run that was left nothing is heard any more. */
  private onEvent(record: RunRecord, event: TrainerEvent): void {
    if (!this.isCurrent(record)) return;
    this.log.add(event);
    switch (event.type) {
      case 'state':
        this.onState(event.state);
        break;
      case 'progress': {
        const { progress } = event;
        const shown = progress.clock === 'download' ? gathered(this.downloads, progress) : progress;
        this.show({ progress: { ...this.view.progress, [shown.clock]: shown } });
        break;
      }
      case 'open':
        this.onOpen(record, event.report);
        break;
      case 'step':
        record.series.add(event.metric);
        this.show({ submits: event.submits });
        if (
          event.metric.step % CHECKPOINT_EVERY_STEPS === 0 ||
          this.now() - this.savedAt > CHECKPOINT_EVERY_MS
        )
          void this.save();
        break;
      case 'eval':
        record.series.addEval(event.metric);
        this.emitSettled();
        break;
      case 'error':
        this.show({ error: this.errorOf(event.error, true) });
        break;
    }
  }

  private onState(state: RunView['state']): void {
    const { open } = this.view;
    this.show({ state: state === 'ready' && open !== null && open.resumedAt > 0 ? 'paused' : state });
    // Events come in their order: the last step has been heard of by now.
    if (state === 'finished' || state === 'paused') void this.settle();
  }

  /** A run that continues brings its curve. */
  private onOpen({ series }: RunRecord, open: OpenReport): void {
    for (const metric of open.history.steps) series.add(metric);
    for (const metric of open.history.evals) series.addEval(metric);
    const { checkpoint } = this.view;
    this.show({
      open,
      since: series.length,
      checkpoint: checkpoint && { ...checkpoint, step: open.resumedAt, at: this.now() },
    });
    this.emitSettled();
  }

  // ── Steps of both. ──

  private get view(): RunView {
    return this.stores.run.getState();
  }

  private show(change: Partial<RunView>): void {
    this.stores.run.setState(change);
  }

  private get isBusy(): boolean {
    return this.isLeaving || isOpening(this.view.state);
  }

  private isCurrent({ id }: RunRecord): boolean {
    return this.view.current?.id === id;
  }

  private emitSettled(): void {
    for (const listener of this.settled) listener();
  }

  private async guarded(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      const { open, state } = this.view;
      this.fail(error);
      if (open === null && state !== 'idle') this.show({ state: 'failed' });
    }
  }

  private newRun(settings: PageSettings, name?: string, key?: string): RunRecord {
    return newRun(this.nextId++, settings, freeLook(drawnRuns(this.view.runs)), name, key);
  }

  /** The same run anew, whose curve comes with its checkpoint, in the place of the old one. */
  private again(record: RunRecord): RunRecord {
    const { runs } = this.view;
    // The list knows what it came to since.
    const known = runs.find(({ key }) => key === record.key) ?? record;
    this.show({ runs: runs.filter(({ key }) => key !== record.key) });
    return { ...known, settings: record.settings, id: this.nextId++, series: createSeries() };
  }

  /** Chooses on the page what a run was asked for. */
  private choose(settings: PageSettings, request: RunRequest, name: string): void {
    this.stores.choice.setState(this.chosen(settings, request, name));
  }

  private chosen(settings: PageSettings, request: RunRequest, name: string) {
    return { settings, ...choicesOf(request, name, this.stores.choice.getState().inputs) };
  }

  private async begin(): Promise<boolean> {
    const state = this.stores.choice.getState();
    const request = runRequest(state);
    return this.open(this.newRun(state.settings), request);
  }

  /** Whether there is a run to go on with; one is begun where there is none. */
  private async isOpen(): Promise<boolean> {
    const { open, state } = this.view;
    return (open !== null && state !== 'failed') || this.begin();
  }

  /**
   * @param from the checkpoint that it goes on from
   * @returns whether it is still wanted once it is open
   */
  private async open(record: RunRecord, request: RunRequest, from: Saved | null = null): Promise<boolean> {
    const { runs, undo } = this.view;
    this.show({
      ...emptyRun,
      // What was reset before can be taken back while another run goes on.
      undo: undosWithout(undo, record.key, OLDER_RUNS + 1),
      current: record,
      request,
      checkpoint: from && { bytes: from.bytes, step: from.step, at: this.now() },
      runs: runs.some(({ id }) => id === record.id) ? runs : [...runs, record],
      state: 'loading',
    });
    this.savedAt = this.now();
    this.downloads.clear();
    this.log = createLog(this.now);
    this.show({ isKept: await this.tabs.claim() });
    if (!this.isCurrent(record)) return false;
    try {
      await this.trainer.open(request, (event) => this.onEvent(record, event), from?.bytes);
    } catch (error) {
      if (this.isCurrent(record)) throw error;
    }
    return this.isCurrent(record);
  }

  /** Before the run on screen makes room for it. */
  private async requireGoesOn(request: RunRequest, checkpoint: Uint8Array): Promise<void> {
    const { busy } = this.view;
    this.show({ busy: busy ?? say`checking the checkpoint` });
    await this.trainer.requireGoesOn(request, checkpoint).finally(() => this.show({ busy }));
  }

  private async openSaved(): Promise<void> {
    const { saved } = this.view;
    // Another tab may have been quicker.
    if (saved === null) return;
    const { settings, request, name, key, checkpoint: bytes, step } = saved;
    if (isLeft(this.stores, this.chosen(settings, request, name)) || !(await this.tabs.claim())) return;
    this.choose(settings, request, name);
    const record = this.again(this.newRun(settings, name, key));
    if (await this.open(record, request, { bytes, step })) this.show({ saved: null });
  }

  private async play(): Promise<void> {
    // At once: what a worker that hangs leaves unsaid is waited for on screen.
    this.show({ since: this.view.current?.series.length ?? 0, error: null, state: 'running' });
    await this.trainer.play();
  }

  private async pauseRun(): Promise<void> {
    const { busy } = this.view;
    this.show({ busy: busy ?? say`pausing` });
    await this.trainer.pause();
    await this.settle();
    this.show({ busy });
  }

  private async settle(): Promise<void> {
    await this.save();
    this.emitSettled();
  }

  private async takeCheckpoint(): Promise<void> {
    const { current, request, open } = this.view;
    if (current === null || request === null || open === null || current.series.length === 0) return;
    this.savedAt = this.now();
    try {
      const bytes = await this.trainer.checkpoint();
      const { name, key, settings, series } = current;
      const step = series.column('step').at(-1)!;
      if (!this.isCurrent(current)) return;
      this.show({ checkpoint: { bytes, step, at: this.now() } });
      if (!this.tabs.mayKeep) return;
      const { totalSteps } = open;
      const savedAt = this.now();
      await this.sessions.save({
        ...{ name, key, step, totalSteps, savedAt, settings, request },
        checkpoint: bytes,
      });
      this.tabs.emit({
        name,
        key,
        step,
        totalSteps,
        settings,
        steps: metricsOf(series),
        evals: series.evals,
      });
    } catch (error) {
      // Training goes on without a checkpoint; only a full browser is worth a word.
      if (error instanceof PapilioError && error.kind === 'quota') this.fail(error);
    }
  }

  private async resetRun(): Promise<void> {
    const { current, request, open, state } = this.view;
    if (current === null || this.isLeaving) return;
    this.isLeaving = true;
    this.show({ busy: say`resetting` });
    const takesCheckpoint = open !== null && current.series.length > 0 && state !== 'failed';
    const bytes = await this.trainer
      .leave({ isRunning: state === 'running', takesCheckpoint })
      .finally(() => {
        this.isLeaving = false;
      });
    const step = current.series.column('step').at(-1) ?? 0;
    const saved = bytes === null ? this.view.checkpoint : { bytes, step };
    const isSilent = bytes === null && takesCheckpoint;
    this.layDown(
      current,
      request,
      saved,
      isSilent
        ? say`${current.name} did not answer and was ended; step ${saved?.step ?? 0} of it is kept.`
        : say`${current.name} was reset at step ${saved?.step ?? 0}.`,
    );
  }

  /** No run is left; what was saved of it can be taken back. */
  private layDown(run: RunRecord, request: RunRequest | null, saved: Saved | null, notice: string): void {
    const older = undosWithout(this.view.undo, run.key);
    const undo = saved && request && { ...saved, run, request, notice, older };
    this.tabs.release();
    this.show({ ...emptyRun, undo: undo ?? older });
    if (undo) this.stores.ui.setState({ notice });
  }
}
