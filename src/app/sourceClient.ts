/** The page's side of the worker that fetches. */
import { proxy } from 'comlink';
import type { Shelf, SourceApi } from '../training/sourceWorker.ts';
import { workerClient } from './workerClient.ts';

export type { Shelf };
export type SourceClient = SourceApi;

const startWorker = (): Worker =>
  new Worker(new URL('../training/sourceWorker.ts', import.meta.url), { type: 'module', name: 'sources' });

export function sourceClient(start: () => Worker = startWorker): SourceClient {
  const { ask, endUnless } = workerClient<SourceApi>(start, 'The worker that fetches files', {
    way: 'resume',
  });
  const downloads = new Map<number, Promise<void>>();
  return {
    search: (...args) => ask((api) => api.search(...args)),
    list: (...args) => ask((api) => api.list(...args)),
    weigh: (...args) => ask((api) => api.weigh(...args)),
    async bring(job, source, kind, access, onBytes) {
      const download = ask<void>((api) => api.bring(job, source, kind, access, proxy(onBytes)));
      downloads.set(job, download);
      await download.finally(() => downloads.delete(job));
    },
    /** What has arrived is kept, also where the worker does not end the download in time and is ended itself. */
    async stop(job) {
      ask((api) => api.stop(job)).catch(() => {});
      await endUnless(downloads.get(job));
    },
    shelf: () => ask((api) => api.shelf()),
    free: (folder) => ask((api) => api.free(folder)),
  };
}
