/** Takes an engine through the updates of a run under control of play and pause, keeps the curve, and stops at numbers that are none. */
import { PapilioError } from '../lib/errors.ts';
import type { Lock } from '../lib/lock.ts';
import type { BatchPlan } from './batchPlan.ts';
import type { Engine } from './engine.ts';
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

export function createLoop(options: LoopOptions): Loop {
  const { engine, batches, settings, events, lock } = options;
  const total = batches.totalSteps;
  const steps = [...options.start.steps];
  const evals = [...options.start.evals];
  /** What the updates in flight hold: filled-up rows and padding are no examples and no tokens. */
  const held = new Map<number, { readonly examples: number; readonly tokens: number }>();
  let next = options.start.step;
  let seconds = options.start.seconds;
  let startedMs = 0;
  let running: Promise<void> | null = null;
  let stopping = false;
  let failure: PapilioError | null = null;

  const elapsed = () => seconds + (running ? (performance.now() - startedMs) / 1000 : 0);

  engine.onResult(({ step, loss, gradNorm, learningRate }) => {
    if (failure) return;
    if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
      failure = new PapilioError(
        'non-finite',
        `The ${Number.isFinite(loss) ? 'gradient' : 'loss'} became infinite or not a number at step ${step + 1}, and that update was left out: the weights are those from before it; lower the learning rate (${learningRate.toPrecision(2)} now) or clip at 1, and go on.`,
        { step },
      );
      return;
    }
    const before = steps.at(-1) ?? { examples: 0, tokens: 0 };
    const own = held.get(step) ?? { examples: 0, tokens: 0 };
    held.delete(step);
    const metric: StepMetric = {
      step: step + 1,
      loss,
      learningRate,
      gradNorm,
      examples: before.examples + own.examples,
      tokens: before.tokens + own.tokens,
      seconds: elapsed(),
    };
    steps.push(metric);
    events.onStep(metric);
  });

  const record = async (): Promise<void> => {
    await engine.settle();
    if (failure) return;
    // Evaluations do not count as training time.
    seconds = elapsed();
    const metric = await lock(() => options.evaluate(next));
    evals.push(metric);
    events.onEval(metric);
    startedMs = performance.now();
  };

  const loop = async (until: number): Promise<void> => {
    startedMs = performance.now();
    try {
      while (next < until && !stopping && !failure) {
        const batch = batches.update(next);
        held.set(next, {
          examples: batch.reduce((n, b) => n + b.count, 0),
          tokens: batch.reduce((n, b) => n + b.tokens, 0),
        });
        await lock(async () => {
          await engine.train(next, batch);
          next++;
        });
        const due = settings.evalEvery > 0 && next % settings.evalEvery === 0;
        if (due || next === total) await record();
      }
      await engine.settle();
    } catch (error) {
      failure ??= error instanceof PapilioError ? error : new PapilioError('internal', String(error));
    }
    seconds = elapsed();
    running = null;
    if (failure) {
      const error = failure;
      failure = null;
      // An update that was left out did not happen: the run goes on from the last one that did.
      if (error.kind === 'non-finite') next = steps.at(-1)?.step ?? 0;
      events.onEnd(error);
      throw error;
    }
    if (next >= total) events.onEnd(null);
  };

  return {
    play(count = Number.POSITIVE_INFINITY) {
      if (running) return running;
      stopping = false;
      running = loop(Math.min(total, next + count));
      return running;
    },
    async pause() {
      stopping = true;
      await running?.catch(() => {});
    },
    isRunning: () => running !== null,
    position: () => ({ step: next, seconds: elapsed() }),
    history: { steps, evals },
  };
}
