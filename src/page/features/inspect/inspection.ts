/** Asking the trainer about the open run: both models side by side, and the inside of one module, anew whenever the run has settled. */
import type { BeforeAfter, TrainerApi } from '../../../protocol.ts';
import type { RunView, Stores } from '../../stores.ts';
import { derive } from '../setup/derive.ts';
import type { Controller } from '../training/controller.ts';

/** Held-out examples that are asked about; those that changed most are shown. */
const COMPARED = 32;

export type Questions = ReturnType<typeof createQuestions>;

/** Questions about the open run, one at a time. */
export function createQuestions({ run }: Stores, controller: Pick<Controller, 'fail'>) {
  let queue: Promise<unknown> = Promise.resolve();
  const listeners: (() => void)[] = [];
  run.subscribe(({ open }, before) => {
    if (open === before.open) return;
    queue = Promise.resolve();
    for (const listener of listeners) listener();
  });

  async function answer<T>(busy: string | null, task: () => Promise<T>): Promise<T | null> {
    const { open, state } = run.getState();
    if (open === null || state === 'failed') return null;
    if (busy !== null) run.setState({ busy });
    try {
      return await task();
    } catch (error) {
      // What was asked of a run that has ended since is no trouble, and of one that failed something was said.
      const now = run.getState();
      if (now.open === open && now.state !== 'failed') controller.fail(error);
      return null;
    } finally {
      if (busy !== null && run.getState().open === open) run.setState({ busy: null });
    }
  }

  return {
    /** Runs a task after those before it and shows what went wrong; null if it failed or there is no run. */
    ask<T>(busy: string | null, task: () => Promise<T>): Promise<T | null> {
      const result = queue.then(() => answer(busy, task));
      queue = result;
      return result;
    },
    /** Called when the run is another: nothing waits for an answer that may never come. */
    onOtherRun: (listener: () => void): void => {
      listeners.push(listener);
    },
  };
}

/**
 * What can be asked for again and again: while one question is under way only one more waits for it.
 *
 * @param task gives what is then shown; of a run that has ended since nothing is
 */
function refreshed(
  { run }: Stores,
  { ask, onOtherRun }: Questions,
  flag: 'isComparing' | 'isInspecting',
  task: () => Promise<Partial<Pick<RunView, 'comparison' | 'inspection'>>>,
): () => Promise<void> {
  let asked = 0;
  let waiting: Promise<void> | null = null;
  /** Which run it is of. */
  let sitting = 0;
  onOtherRun(() => {
    sitting++;
    asked = 0;
    waiting = null;
  });
  const begin = async (): Promise<void> => {
    const mine = sitting;
    asked++;
    run.setState({ [flag]: true });
    await ask(null, async () => {
      if (mine === sitting) waiting = null;
      const { open } = run.getState();
      const seen = await task();
      if (run.getState().open === open) run.setState(seen);
    });
    if (mine !== sitting) return;
    asked--;
    if (asked > 0) return;
    // Where there was no run to ask, nobody has begun.
    waiting = null;
    run.setState({ [flag]: false });
  };
  return () => {
    waiting ??= begin();
    return waiting;
  };
}

export type Inspecting = ReturnType<typeof createInspection>;

export function createInspection(
  stores: Stores,
  trainer: Pick<TrainerApi, 'beforeAfter' | 'inspect' | 'classify'>,
  controller: Pick<Controller, 'onSettled'>,
  questions: Questions,
) {
  const { run, ui } = stores;
  let isSuspended = false;
  questions.onOtherRun(() => {
    isSuspended = false;
  });

  const compare = refreshed(stores, questions, 'isComparing', async () => {
    const { prompt, sampleSeed, temperature } = ui.getState();
    const comparison = await trainer.beforeAfter({
      seed: sampleSeed,
      temperature,
      examples: COMPARED,
      maxTokens: 64,
      ...(prompt === '' ? {} : { prompt }),
    });
    return { comparison };
  });

  const inspect = refreshed(stores, questions, 'isInspecting', async () => {
    const { current, open } = run.getState();
    if (current === null || open === null) return {};
    const targets = derive(current.settings, open.model).selection?.targets ?? [];
    const wanted = ui.getState().module;
    const module = wanted !== null && targets.includes(wanted) ? wanted : targets[0];
    return module === undefined ? {} : { inspection: await trainer.inspect(module) };
  });

  function refresh(): void {
    if (isSuspended) return;
    void compare();
    void inspect();
  }
  controller.onSettled(refresh);

  return {
    compare,
    inspect,
    /** Base and adapted model on one drawing. */
    classify: (pixels: Float32Array) => questions.ask(null, () => trainer.classify(pixels)),
    /** A merge goes first; the pictures follow when it is done. */
    suspend: () => {
      isSuspended = true;
    },
    resume: () => {
      isSuspended = false;
      refresh();
    },
  };
}

// Compared examples in the order in which a reader wants them: what changed most comes first.

interface Answered {
  readonly before: Float32Array | number;
  readonly after: Float32Array | number;
}

/** Half the sum of the differences of two distributions, 0 … 1; of two numbers how far apart they are. */
export function changeOf({ before, after }: Answered): number {
  if (typeof before === 'number' || typeof after === 'number')
    return Math.abs(Number(after) - Number(before));
  return before.reduce((sum, p, i) => sum + Math.abs(p - after[i]!), 0) / 2;
}

export const byChange = <T extends Answered>(examples: readonly T[]): T[] =>
  examples.toSorted((a, b) => changeOf(b) - changeOf(a));

/** Of the asked examples those that the likeliest answer is right for, before and after; null where answers are no classes. */
export function tallyOf(
  comparison: BeforeAfter,
): { readonly before: number; readonly after: number; readonly of: number } | null {
  if (comparison.kind !== 'image' && comparison.kind !== 'text-class') return null;
  const { examples } = comparison;
  const right = (side: 'before' | 'after') =>
    examples.filter((one) => one[side].indexOf(Math.max(...one[side])) === one.label).length;
  return { before: right('before'), after: right('after'), of: examples.length };
}
