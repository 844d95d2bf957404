/** Takes an engine through the updates of a run under control of play and pause, keeps the curve, and stops at numbers that are none. */
import { PapilioError } from '../lib/errors.ts';
import type { Lock } from '../lib/lock.ts';
import type { BatchPlan, FullBatch } from './batchPlan.ts';
import type { Engine, StepResult } from './engine.ts';
import type { EvalMetric, StepMetric } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';

export interface LoopEvents {
  onStep(metric: StepMetric): void;
  onEval(metric: EvalMetric): void;
  /** The run stopped by itself: the end, or an error. */
  onEnd(error: PapilioError | null): void;
}

export interface LoopOptions {
  readonly engine: Engine;
  readonly batches: BatchPlan;
  readonly settings: TrainingSettings;
  /** Held while an update is submitted, so that others see all states at one and the same update. */
  readonly lock: Lock;
  readonly evaluate: (step: number) => Promise<EvalMetric>;
  readonly events: LoopEvents;
  /** Where a resumed run goes on. */
  readonly start: {
    readonly step: number;
    readonly seconds: number;
    readonly steps: readonly StepMetric[];
    readonly evals: readonly EvalMetric[];
  };
}

export interface Loop {
  /** Runs at most `count` updates. Resolves when the last has been heard of; rejects with what stopped it. */
  play(count?: number): Promise<void>;
  /** Resolves when the steps in flight (at most two) have ended. */
  pause(): Promise<void>;
  readonly isRunning: () => boolean;
  /** The next update, and seconds of training so far. */
  readonly position: () => { readonly step: number; readonly seconds: number };
  readonly history: { readonly steps: readonly StepMetric[]; readonly evals: EvalMetric[] };
}

/** What an update that was submitted holds: filled-up rows and padding are no examples and no tokens. */
interface Counts {
  readonly examples: number;
  readonly tokens: number;
}

const NOTHING: Counts = { examples: 0, tokens: 0 };

const countsOf = (batches: readonly FullBatch[]): Counts => ({
  examples: batches.reduce((n, b) => n + b.count, 0),
  tokens: batches.reduce((n, b) => n + b.tokens, 0),
});

const diverged = ({ step, loss, learningRate }: StepResult): PapilioError =>
  new PapilioError(
    'non-finite',
    `The ${Number.isFinite(loss) ? 'gradient' : 'loss'} became infinite or not a number at step ${step + 1}, and that update was left out: the weights are those from before it; lower the learning rate (${learningRate.toPrecision(2)} now) or clip at 1, and go on.`,
    { step },
  );

export function createLoop(options: LoopOptions): Loop {
  return new UpdateLoop(options);
}

class UpdateLoop implements Loop {
  readonly history: { readonly steps: StepMetric[]; readonly evals: EvalMetric[] };
  private readonly options: LoopOptions;
  private readonly inFlight = new Map<number, Counts>();
  private next: number;
  private seconds: number;
  private startedMs = 0;
  private running: Promise<void> | null = null;
  private stopping = false;
  private failure: PapilioError | null = null;

  constructor(options: LoopOptions) {
    this.options = options;
    const { step, seconds, steps, evals } = options.start;
    this.next = step;
    this.seconds = seconds;
    this.history = { steps: [...steps], evals: [...evals] };
    options.engine.onResult((result) => this.onResult(result));
  }

  readonly play = (count = Number.POSITIVE_INFINITY): Promise<void> => {
    if (this.running) return this.running;
    this.stopping = false;
    this.running = this.runUntil(Math.min(this.options.batches.totalSteps, this.next + count));
    return this.running;
  };

  readonly pause = async (): Promise<void> => {
    this.stopping = true;
    await this.running?.catch(() => {});
  };

  readonly isRunning = (): boolean => this.running !== null;

  readonly position = () => ({ step: this.next, seconds: this.elapsed() });

  private elapsed(): number {
    return this.seconds + (this.running ? (performance.now() - this.startedMs) / 1000 : 0);
  }

  private onResult(result: StepResult): void {
    if (this.failure) return;
    const { step, loss, gradNorm, learningRate } = result;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      this.failure = diverged(result);
      return;
    }
    const { steps } = this.history;
    const before = steps.at(-1) ?? NOTHING;
    const own = this.inFlight.get(step) ?? NOTHING;
    this.inFlight.delete(step);
    const metric: StepMetric = {
      step: step + 1,
      loss,
      learningRate,
      gradNorm,
      examples: before.examples + own.examples,
      tokens: before.tokens + own.tokens,
      seconds: this.elapsed(),
    };
    steps.push(metric);
    this.options.events.onStep(metric);
  }

  private async evaluate(): Promise<void> {
    const { engine, lock, evaluate, events } = this.options;
    await engine.settle();
    if (this.failure) return;
    // Evaluations do not count as training time.
    this.seconds = this.elapsed();
    const metric = await lock(() => evaluate(this.next));
    this.history.evals.push(metric);
    events.onEval(metric);
    this.startedMs = performance.now();
  }

  private async update(): Promise<void> {
    const { engine, batches, settings, lock } = this.options;
    const batch = batches.update(this.next);
    this.inFlight.set(this.next, countsOf(batch));
    await lock(async () => {
      await engine.train(this.next, batch);
      this.next++;
    });
    const isDue = settings.evalEvery > 0 && this.next % settings.evalEvery === 0;
    if (isDue || this.next === batches.totalSteps) await this.evaluate();
  }

  private async runUntil(until: number): Promise<void> {
    const { engine, events, batches } = this.options;
    this.startedMs = performance.now();
    try {
      while (this.next < until && !this.stopping && !this.failure) await this.update();
      await engine.settle();
    } catch (error) {
      this.failure ??= error instanceof PapilioError ? error : new PapilioError('internal', String(error));
    }
    this.seconds = this.elapsed();
    this.running = null;
    const error = this.failure;
    if (error) {
      this.failure = null;
      // An update that was left out did not happen: the run goes on from the last one that did.
      if (error.kind === 'non-finite') this.next = this.history.steps.at(-1)?.step ?? 0;
      events.onEnd(error);
      throw error;
    }
    if (this.next >= batches.totalSteps) events.onEnd(null);
  }
}
