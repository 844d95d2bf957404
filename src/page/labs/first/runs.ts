/**
 * The runs of the lab, by the trainer of the main page in a worker of its own: the head alone and adapters, one at a time, of which the curves stay. One that
 * is paused goes on where it was, also after another. Whoever leaves the lab ends the worker, and with it the run and what it holds of the device.
 */
import { createStore } from 'zustand/vanilla';
import { type ErrorReport, isEnded, say } from '../../../common.ts';
import {
  type DataPreview,
  type MergeReport,
  type ModelReport,
  type OpenReport,
  type ParityReport,
  type Progress,
  type RunRequest,
  type RunState,
  type TrainerEvent,
  trainingSchema,
} from '../../../protocol.ts';
import { checkMerged, createChecker } from '../../features/merge/merging.ts';
import type { InferenceClient } from '../../inferenceClient.ts';
import { isOpening } from '../../stores.ts';
import { reportOf } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { begun, type FirstRun, type FirstRunList, keyOf } from './runList.ts';
import { firstData, firstModel, type Which } from './setup.ts';

/** Held-out letters that all runs are asked about: the same for the same seed. */
const ASKED = { seed: 5, examples: 8 } as const;

export interface FirstFile {
  readonly merged: MergeReport;
  /** Null while onnxruntime is still asked. */
  readonly parity: ParityReport | null;
}

export interface FirstView {
  /** The model and some letters; null while they are read. */
  readonly preview: DataPreview | null;
  readonly model: ModelReport | null;
  readonly state: RunState;
  readonly runs: FirstRunList;
  /** By its key, the run that the trainer has, or had last: `state` is its. */
  readonly current: string | null;
  readonly progress: Progress | null;
  /** What went wrong last, and for what. */
  readonly problem: ErrorReport | null;
  /** What the trainer is asked besides training. */
  readonly busy: string | null;
  readonly file: FirstFile | null;
}

const nothing: FirstView = {
  ...{ preview: null, model: null, state: 'idle', runs: [], current: null, progress: null },
  ...{ problem: null, busy: null, file: null },
};

/** The run that the trainer has, or had last. */
export const currentOf = ({ runs, current }: FirstView): FirstRun | undefined =>
  runs.find((run) => keyOf(run) === current);

type Trainer = Pick<
  TrainerClient,
  | 'describe'
  | 'preview'
  | 'open'
  | 'play'
  | 'pause'
  | 'checkpoint'
  | 'leave'
  | 'beforeAfter'
  | 'classify'
  | 'merge'
  | 'paritySamples'
  | 'parityFile'
  | 'onCrash'
  | 'onEnd'
  | 'end'
>;

/** What can be done in the lab with its runs; what goes wrong is a sentence in `view`. */
export class FirstRuns {
  readonly view = createStore<FirstView>(() => nothing);
  private readonly trainer: Trainer;
  private readonly checker: ReturnType<typeof createChecker>;
  /** Of the run that is wanted; what comes of another is dropped. */
  private wanted = {};
  /** What is asked of the run of before; the trainer has one run, and the next would break it off. */
  private asking: Promise<void> = Promise.resolve();
  private readonly begun: Record<Which, number> = { head: 0, adapter: 0 };
  private isGone = false;

  constructor(trainer: Trainer, inference: () => Promise<InferenceClient>) {
    this.trainer = trainer;
    this.checker = createChecker(inference);
    const broke = (message: string) => this.broke(message);
    trainer.onCrash(broke);
    trainer.onEnd(broke);
  }

  /** Reads the model and the letters. */
  look(): Promise<void> {
    return this.guarded(async () => {
      this.show({ problem: null });
      const model = await this.trainer.describe(firstModel);
      const preview = await this.trainer.preview(firstModel, firstData, trainingSchema.parse({}));
      if (!this.isGone) this.show({ model, preview });
    });
  }

  /** Trains from the start. */
  train(which: Which, request: RunRequest): Promise<void> {
    const nth = this.begun[which]++;
    return this.open({
      ...{ which, nth, request, open: null, steps: [], evals: [], answers: null, paused: null },
    });
  }

  /** Goes on with a run that was paused, whatever came after it. */
  async goOn(run: FirstRun): Promise<void> {
    const { state, current } = this.view.getState();
    if (current !== keyOf(run) || state !== 'paused') return this.open(run);
    await this.guarded(async () => {
      this.show({ problem: null, file: null, state: 'running' });
      await this.trainer.play();
    });
  }

  /** The run of before is left once it has said what it was asked. */
  private async open(run: FirstRun): Promise<void> {
    const mine = {};
    this.wanted = mine;
    this.checker.stop();
    const key = keyOf(run);
    const others = this.view.getState().runs.filter((one) => keyOf(one) !== key);
    this.show({
      ...{ runs: begun(others, run), current: key, state: 'loading' },
      ...{ progress: null, problem: null, busy: null, file: null },
    });
    await this.asking;
    if (mine !== this.wanted) return;
    const heard = (event: TrainerEvent) => {
      if (mine === this.wanted) this.heard(key, event);
    };
    try {
      await this.trainer.open(run.request, heard, ...(run.paused === null ? [] : [run.paused]));
      if (mine === this.wanted) await this.trainer.play();
    } catch (error) {
      if (mine !== this.wanted) return;
      this.failed(error);
      this.show({ state: 'failed', progress: null });
    }
  }

