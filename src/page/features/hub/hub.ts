/**
 * Models and data from the Hub or an address, as the page holds them: what was found, what a repository offers, how far a download is, what is
 * cached. The token lives in this state and nowhere else.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { asPapilioError, fail, say, WorkerHost } from '../../../common.ts';
import {
  type FoundRepo,
  HUB_ADDRESS,
  type HubSource,
  hubAddress,
  type Listing,
  nameOf,
  parseSource,
  precisions,
  type RepoKind,
  shown,
  splitsOf,
  type UrlSource,
  variantsOf,
} from '../../../hub.ts';
import type { CachedFiles, SourceApi } from '../../../protocol.ts';
import { createTask, reportOf, type TaskView } from '../../task.ts';
import type { Transfer } from './transfer.ts';

/** Something to fetch as a whole: a model at one precision, a split, a file. */
export interface Offer {
  readonly id: string;
  readonly title: string;
  readonly detail: string;
  /** Null until the server says. */
  readonly bytes: number | null;
  /** Bytes that are here. */
  readonly have: number;
  readonly isWhole: boolean;
  readonly source: HubSource | UrlSource;
}

interface OfferPart extends Pick<Offer, 'title' | 'detail' | 'bytes'> {
  /** What a source names. */
  readonly paths: readonly string[];
  /** All that is fetched for it. */
  readonly members: readonly string[];
}

/** Everything that a repository offers, or what has one of the `files` in it. */
function partsOf(listing: Listing, files?: readonly string[]): OfferPart[] {
  const all =
    listing.kind === 'model'
      ? variantsOf(listing.files).map(
          ({ onnx, part, precision, files: members, bytes }): OfferPart => ({
            title: `${precision} · ${part}`,
            detail: `${precisions()[precision]} · ${onnx.join(' + ')}`,
            bytes,
            paths: onnx,
            members: members.map(({ path }) => path),
          }),
        )
      : splitsOf(listing.files).map(({ config, split, files: members, bytes }): OfferPart => {
          const paths = members.map(({ path }) => path);
          return {
            title: config === '' ? split : `${split} · ${config}`,
            detail: paths.length === 1 ? paths[0]! : say`${paths.length} files, ${paths[0]!} …`,
            bytes,
            paths,
            members: paths,
          };
        });
  return files === undefined ? all : all.filter(({ paths }) => files.some((file) => paths.includes(file)));
}

function offerOf(
  listing: Listing,
  { paths, title, detail, bytes }: OfferPart,
  here: { readonly done: number; readonly isWhole: boolean },
): Offer {
  const { hub, repo, commit } = listing;
  const source: HubSource = {
    kind: 'hub',
    repo,
    revision: commit,
    files: paths,
    ...(hub === HUB_ADDRESS ? {} : { hub }),
  };
  return { id: paths.join(' '), title, detail, bytes, have: here.done, isWhole: here.isWhole, source };
}

const offerAt = (source: UrlSource): Offer => ({
  id: source.url,
  title: say`The file at this address`,
  detail: shown(source.url),
  bytes: null,
  have: 0,
  isWhole: false,
  source,
});

interface FinderView extends TaskView {
  readonly busy: 'search' | 'list' | 'download' | null;
  readonly found: readonly FoundRepo[] | null;
  /** The repository that is open. */
  readonly repo: {
    readonly name: string;
    readonly revision: string;
    readonly commit: string;
    readonly isGated: boolean;
    /** As last seen: the Hub did not answer. */
    readonly isOld: boolean;
  } | null;
  readonly offers: readonly Offer[];
  readonly progress: (Transfer & { readonly what: string }) | null;
  /** What ended in the error. */
  readonly failed: FinderView['busy'];
  /** The offer that was taken last. */
  readonly taken: string | null;
}

/** What both finders share. */
interface SharedView {
  readonly hub: string;
  readonly token: string;
  readonly cached: CachedFiles | null;
}

/** Where the browser remembers another Hub's address: the user's own choice, which no link can make. */
const HUB_KEY = 'papilio.hub';

