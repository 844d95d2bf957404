/**
 * Models and data from the Hub or an address, as the page holds them: what was found, what a repository offers, how far a download is, what is
 * kept. The token lives in this state and nowhere else.
 */
import { createStore, type StoreApi } from 'zustand/vanilla';
import { HUB_ADDRESS, hubAddress, nameOf, parseSource } from '../hub/names.ts';
import type { FoundRepo, HubSource, RepoKind, UrlSource } from '../hub/types.ts';
import { asPapilioError, fail } from '../lib/errors.ts';
import type { ErrorReport } from '../training/protocol.ts';
import type { CachedFiles } from '../training/sourceWorker.ts';
import { type Offer, offerAt, offerOf, partsOf } from './hubOffers.ts';
import type { SourceClient } from './sourceClient.ts';

export interface FinderView {
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
  readonly progress: { readonly done: number; readonly total: number; readonly what: string } | null;
  readonly error: ErrorReport | null;
  /** What ended in the error. */
  readonly failed: FinderView['busy'];
  /** The offer that was taken last. */
  readonly taken: string | null;
}

/** What both finders share. */
export interface SharedView {
  readonly hub: string;
  readonly token: string;
  readonly shelf: CachedFiles | null;
}

export interface Finder {
  readonly view: StoreApi<FinderView>;
  /** Words to search for, owner/name[@revision], or an address. */
  look(words: string): Promise<void>;
  open(repo: string, revision?: string): Promise<void>;
  /** Fetches what is missing of an offer, then takes it. */
  bring(offer: Offer): Promise<void>;
  /** Breaks off what is under way. */
  stop(): Promise<void>;
  /** Does again what ended in the error. */
  retry(): Promise<void>;
}

export interface HubDesk {
  readonly shared: StoreApi<SharedView>;
  readonly model: Finder;
  readonly dataset: Finder;
  setToken(token: string): void;
  /** Another Hub, or '' for the usual one; returns why it is refused, or null. */
  setHub(address: string): string | null;
  refresh(): Promise<void>;
  free(folder: string): Promise<void>;
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

interface Kept {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/**
 * @param take is given what was fetched
 * @param memory where the Hub's address is remembered
 */
export function createHubDesk(
  client: SourceClient,
  take: (kind: RepoKind, source: HubSource | UrlSource) => void,
  memory: Kept,
): HubDesk {
  const shared = createStore<SharedView>(() => ({ hub: rememberedHub(memory), token: '', shelf: null }));
  const access = () => {
    const { hub, token } = shared.getState();
    return { hub, token };
  };
  let jobs = 0;

  async function refresh(): Promise<void> {
    try {
      shared.setState({ shelf: await client.cached() });
    } catch {
      // A browser that keeps nothing has nothing to show; fetching will say why.
      shared.setState({ shelf: { kept: [], room: null } });
    }
  }

  function createFinder(kind: RepoKind): Finder {
    const view = createStore<FinderView>(() => nothing);
    let job = 0;
    let latest = 0;
    let again: () => Promise<void> = async () => {};

    /** One thing at a time; what was asked last is what counts. */
    async function during(
      busy: FinderView['busy'],
      task: (isLatest: () => boolean) => Promise<void>,
    ): Promise<void> {
      const mine = ++latest;
      const isLatest = () => mine === latest;
      again = () => during(busy, task);
      view.setState({ busy, error: null, progress: null });
      try {
        await task(isLatest);
      } catch (error) {
        const { kind: what, message, details } = asPapilioError(error);
        if (isLatest()) view.setState({ error: { kind: what, message, details }, failed: busy });
      } finally {
        if (isLatest()) view.setState({ busy: null, progress: null });
        void refresh();
      }
    }

    const openSource = ({ repo, revision = 'main', files }: HubSource): Promise<void> =>
      during('list', async (isLatest) => {
        view.setState({ repo: null, offers: [] });
        const found = await client.list(repo, revision, kind, access());
        const { listing } = found;
        const parts = partsOf(listing, files);
        const weights = await client.weigh(
          found,
          parts.map(({ members }) => members),
        );
        const offers = parts.map((part, i) => offerOf(listing, part, weights[i]!));
        if (!isLatest()) return;
        const { commit, isGated } = listing;
        view.setState({ repo: { name: repo, revision, commit, isGated, isOld: found.isOld }, offers });
      });

    return {
      view,
      async look(words) {
        const text = words.trim();
        if (text === '') return;
        const isName = /^(hub:|https?:\/\/)|\//.test(text);
        if (!isName)
          return during('search', async (isLatest) => {
            const found = await client.search(text, kind, access());
            if (isLatest()) view.setState({ found, repo: null, offers: [] });
          });
        let source: HubSource | UrlSource | null = null;
        await during('list', async () => {
          source = parseSource(text, kind, shared.getState().hub);
          if (source.kind === 'hub') return;
          allowed(source.url);
          view.setState({ found: null, repo: null, offers: [offerAt(source)] });
        });
        const named = source as HubSource | UrlSource | null;
        if (named?.kind === 'hub') {
          view.setState({ found: null });
          await openSource(named);
        }
      },
      open: (repo, revision) =>
        openSource({ kind: 'hub', repo, ...(revision === undefined ? {} : { revision }) }),
      bring: (offer) =>
        during('download', async (isLatest) => {
          job = ++jobs;
          // Asked for, not needed: a browser may clear what is not persistent when the disk fills up.
          void globalThis.navigator?.storage?.persist?.();
          let here = offer.have;
          const mark = (change: Partial<Offer>) =>
            view.setState(({ offers }) => ({
              offers: offers.map((one) => (one.id === offer.id ? { ...one, ...change } : one)),
            }));
          try {
            await client.download(job, offer.source, kind, access(), (done, total, what) => {
              here = done;
              if (isLatest()) view.setState({ progress: { done, total, what } });
            });
          } catch (error) {
            mark({ have: here });
            throw error;
          }
          if (!isLatest()) return;
          mark({ isWhole: true, have: offer.bytes ?? here });
          view.setState({ taken: nameOf(offer.source) });
          take(kind, offer.source);
        }),
      async stop() {
        if (view.getState().busy === 'download') return client.stop(job);
        // A Hub that does not answer is waited for no longer.
        latest++;
        view.setState({ busy: null, progress: null });
      },
      retry: () => again(),
    };
  }

  const finders = { model: createFinder('model'), dataset: createFinder('dataset') };
  return {
    shared,
    ...finders,
    setToken: (token) => shared.setState({ token: token.trim() }),
    setHub(address) {
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
    async free(folder) {
      for (const { view } of Object.values(finders))
        view.setState(({ offers }) => ({
          offers: offers.map((one) => ({ ...one, have: 0, isWhole: false })),
        }));
      try {
        await client.free(folder);
      } catch (error) {
        const { kind, message, details } = asPapilioError(error);
        finders.model.view.setState({ error: { kind, message, details }, failed: null });
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
        `${address} is not asked: the page's policy lets it ask https addresses alone. The command line asks http on this machine too, and files can be dropped here.`,
      );
}

function rememberedHub(memory: Kept): string {
  try {
    return allowed(hubAddress(memory.getItem(HUB_KEY) ?? HUB_ADDRESS));
  } catch {
    return HUB_ADDRESS;
  }
}
