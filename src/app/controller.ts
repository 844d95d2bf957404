/**
 * What the page can do with a run: start, pause, step, reset and take it back, keep checkpoints, resume. One object over the stores and
 * a trainer, so that it is tested with a trainer made for the purpose.
 */
import { asPapilioError, isFatal, PapilioError } from '../lib/errors.ts';
import { isEnded, PATIENCE_MS, settlesWithin } from '../lib/workers.ts';
import type { OpenReport, Progress, RunRequest, TrainerEvent } from '../training/protocol.ts';
import { choicesOf, runRequest } from './request.ts';
import { addRun, freeLook, newRun, type RunRecord } from './runs.ts';
import { createSeries, metricsOf } from './series.ts';
import type { Sessions } from './sessions.ts';
import { type PageSettings, sameValue } from './settings.ts';
import { emptyRun, type RunView, type Stores } from './stores.ts';
import type { Tabs } from './tabs.ts';
import type { TrainerClient } from './trainerClient.ts';

const CHECKPOINT_EVERY_MS = 20_000;
const CHECKPOINT_EVERY_STEPS = 100;

export interface Controller {
  /** Starts, continues or pauses, whichever makes sense now. */
  toggle(): Promise<void>;
  pause(): Promise<void>;
  step(): Promise<void>;
  /** Ends the run; it stays in the comparison and can be taken back. */
  reset(): Promise<void>;
  restart(): Promise<void>;
  undoReset(): Promise<void>;
  resumeSaved(): Promise<void>;
  forgetSaved(): Promise<void>;
  /** Takes over the run that another tab holds, and goes on with it here. */
  takeOver(): Promise<void>;
  /** Keeps this run from now on, in the place of one that a closed tab left. */
  keepInstead(): Promise<void>;
  /** Continues from the last update of a paused run, else from its newest checkpoint; if wanted with changed training settings. */
  resumeRun(change?: (settings: PageSettings) => PageSettings): Promise<void>;
  /** Takes a checkpoint now and keeps it in the browser. */
  save(): Promise<void>;
  fail(error: unknown, canResume?: boolean): void;
  /** The worker was ended since it did not answer: the run goes on from what was kept, if anything was. */
  ended(message: string): void;
  /** Called after the run has opened, been evaluated, paused or ended. */
  onSettled(listener: () => void): void;
}

type Kept = Pick<NonNullable<RunView['checkpoint']>, 'bytes' | 'step'>;

