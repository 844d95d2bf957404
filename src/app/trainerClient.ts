/**
 * The page's side of the trainer worker: starts it when first needed, turns what it rejects with back into PapilioErrors, drops events
 * of runs that are over, and starts a new worker after a crash.
 */
import { proxy, type Remote, wrap } from 'comlink';
import { type ErrorKind, PapilioError } from '../lib/errors.ts';
import type { OpenReport, RunRequest, TrainerApi, TrainerEvent } from '../training/protocol.ts';

export interface TrainerClient extends TrainerApi {
  /** Hears of a worker that broke; calls under way have been rejected, the next call starts a new one. */
  onCrash(listener: (message: string) => void): void;
}

interface Running {
  readonly worker: Worker;
  readonly api: Remote<TrainerApi>;
  readonly over: Promise<never>;
}

const startWorker = (): Worker =>
  new Worker(new URL('../training/worker.ts', import.meta.url), { type: 'module', name: 'trainer' });

/** What crossed the worker's boundary, as an error with its kind. */
export function asPapilioError(reason: unknown): PapilioError {
  if (reason instanceof PapilioError) return reason;
  const given = (reason ?? {}) as { kind?: ErrorKind; message?: string; details?: Record<string, unknown> };
  const message = given.message ?? String(reason);
  return new PapilioError(given.kind ?? 'internal', message, given.details ?? {});
}

export function trainerClient(start: () => Worker = startWorker): TrainerClient {
  let running: Running | undefined;
  let generation = 0;
  const crashListeners: ((message: string) => void)[] = [];

  function ensure(): Running {
    if (running !== undefined) return running;
    const worker = start();
    let reject: (error: PapilioError) => void = () => {};
    const over = new Promise<never>((_, no) => {
      reject = no;
    });
    over.catch(() => {});
    const started: Running = { worker, api: wrap<TrainerApi>(worker), over };
    worker.addEventListener('error', (event) => {
      const message = `The training worker stopped: ${event.message || 'it could not be loaded'}.`;
      worker.terminate();
      if (running === started) running = undefined;
      generation++;
      reject(new PapilioError('internal', message, { crashed: true }));
      for (const listener of crashListeners) listener(message);
    });
    running = started;
    return started;
  }

  async function ask<T>(call: (api: Remote<TrainerApi>) => Promise<unknown>): Promise<T> {
    const { api, over } = ensure();
    try {
      return (await Promise.race([call(api), over])) as T;
    } catch (error) {
      throw asPapilioError(error);
    }
  }

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
    paritySample: () => ask((api) => api.paritySample()),
    sweepMethods: (request, events) => ask((api) => api.sweepMethods(request, proxy(events))),
    stopSweep: () => ask((api) => api.stopSweep()),
    shelf: (command) => ask((api) => api.shelf(command)),
    shelfScore: (names) => ask((api) => api.shelfScore(names)),
    shelfInspect: (name, module) => ask((api) => api.shelfInspect(name, module)),
    shelfMerge: () => ask((api) => api.shelfMerge()),
    shelfFiles: (names) => ask((api) => api.shelfFiles(names)),
    async close() {
      generation++;
      if (running !== undefined) await ask((api) => api.close());
    },
    onCrash(listener) {
      crashListeners.push(listener);
    },
  };
}
