/** The page's side of the worker that fetches: started when first needed, errors with their kinds, a new one after a crash. */
import { proxy, type Remote, wrap } from 'comlink';
import { PapilioError } from '../lib/errors.ts';
import type { Shelf, SourceApi } from '../training/sourceWorker.ts';
import { asPapilioError } from './trainerClient.ts';

export type { Shelf };
export type SourceClient = SourceApi;

const startWorker = (): Worker =>
  new Worker(new URL('../training/sourceWorker.ts', import.meta.url), { type: 'module', name: 'sources' });

export function sourceClient(start: () => Worker = startWorker): SourceClient {
  let running: { readonly api: Remote<SourceApi>; readonly over: Promise<never> } | undefined;

  function ensure() {
    if (running !== undefined) return running;
    const worker = start();
    let reject: (error: PapilioError) => void = () => {};
    const over = new Promise<never>((_, no) => {
      reject = no;
    });
    over.catch(() => {});
    worker.addEventListener('error', ({ message }) => {
      worker.terminate();
      running = undefined;
      reject(
        new PapilioError(
          'internal',
          `The worker that fetches files stopped: ${message || 'it could not be loaded'}.`,
          {
            way: 'resume',
          },
        ),
      );
    });
    running = { api: wrap<SourceApi>(worker), over };
    return running;
  }

  async function ask<T>(call: (api: Remote<SourceApi>) => Promise<T>): Promise<T> {
    const { api, over } = ensure();
    try {
      return await Promise.race([call(api), over]);
    } catch (error) {
      throw asPapilioError(error);
    }
  }

  return {
    search: (...args) => ask((api) => api.search(...args)),
    list: (...args) => ask((api) => api.list(...args)),
    weigh: (...args) => ask((api) => api.weigh(...args)),
    bring: (job, source, kind, access, onBytes) =>
      ask((api) => api.bring(job, source, kind, access, proxy(onBytes))),
    stop: (job) => ask((api) => api.stop(job)),
    shelf: () => ask((api) => api.shelf()),
    free: (folder) => ask((api) => api.free(folder)),
  };
}