export function createController(
  { choice, run, ui }: Stores,
  trainer: Pick<TrainerClient, 'open' | 'play' | 'pause' | 'step' | 'checkpoint' | 'leave'>,
  sessions: Sessions,
  tabs: Tabs,
  now: () => number = Date.now,
): Controller {
  const settled: (() => void)[] = [];
  let nextId = Math.floor(now() / 1000) % 256;
  const downloads = new Map<string, Progress & { readonly clock: 'download' }>();
  let savedAt = 0;
  let saving: Promise<void> | null = null;
  /** The worker is being asked to end the run. */
  let isLeaving = false;
  const tell = () => {
    for (const listener of settled) listener();
  };

  /** Downloads of a run as one: bytes of all its files so far. */
  function gather(progress: Progress): Progress {
    if (progress.clock !== 'download') return progress;
    downloads.set(progress.what, progress);
    const all = [...downloads.values()];
    return {
      clock: 'download',
      doneBytes: all.reduce((n, { doneBytes }) => n + doneBytes, 0),
      totalBytes: all.reduce((n, { totalBytes }) => n + totalBytes, 0),
      what: progress.what,
    };
  }

  function fail(error: unknown, canResume = false): void {
    // Who ended the worker has said so, or has left.
    if (isEnded(error)) return;
    const { kind, message, details } = asPapilioError(error);
    const report = { kind, message, details };
    run.setState((s) => ({
      error: { report, canResume: canResume || (details.crashed === true && s.checkpoint !== null) },
      busy: null,
      state: details.crashed === true || isFatal(kind) ? 'failed' : s.state,
    }));
  }

  const isCurrent = ({ id }: RunRecord): boolean => run.getState().current?.id === id;

  /** The one way by which the state of a run becomes the page's. Of a run that was left nothing is heard any more. */
  function onEvent(record: RunRecord, event: TrainerEvent): void {
    if (!isCurrent(record)) return;
    switch (event.type) {
      case 'state':
        run.setState(({ open: report }) => ({
          state: event.state === 'ready' && report !== null && report.resumedAt > 0 ? 'paused' : event.state,
        }));
        // Events come in their order: the last step has been heard of by now.
        if (event.state === 'finished' || event.state === 'paused') void still();
        break;
      case 'progress':
        run.setState((s) => ({
          progress: { ...s.progress, [event.progress.clock]: gather(event.progress) },
        }));
        break;
      case 'open':
        onOpen(record, event.report);
        break;
      case 'step':
        record.series.add(event.metric);
        run.setState({ submits: event.submits });
        if (event.metric.step % CHECKPOINT_EVERY_STEPS === 0 || now() - savedAt > CHECKPOINT_EVERY_MS)
          void save();
        break;
      case 'eval':
        record.series.addEval(event.metric);
        tell();
        break;
      case 'error':
        run.setState({ error: { report: event.error, canResume: true } });
        break;
    }
  }

  /** A run that continues brings its curve. */
  function onOpen({ series }: RunRecord, report: OpenReport): void {
    for (const metric of report.history.steps) series.add(metric);
    for (const metric of report.history.evals) series.addEval(metric);
    run.setState(({ checkpoint }) => ({
      open: report,
      since: series.length,
      checkpoint: checkpoint && { ...checkpoint, step: report.resumedAt, at: now() },
    }));
    tell();
  }

  /**
   * @param from the checkpoint that it goes on from
   * @returns whether it is still wanted once it is open
   */
  async function open(record: RunRecord, request: RunRequest, from: Kept | null = null): Promise<boolean> {
    const { runs } = run.getState();
    run.setState({
      ...emptyRun,
      current: record,
      request,
      checkpoint: from && { ...from, at: now() },
      runs: runs.some(({ id }) => id === record.id) ? runs : addRun(runs, record),
      state: 'loading',
    });
    savedAt = now();
    downloads.clear();
    run.setState({ isKept: await tabs.claim() });
    if (!isCurrent(record)) return false;
    try {
      await trainer.open(request, (event) => onEvent(record, event), from?.bytes);
    } catch (error) {
      if (isCurrent(record)) throw error;
    }
    return isCurrent(record);
  }

  const look = () => freeLook(run.getState().runs);

  async function begin(): Promise<boolean> {
    const state = choice.getState();
    const request = runRequest(state);
    return open(newRun(nextId++, state.settings, look()), request);
  }

  /** The same run anew, whose curve comes with its checkpoint, in the place of the old one. */
  function again(record: RunRecord): RunRecord {
    run.setState((s) => ({ runs: s.runs.filter(({ id }) => id !== record.id) }));
    return { ...record, id: nextId++, series: createSeries() };
  }

  async function play(): Promise<void> {
    run.setState((s) => ({ since: s.current?.series.length ?? 0, error: null }));
    await trainer.play();
  }

  async function still(): Promise<void> {
    await save();
    tell();
  }

  function save(): Promise<void> {
    saving ??= keep().finally(() => {
      saving = null;
    });
    return saving;
  }

  async function keep(): Promise<void> {
    const { current, request, open: report } = run.getState();
    if (current === null || request === null || report === null || current.series.length === 0) return;
    savedAt = now();
    try {
      const bytes = await trainer.checkpoint();
      const step = current.series.column('step').at(-1)!;
      if (run.getState().current?.id !== current.id) return;
      run.setState({ checkpoint: { bytes, step, at: now() } });
      if (!tabs.mayKeep) return;
      await sessions.save({
        name: current.name,
        step,
        totalSteps: report.totalSteps,
        savedAt: now(),
        settings: current.settings,
        request,
        checkpoint: bytes,
      });
      const { name, settings, series } = current;
      const { totalSteps } = report;
      tabs.tell({ name, step, totalSteps, settings, steps: metricsOf(series), evals: series.evals });
    } catch (error) {
      // Training goes on without a checkpoint; only a full browser is worth a word.
      if (error instanceof PapilioError && error.kind === 'quota') fail(error);
    }
  }

  const guarded =
    (task: () => Promise<void>): (() => Promise<void>) =>
    async () => {
      try {
        await task();
      } catch (error) {
        const { open: report, state } = run.getState();
        fail(error);
        if (report === null && state !== 'idle') run.setState({ state: 'failed' });
      }
    };

  async function pause(): Promise<void> {
    const { busy } = run.getState();
    run.setState({ busy: busy ?? 'pausing' });
    await trainer.pause();
    await still();
    run.setState({ busy });
  }

  const isBusy = () => isLeaving || ['loading', 'compiling'].includes(run.getState().state);

  /** No run is left; what is kept of it can be taken back. */
  function layDown(current: RunRecord, request: RunRequest | null, kept: Kept | null, notice: string): void {
    const canUndo = kept !== null && request !== null;
    tabs.release();
    run.setState({ ...emptyRun, undo: canUndo ? { run: current, request, ...kept } : null });
    if (canUndo) ui.setState({ notice });
  }

  async function reset(): Promise<void> {
    const { current, request, open: report, state } = run.getState();
    if (current === null || isLeaving) return;
    isLeaving = true;
    run.setState({ busy: 'resetting' });
    const takesCheckpoint = report !== null && current.series.length > 0 && state !== 'failed';
    const bytes = await trainer.leave({ isRunning: state === 'running', takesCheckpoint }).finally(() => {
      isLeaving = false;
    });
    const step = current.series.column('step').at(-1) ?? 0;
    const kept = bytes === null ? run.getState().checkpoint : { bytes, step };
    layDown(
      current,
      request,
      kept,
      bytes === null && takesCheckpoint
        ? `${current.name} did not answer and was ended; step ${kept?.step} of it is kept.`
        : `${current.name} was reset at step ${kept?.step}.`,
    );
  }

  function ended(message: string): void {
    const { current, request, open: report, checkpoint } = run.getState();
    if (isLeaving || current === null) return;
    if (report === null) layDown(current, request, checkpoint, message);
    else
      fail({
        kind: 'internal',
        message: `${message}${checkpoint === null ? '' : ` Step ${checkpoint.step} is kept.`}`,
        details: { crashed: true },
      });
  }

  async function resumeRun(change?: (settings: PageSettings) => PageSettings): Promise<void> {
    // Nothing is lost: it goes on from the last update, not from the last checkpoint of before.
    if (run.getState().state === 'paused')
      await settlesWithin(Promise.resolve(saving).then(save), PATIENCE_MS);
    const { current, request, checkpoint } = run.getState();
    if (current === null || request === null) return;
    const settings = change?.(current.settings) ?? current.settings;
    const isChanged = !sameValue(settings, current.settings);
    if (isChanged) choice.setState({ settings });
    const record = isChanged ? newRun(nextId++, settings, look()) : again(current);
    if (await open(record, { ...request, training: settings.training }, checkpoint)) await play();
  }

  async function resumeSaved(): Promise<void> {
    const { saved } = run.getState();
    // Another tab may have been quicker.
    if (saved === null || !(await tabs.claim())) return;
    choice.setState({ settings: saved.settings, ...choicesOf(saved.request, saved.name) });
    const from = { bytes: saved.checkpoint, step: saved.step };
    if (await open(newRun(nextId++, saved.settings, look(), saved.name), saved.request, from))
      run.setState({ saved: null });
  }

  // The other tab goes on from the last step of this one.
  tabs.onHandOver(async () => {
    const pausing = run.getState().state === 'running' ? pause() : save();
    await settlesWithin(pausing, PATIENCE_MS);
    run.setState({ isKept: false });
  });

  return {
    fail,
    ended,
    save,
    onSettled: (listener) => {
      settled.push(listener);
    },
    toggle: guarded(async () => {
      const { state, open: report } = run.getState();
      if (isBusy()) return;
      if (state === 'running') return pause();
      if ((report === null || state === 'failed') && !(await begin())) return;
      await play();
    }),
    pause: guarded(pause),
    step: guarded(async () => {
      const { state, open: report } = run.getState();
      if (isBusy() || state === 'finished') return;
      if (state === 'running') return pause();
      if ((report === null || state === 'failed') && !(await begin())) return;
      await trainer.step();
    }),
    reset: guarded(reset),
    restart: guarded(async () => {
      await reset();
      if (!isBusy() && (await begin())) await play();
    }),
    undoReset: guarded(async () => {
      const { undo } = run.getState();
      if (undo === null) return;
      ui.setState({ notice: null });
      choice.setState({ settings: undo.run.settings, ...choicesOf(undo.request, undo.run.name) });
      await open(again(undo.run), undo.request, undo);
    }),
    resumeSaved: guarded(resumeSaved),
    takeOver: guarded(async () => {
      if (run.getState().current !== null) return;
      await tabs.takeOver();
      run.setState({ saved: await sessions.load() });
      await resumeSaved();
    }),
    keepInstead: guarded(async () => {
      if (!(await tabs.claim())) return;
      run.setState({ saved: null, isKept: true });
      await save();
    }),
    forgetSaved: guarded(async () => {
      run.setState({ saved: null, savedProblem: null });
      await sessions.clear();
    }),
    resumeRun: (change) => guarded(() => resumeRun(change))(),
  };
}
