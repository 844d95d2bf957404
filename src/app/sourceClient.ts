/** The page's side of the worker that fetches. */
import { WorkerHost } from '../lib/workers.ts';
import type { SourceApi } from '../training/sourceWorker.ts';

export type SourceClient = SourceApi;

const startWorker = (): Worker =>
  new Worker(new URL('../training/sourceWorker.ts', import.meta.url), { type: 'module', name: 'sources' });

export function sourceClient(start: () => Worker = startWorker): SourceClient {
  const host = new WorkerHost<SourceApi>(start, {
    what: 'The worker that fetches files',
    details: { way: 'resume' },
  });
  const downloads = new Map<number, Promise<void>>();
  return host.extended({
    async download(...args: Parameters<SourceApi['download']>) {
      const [job] = args;
      const download = host.api.download(...args);
      downloads.set(job, download);
      await download.finally(() => downloads.delete(job));
    },
    /** What has arrived is kept, also where the worker does not end the download in time and is ended itself. */
    async stop(job: number) {
      host.api.stop(job).catch(() => {});
      await host.endUnless(downloads.get(job));
    },
  });
}
