/** The page's side of the trainer worker: drops events of runs that are over. */
import { proxy } from 'comlink';
import type { OpenReport, RunRequest, TrainerApi, TrainerEvent } from '../training/protocol.ts';
import { workerClient } from './workerClient.ts';

export interface TrainerClient extends TrainerApi {
  /** Hears of a worker that broke; calls under way have been rejected, the next call starts a new one. */
  onCrash(listener: (message: string) => void): void;
}

const startWorker = (): Worker =>
  new Worker(new URL('../training/worker.ts', import.meta.url), { type: 'module', name: 'trainer' });

export function trainerClient(start: () => Worker = startWorker): TrainerClient {
  let generation = 0;
  const crashListeners: ((message: string) => void)[] = [];
  const worker = workerClient<TrainerApi>(start, 'The training worker', { crashed: true }, (message) => {
    generation++;
    for (const listener of crashListeners) listener(message);
  });
  const { ask } = worker;

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

  return {
    open,
    describe: (model) => ask((api) => api.describe(model)),
    forecast: (request, budgetBytes) => ask((api) => api.forecast(request, budgetBytes)),
    preview: (model, data, settings) => ask((api) => api.preview(model, data, settings)),
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
    async close() {
      generation++;
      if (worker.isRunning) await ask((api) => api.close());
    },
    onCrash(listener) {
      crashListeners.push(listener);
    },
  };
}
