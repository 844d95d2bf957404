/**
 * The page's worker for what comes from elsewhere: searches, lists, fetches into the browser's private file system, and frees. A worker of
 * its own, since downloads go on while a run trains, and since only workers may write files as they stream.
 */
import { browserStore, cacheOwner } from '../hub/browserStore.ts';
import { type Kept, listKept } from '../hub/cache.ts';
import { searchRepos } from '../hub/client.ts';
import { type FoundListing, findListing, weigh } from '../hub/fetching.ts';
import { openSource, requireVariants } from '../hub/open.ts';
import type { FoundRepo, HubHost, HubSource, RepoKind, UrlSource } from '../hub/types.ts';
import { serve } from '../lib/workers.ts';
import { downloadModel } from './fetched.ts';

/** Which Hub, and in whose name. */
export interface Access {
  readonly hub: string;
  readonly token: string;
}

export interface CachedFiles {
  readonly kept: readonly Kept[];
  /** Bytes that the browser still allows; null when it does not say. */
  readonly room: number | null;
}

const store = browserStore();
const asOwner = cacheOwner(navigator.locks);
const jobs = new Map<number, AbortController>();
/** Milliseconds between two reports on how far a download is. */
const REPORT_EVERY = 100;

const hubHost = ({ hub, token }: Access): HubHost => ({
  store,
  fetch: (...args) => fetch(...args),
  hub,
  ...(token === '' ? {} : { token }),
});

const api = {
  search: (words: string, kind: RepoKind, access: Access): Promise<FoundRepo[]> =>
    searchRepos(words, kind, hubHost(access)),

  /** A listing; of a model one that holds .onnx files. */
  async list(repo: string, revision: string, kind: RepoKind, access: Access): Promise<FoundListing> {
    const found = await findListing(kind, repo, revision, hubHost(access));
    if (kind === 'model') await requireVariants(found.listing, hubHost(access));
    return found;
  },

  /** How much is here of each group of files. */
  async weigh({ listing }: FoundListing, groups: readonly (readonly string[])[]) {
    const out: Awaited<ReturnType<typeof weigh>>[] = [];
    for (const paths of groups) {
      const files = listing.files.filter(({ path }) => paths.includes(path));
      out.push(await weigh(listing, files, hubHost({ hub: listing.hub, token: '' })));
    }
    return out;
  },

  async download(
    job: number,
    source: HubSource | UrlSource,
    kind: RepoKind,
    access: Access,
    onBytes: (done: number, total: number, what: string) => void,
  ): Promise<void> {
    const stop = new AbortController();
    jobs.set(job, stop);
    // The newest is reported, also when nothing follows it: a line that has stopped shows how far it came.
    let newest: readonly [number, number, string] | null = null;
    const report = () => {
      if (newest !== null) onBytes(...newest);
      newest = null;
    };
    const reporting = setInterval(report, REPORT_EVERY);
    try {
      const transfer = {
        signal: stop.signal,
        onBytes: (...now: readonly [number, number, string]) => {
          newest = now;
        },
      };
      await asOwner(async () => {
        await (kind === 'model'
          ? downloadModel(source, hubHost(access), transfer)
          : openSource(source, kind, hubHost(access), transfer));
      });
      report();
    } finally {
      clearInterval(reporting);
      jobs.delete(job);
    }
  },

  /** Breaks a download off; what has come stays. */
  async stop(job: number): Promise<void> {
    jobs.get(job)?.abort();
  },

  async cached(): Promise<CachedFiles> {
    return { kept: await listKept(store), room: await store.room() };
  },

  free: (folder: string): Promise<void> => asOwner(() => store.remove(folder)),
};

export type SourceApi = typeof api;

serve(api);
