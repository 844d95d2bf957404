/** The page's side of the trainer worker: drops events of runs that are over, and has a way out of every hang. */
import { proxy } from 'comlink';
import type { OpenReport, RunRequest, TrainerApi, TrainerEvent } from '../training/protocol.ts';
import { isEnded, workerClient } from './workerClient.ts';

/** A run's ending, as it is wanted. */
interface Leave {
  readonly isRunning: boolean;
  readonly takesCheckpoint: boolean;
}

/** Questions that give way to the next of their kind, once `signal` is aborted; those of an ended worker are asked again. */
export interface Askable extends Pick<TrainerApi, 'describe' | 'forecast' | 'preview'> {
  describe(
    ...args: [...Parameters<TrainerApi['describe']>, signal?: AbortSignal]
  ): ReturnType<TrainerApi['describe']>;
  preview(
    ...args: [...Parameters<TrainerApi['preview']>, signal?: AbortSignal]
  ): ReturnType<TrainerApi['preview']>;
  forecast(
    request: RunRequest,
    budgetBytes?: number,
    signal?: AbortSignal,
  ): ReturnType<TrainerApi['forecast']>;
}

export interface TrainerClient extends Omit<TrainerApi, keyof Askable>, Askable {
  /**
   * Pauses the run, takes its checkpoint and closes it, as far as wanted. A worker that does not answer one of these in three seconds is
   * ended, and whatever it held with it.
   *
   * @returns the checkpoint; null where none was wanted, or none came
   */
  leave(how: Leave): Promise<Uint8Array | null>;
  /** Ends the worker unless it answers, or `settled` settles, within three seconds. */
  endUnless(settled?: Promise<unknown>): Promise<void>;
  /** Hears of a worker that broke; calls under way have been rejected, the next call starts a new one. */
  onCrash(listener: (message: string) => void): void;
  /** Hears of a worker that was ended since it did not answer. */
  onEnd(listener: (message: string) => void): void;
}

const startWorker = (): Worker =>
  new Worker(new URL('../training/worker.ts', import.meta.url), { type: 'module', name: 'trainer' });

export function trainerClient(start: () => Worker = startWorker): TrainerClient {
  let generation = 0;
  const crashListeners: ((message: string) => void)[] = [];
  const endListeners: ((message: string) => void)[] = [];
  const told = (listeners: readonly ((message: string) => void)[]) => (message: string) => {
    generation++;
    for (const listener of listeners) listener(message);
  };
  const worker = workerClient<TrainerApi>(
    start,
    'The training worker',
    { crashed: true },
    { onCrash: told(crashListeners), onEnd: told(endListeners) },
  );
  const { ask, askToEnd } = worker;

  function open(
    request: RunRequest,
    events: (event: TrainerEvent) => void,
    checkpoint?: Uint8Array,
  ): Promise<OpenReport> {
    const mine = ++generation;
    let runId: number | undefined;
    const deliver = (event: TrainerEvent) => {
      runId ??= event.runId;
      if (mine === generation && runId === event.runId) events(event);
    };
    return ask((api) => api.open(request, proxy(deliver), checkpoint));
  }

  async function leave({ isRunning, takesCheckpoint }: Leave): Promise<Uint8Array | null> {
    let kept: Uint8Array | null = null;
    /** Whether the worker is still there to be asked more; a run that cannot do what is asked is left all the same. */
    const done = async (task: () => Promise<unknown>): Promise<boolean> => {
      if (!worker.isRunning) return false;
      try {
        await task();
      } catch (error) {
        return !isEnded(error);
      }
      return true;
    };
    const isThere =
      (!isRunning || (await done(() => askToEnd((api) => api.pause())))) &&
      (!takesCheckpoint ||
        (await done(async () => {
          kept = await askToEnd<Uint8Array>((api) => api.checkpoint());
        })));
    generation++;
    if (isThere) await done(() => askToEnd((api) => api.close()));
    return kept;
  }

  return {
    open,
    describe: (model, signal) => ask((api) => api.describe(model), { signal, isRepeatable: true }),
    forecast: (request, budgetBytes, signal) =>
      ask((api) => api.forecast(request, budgetBytes), { signal, isRepeatable: true }),
    preview: (model, data, settings, signal) =>
      ask((api) => api.preview(model, data, settings), { signal, isRepeatable: true }),
    play: () => ask((api) => api.play()),
    pause: () => ask((api) => api.pause()),
    step: () => ask((api) => api.step()),
    checkpoint: () => ask((api) => api.checkpoint()),
    compare: (options) => ask((api) => api.compare(options)),
    classify: (pixels) => ask((api) => api.classify(pixels)),
    inspect: (module) => ask((api) => api.inspect(module)),
    exportAdapter: () => ask((api) => api.exportAdapter()),
    continueInPython: () => ask((api) => api.continueInPython()),
    merge: (quantised) => ask((api) => api.merge(quantised)),
    baseModel: () => ask((api) => api.baseModel()),
    paritySamples: (of, withBase) => ask((api) => api.paritySamples(of, withBase)),
    parityFile: (of, written, quantised, seed) => ask((api) => api.parityFile(of, written, quantised, seed)),
    sweepMethods: (request, events) => ask((api) => api.sweepMethods(request, proxy(events))),
    stopSweep: () => ask((api) => api.stopSweep()),
    shelf: (command) => ask((api) => api.shelf(command)),
    shelfScore: (names) => ask((api) => api.shelfScore(names)),
    shelfInspect: (name, module) => ask((api) => api.shelfInspect(name, module)),
    shelfMerge: () => ask((api) => api.shelfMerge()),
    shelfFiles: (names) => ask((api) => api.shelfFiles(names)),
    leave,
    endUnless: worker.endUnless,
    async close() {
      generation++;
      if (worker.isRunning) await ask((api) => api.close());
    },
    onCrash(listener) {
      crashListeners.push(listener);
    },
    onEnd(listener) {
      endListeners.push(listener);
    },
  };
}