  pause(): Promise<void> {
    return this.guarded(() => this.trainer.pause());
  }

  /** Ends the run; its curve stays. */
  async stop(): Promise<void> {
    const { state, current } = this.view.getState();
    this.wanted = {};
    this.checker.stop();
    if (current !== null) this.change(current, () => ({ paused: null }));
    this.show({ state: 'idle', progress: null, busy: null });
    const isRunning = state === 'running' || isOpening(state);
    await this.trainer
      .leave({ isRunning, takesCheckpoint: false })
      .catch((error: unknown) => this.failed(error));
  }

  /** Takes a run off the list that is not the trainer's. */
  remove(run: FirstRun): void {
    const { runs } = this.view.getState();
    this.show({ runs: runs.filter((one) => keyOf(one) !== keyOf(run)) });
  }

  /** What both models say of a drawing, 0 … 1; null where there is no answer. */
  async classify(pixels: Float32Array) {
    try {
      return await this.trainer.classify(pixels);
    } catch (error) {
      this.failed(error);
      return null;
    }
  }

  /** Writes the merged file and has onnxruntime check it. */
  merge(): Promise<void> {
    return this.guarded(async () => {
      const mine = this.wanted;
      this.show({ busy: say`Merging`, problem: null, file: null });
      const merged = await this.trainer.merge();
      if (mine !== this.wanted) return;
      this.show({ file: { merged, parity: null }, busy: say`Running the merged file in onnxruntime` });
      const parity = await checkMerged(this.trainer, this.checker.open, 'run', merged, 'requantise');
      this.checker.done();
      if (mine === this.wanted) this.show({ file: { merged, parity }, busy: null });
    });
  }

  /** The lab is left: nothing of it computes on. */
  leave(): void {
    this.isGone = true;
    this.wanted = {};
    this.checker.stop();
    this.trainer.end();
  }

  private show(change: Partial<FirstView>): void {
    this.view.setState(change);
  }

  private failed(error: unknown): void {
    // Whoever left it knows.
    if (this.isGone || isEnded(error)) return;
    const { file } = this.view.getState();
    // What was not seen to compute what was trained is not offered.
    this.show({ problem: reportOf(error), busy: null, file: file?.parity ? file : null });
  }

  /** The worker is gone, and with it the run. */
  private broke(message: string): void {
    if (this.isGone) return;
    this.wanted = {};
    const { current } = this.view.getState();
    this.show({
      problem: { kind: 'internal', message, details: {} },
      ...{ state: current === null ? 'idle' : 'failed', busy: null, progress: null, file: null },
    });
  }

  private change(key: string, with_: (run: FirstRun) => Partial<FirstRun>): void {
    const { runs } = this.view.getState();
    this.show({ runs: runs.map((run) => (keyOf(run) === key ? { ...run, ...with_(run) } : run)) });
  }

  /** Before another run may come: what this one goes on from, and what it says of the letters as it is now. */
  private async ask(key: string, canGoOn: boolean): Promise<void> {
    const paused = canGoOn ? await this.trainer.checkpoint() : null;
    this.change(key, () => ({ paused }));
    const { value } = await this.trainer.beforeAfter(ASKED);
    if (value.kind === 'image') this.change(key, () => ({ answers: value }));
  }

  private heard(key: string, event: TrainerEvent): void {
    switch (event.type) {
      case 'state':
        this.show({ state: event.state });
        if (event.state === 'finished' || event.state === 'paused') {
          this.show({ progress: null });
          this.asking = this.guarded(() => this.ask(key, event.state === 'paused'));
        }
        break;
      case 'progress':
        this.show({ progress: event.progress });
        break;
      case 'open':
        this.opened(key, event.report);
        break;
      case 'step':
        this.change(key, ({ steps }) => ({ steps: [...steps, event.metric] }));
        break;
      case 'eval':
        this.change(key, ({ evals }) => ({ evals: [...evals, event.metric] }));
        break;
      case 'error':
        this.show({ problem: event.error });
    }
  }

  /** What goes on has its curve as far as it was paused. */
  private opened(key: string, report: OpenReport): void {
    const { steps, evals } = report.history;
    this.change(key, () => ({ open: report, ...(report.resumedAt > 0 ? { steps, evals } : {}) }));
  }

  /** What goes wrong is shown, unless another run has come meanwhile. */
  private async guarded(task: () => Promise<void>): Promise<void> {
    const mine = this.wanted;
    try {
      await task();
    } catch (error) {
      if (mine === this.wanted) this.failed(error);
    }
  }
}