const nothing: FinderView = {
  busy: null,
  found: null,
  repo: null,
  offers: [],
  progress: null,
  error: null,
  failed: null,
  taken: null,
};

const startWorker = (): Worker =>
  new Worker(new URL('../../../training/sourceWorker.ts', import.meta.url), {
    type: 'module',
    name: 'sources',
  });

/** The worker that fetches. */
export function sourceClient(start: () => Worker = startWorker): SourceApi {
  const host = new WorkerHost<SourceApi>(start, {
    what: () => say`The worker that fetches files`,
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

/** What the finders work with. */
interface Host {
  readonly client: SourceApi;
  readonly access: () => { readonly hub: string; readonly token: string };
  /** Looks anew at what is cached. */
  readonly refresh: () => Promise<void>;
  /** Is given what was downloaded. */
  readonly adopt: (kind: RepoKind, source: HubSource | UrlSource) => void;
}

/** What a repository offers, or of it what has one of the source's files in it. */
async function offersIn(
  { client, access }: Host,
  kind: RepoKind,
  { repo, revision = 'main', files }: HubSource,
): Promise<Pick<FinderView, 'repo' | 'offers'>> {
  const found = await client.list(repo, revision, kind, access());
  const { listing, isOld } = found;
  const parts = partsOf(listing, files);
  const weights = await client.weigh(
    found,
    parts.map(({ members }) => members),
  );
  const { commit, isGated } = listing;
  return {
    repo: { name: repo, revision, commit, isGated, isOld },
    offers: parts.map((part, i) => offerOf(listing, part, weights[i]!)),
  };
}

let jobs = 0;

/** Downloads what is missing of an offer, then has it adopted. */
async function download(
  { client, access, adopt }: Host,
  view: StoreApi<FinderView>,
  kind: RepoKind,
  { id, source, have, bytes }: Offer,
  job: number,
  signal: AbortSignal,
): Promise<Partial<FinderView>> {
  // Asked for, not needed: a browser may clear what is not persistent when the disk fills up.
  void globalThis.navigator?.storage?.persist?.();
  let here = have;
  const since = performance.now();
  const mark = (change: Partial<Offer>) =>
    view.setState(({ offers }) => ({
      offers: offers.map((one) => (one.id === id ? { ...one, ...change } : one)),
    }));
  try {
    await client.download(job, source, kind, access(), (done, total, what) => {
      here = done;
      if (!signal.aborted) view.setState({ progress: { done, total, kept: have, since, what } });
    });
  } catch (error) {
    mark({ have: here });
    throw error;
  }
  if (signal.aborted) return {};
  mark({ isWhole: true, have: bytes ?? here });
  adopt(kind, source);
  return { taken: nameOf(source) };
}

export type Finder = ReturnType<typeof createFinder>;

function createFinder(kind: RepoKind, host: Host) {
  const { client, access } = host;
  const view = createStore<FinderView>(() => nothing);
  const task = createTask(view);
  let job = 0;
  let again: () => Promise<void> = async () => {};

  /** One thing at a time; what was asked last is what counts. */
  async function during(
    start: Partial<FinderView> & Pick<FinderView, 'busy'>,
    work: (signal: AbortSignal) => Promise<Partial<FinderView>>,
  ): Promise<void> {
    again = () => during(start, work);
    const ended = { progress: null };
    await task.run(
      { error: null, progress: null, ...start },
      async (signal) => ({ ...ended, ...(await work(signal)) }),
      { ...ended, failed: start.busy },
    );
    void host.refresh();
  }

  const openSource = (source: HubSource): Promise<void> =>
    during({ busy: 'list', repo: null, offers: [] }, () => offersIn(host, kind, source));

  return {
    view,
    /** Words to search for, owner/name[@revision], or an address. */
    async look(words: string): Promise<void> {
      const text = words.trim();
      if (text === '') return;
      const isName = /^(hub:|https?:\/\/)|\//.test(text);
      if (!isName)
        return during({ busy: 'search' }, async () => {
          const found = await client.search(text, kind, access());
          return { found, repo: null, offers: [] };
        });
      await during({ busy: 'list' }, async () => {
        const source = parseSource(text, kind, access().hub);
        if (source.kind === 'url') {
          allowed(source.url);
          return { found: null, repo: null, offers: [offerAt(source)] };
        }
        view.setState({ found: null, repo: null, offers: [] });
        return offersIn(host, kind, source);
      });
    },
    open: (repo: string, revision?: string) =>
      openSource({ kind: 'hub', repo, ...(revision === undefined ? {} : { revision }) }),
    /** Downloads what is missing of an offer, then takes it. */
    download: (offer: Offer) =>
      during({ busy: 'download' }, (signal) => {
        job = ++jobs;
        return download(host, view, kind, offer, job, signal);
      }),
    /** Breaks off what is under way. */
    async stop(): Promise<void> {
      if (view.getState().busy === 'download') return client.stop(job);
      // A Hub that does not answer is waited for no longer.
      task.leave();
      view.setState({ busy: null, progress: null });
    },
    /** Does again what ended in the error. */
    retry: () => again(),
  };
}

interface Memory {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export type HubState = ReturnType<typeof createHub>;

/**
 * @param adopt is given what was downloaded
 * @param memory where the Hub's address is remembered
 */
export function createHub(client: SourceApi, adopt: Host['adopt'], memory: Memory) {
  const shared = createStore<SharedView>(() => ({ hub: rememberedHub(memory), token: '', cached: null }));

  async function refresh(): Promise<void> {
    // A browser that keeps nothing has nothing to show; fetching will say why.
    const cached = await client.cached().catch(() => ({ kept: [], room: null }));
    shared.setState({ cached });
  }

  const access = () => {
    const { hub, token } = shared.getState();
    return { hub, token };
  };
  const host: Host = { client, access, refresh, adopt };
  const finders = { model: createFinder('model', host), dataset: createFinder('dataset', host) };
  return {
    shared,
    ...finders,
    setToken: (token: string) => shared.setState({ token: token.trim() }),
    /** Another Hub, or '' for the usual one; returns why it is refused, or null. */
    setHub(address: string): string | null {
      try {
        const hub = address.trim() === '' ? HUB_ADDRESS : allowed(hubAddress(address.trim()));
        if (hub === shared.getState().hub) return null;
        if (hub === HUB_ADDRESS) memory.removeItem(HUB_KEY);
        else memory.setItem(HUB_KEY, hub);
        // A token is given to one Hub, not to the next.
        shared.setState({ hub, token: '' });
        for (const { view } of Object.values(finders)) view.setState(nothing);
        return null;
      } catch (error) {
        return asPapilioError(error).message;
      }
    },
    refresh,
    /** Removes what is cached of a repository or an address. */
    async free(folder: string): Promise<void> {
      for (const { view } of Object.values(finders))
        view.setState(({ offers }) => ({
          offers: offers.map((one) => ({ ...one, have: 0, isWhole: false })),
        }));
      try {
        await client.free(folder);
      } catch (error) {
        finders.model.view.setState({ error: reportOf(error), failed: null });
      }
      await refresh();
      for (const finder of Object.values(finders)) {
        const { repo, busy } = finder.view.getState();
        if (repo !== null && busy === null) await finder.open(repo.name, repo.commit);
      }
    },
  };
}

/**
 * An address that the page's policy lets it ask: http on this machine is for the command line.
 * @throws PapilioError 'bad-argument'
 */
function allowed(address: string): string {
  const { protocol, origin } = new URL(address);
  return protocol === 'https:' || origin === globalThis.location?.origin
    ? address
    : fail(
        'bad-argument',
        say`${address} is not asked: the page's policy lets it ask https addresses alone. The command line asks http on this machine too, and files can be dropped here.`,
      );
}

function rememberedHub(memory: Memory): string {
  try {
    return allowed(hubAddress(memory.getItem(HUB_KEY) ?? HUB_ADDRESS));
  } catch {
    return HUB_ADDRESS;
  }
}
