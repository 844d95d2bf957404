/** The page's side of the worker that fetches. */
import { proxy } from 'comlink';
import type { Shelf, SourceApi } from '../training/sourceWorker.ts';
import { workerClient } from './workerClient.ts';

export type { Shelf };
export type SourceClient = SourceApi;

const startWorker = (): Worker =>
  new Worker(new URL('../training/sourceWorker.ts', import.meta.url), { type: 'module', name: 'sources' });

export function sourceClient(start: () => Worker = startWorker): SourceClient {
  const { ask } = workerClient<SourceApi>(start, 'The worker that fetches files', { way: 'resume' });
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
