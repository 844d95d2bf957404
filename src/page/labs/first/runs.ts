/**
 * The runs of the lab, by the trainer of the main page in a worker of its own: the head alone and an adapter, one at a time, of which the curves stay. Whoever
 * leaves the lab ends the worker, and with it the run and what it holds of the device.
 */
import { createStore } from 'zustand/vanilla';
import { type ErrorReport, isEnded, say } from '../../../common.ts';
import {
  type DataPreview,
  type EvalMetric,
  type ImageBeforeAfter,
  type MergeReport,
  type ModelReport,
  type OpenReport,
  type ParityReport,
  type Progress,
  type RunRequest,
  type RunState,
  type StepMetric,
  type TrainerEvent,
  trainingSchema,
} from '../../../protocol.ts';
import { checkMerged, createChecker } from '../../features/merge/merging.ts';
import type { InferenceClient } from '../../inferenceClient.ts';
import { isOpening } from '../../stores.ts';
import { reportOf } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { firstData, firstModel, type Which } from './setup.ts';

/** Held-out letters that both runs are asked about: the same for the same seed. */
const ASKED = { seed: 5, examples: 8 } as const;

export interface FirstRun {
  readonly request: RunRequest;
  readonly open: OpenReport | null;
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
  /** What it says of the asked letters, once it has ended or been paused. */
  readonly answers: ImageBeforeAfter | null;
}

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
  /** The run that the trainer has, or had last. */
  readonly which: Which | null;
  readonly runs: Readonly<Partial<Record<Which, FirstRun>>>;
  readonly progress: Progress | null;
  /** What went wrong last, and for what. */
  readonly problem: ErrorReport | null;
  /** What the trainer is asked besides training. */
  readonly busy: string | null;
  readonly file: FirstFile | null;
}

const nothing: FirstView = {
  ...{ preview: null, model: null, state: 'idle', which: null, runs: {}, progress: null },
  ...{ problem: null, busy: null, file: null },
};

type Trainer = Pick<
  TrainerClient,
  | 'describe'
  | 'preview'
  | 'open'
  | 'play'
  | 'pause'
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

  /** Trains from the start; the run of before is left once it has said what it was asked. */
  async train(which: Which, request: RunRequest): Promise<void> {
    const mine = {};
    this.wanted = mine;
    this.checker.stop();
    const { runs } = this.view.getState();
    const run: FirstRun = { request, open: null, steps: [], evals: [], answers: null };
    this.show({
      ...{ runs: { ...runs, [which]: run }, which, state: 'loading' },
      ...{ progress: null, problem: null, busy: null, file: null },
    });
    await this.asking;
    if (mine !== this.wanted) return;
    try {
      await this.trainer.open(request, (event) => {
        if (mine === this.wanted) this.heard(which, event);
      });
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

  resume(): Promise<void> {
    return this.guarded(async () => {
      this.show({ problem: null, file: null, state: 'running' });
      await this.trainer.play();
    });
  }

  /** Ends the run; its curve stays. */
  async stop(): Promise<void> {
    const { state } = this.view.getState();
    this.wanted = {};
    this.checker.stop();
    this.show({ state: 'idle', progress: null, busy: null });
    const isRunning = state === 'running' || isOpening(state);
    await this.trainer
      .leave({ isRunning, takesCheckpoint: false })
      .catch((error: unknown) => this.failed(error));
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
    const { which } = this.view.getState();
    this.show({
      problem: { kind: 'internal', message, details: {} },
      ...{ state: which === null ? 'idle' : 'failed', busy: null, progress: null, file: null },
    });
  }

  private change(which: Which, with_: (run: FirstRun) => Partial<FirstRun>): void {
    const { runs } = this.view.getState();
    const run = runs[which];
    if (run !== undefined) this.show({ runs: { ...runs, [which]: { ...run, ...with_(run) } } });
  }

  /** The same letters asked of the run as it is now. */
  private async ask(which: Which): Promise<void> {
    const request = this.view.getState().runs[which]?.request;
    const { value } = await this.trainer.beforeAfter(ASKED);
    const isSame = this.view.getState().runs[which]?.request === request;
    if (isSame && value.kind === 'image') this.change(which, () => ({ answers: value }));
  }

  private heard(which: Which, event: TrainerEvent): void {
    switch (event.type) {
      case 'state':
        this.show({ state: event.state });
        if (event.state === 'finished' || event.state === 'paused') {
          this.show({ progress: null });
          this.asking = this.guarded(() => this.ask(which));
        }
        break;
      case 'progress':
        this.show({ progress: event.progress });
        break;
      case 'open':
        this.change(which, () => ({ open: event.report }));
        break;
      case 'step':
        this.change(which, ({ steps }) => ({ steps: [...steps, event.metric] }));
        break;
      case 'eval':
        this.change(which, ({ evals }) => ({ evals: [...evals, event.metric] }));
        break;
      case 'error':
        this.show({ problem: event.error });
    }
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
