/** Files of a repository or an address, from the store where they are there and else from the web: listed, weighed, fetched, read. */

import { fixed, say } from '../lib/say.ts';
import {
  contentName,
  knownListing,
  ownUrlFacts,
  readUrlFacts,
  rememberListing,
  writeUrlFacts,
} from './cache.ts';
import { askListing } from './client.ts';
import { fetchFile, haveOf, readKept, type Wanted, waitingFor } from './download.ts';
import { baseName, fileAddress, folderName, folderOf, isCommit, shown, urlFolder } from './names.ts';
import { refuse, refuseAnswer, refuseUrl } from './refusals.ts';
import type { CachedFile, HubHost, Listing, RepoFile, RepoKind, Transfer, UrlSource } from './types.ts';

/** A listing; `isOld` when the Hub did not answer and it is what was last known. */
export interface FoundListing {
  readonly listing: Listing;
  readonly isOld: boolean;
}

/**
 * What a repository holds. A commit that is known is not asked for again; a branch is, and without a connection what it last stood for is
 * taken.
 *
 * @throws PapilioError as {@link askListing}
 */
export async function findListing(
  kind: RepoKind,
  repo: string,
  revision: string,
  host: HubHost,
  signal?: AbortSignal,
): Promise<FoundListing> {
  const known = await knownListing(host.store, host.hub, kind, repo, revision);
  if (known !== null && isCommit(revision)) return { listing: known, isOld: false };
  try {
    const listing = await askListing(kind, repo, revision, host, signal);
    await rememberListing(host.store, listing);
    return { listing, isOld: false };
  } catch (error) {
    const isOffline = (error as { kind?: string }).kind === 'network';
    if (known === null || !isOffline) throw error;
    return { listing: known, isOld: true };
  }
}

/** How much of some files is here. */
export async function weigh(
  listing: Listing,
  files: readonly RepoFile[],
  host: HubHost,
): Promise<{ readonly done: number; readonly total: number; readonly isWhole: boolean }> {
  const folder = folderOf(listing.hub, listing.kind, listing.repo);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  let isWhole = true;
  for (const file of files) {
    const have = await haveOf(host.store, { folder, name: contentName(file), size: file.size });
    done += Math.min(have.bytes, file.size);
    isWhole &&= have.isWhole;
  }
  return { done, total, isWhole };
}

const inMegabytes = (bytes: number): string => `${fixed(bytes / 2 ** 20, bytes < 10 * 2 ** 20 ? 1 : 0)} MB`;

/** @throws PapilioError 'quota' where less room is left than will be written */
async function requireRoom(bytes: number, what: string, host: HubHost): Promise<void> {
  const room = await host.store.room();
  if (room === null || bytes <= room) return;
  refuse(
    'quota',
    'free',
    say`${what} needs ${inMegabytes(bytes)} more, and there is room for ${inMegabytes(Math.max(0, room))}; free something that is kept, or choose smaller files.`,
    { needed: bytes, room },
  );
}

/**
 * Downloads files of a repository into the store; those that are there cost nothing.
 *
 * @throws PapilioError as {@link fetchFile}, and 'quota' before anything is fetched that has no room
 */
export async function downloadFiles(
  listing: Listing,
  files: readonly RepoFile[],
  host: HubHost,
  transfer: Transfer = {},
): Promise<void> {
  const { hub, kind, repo, commit, revision } = listing;
  const { token, store } = host;
  const folder = folderOf(hub, kind, repo);
  const { done: already, total, isWhole } = await weigh(listing, files, host);
  if (isWhole) return transfer.onBytes?.(total, total, repo);
  await requireRoom(total - already, repo, host);
  await rememberListing(store, listing);
  let before = 0;
  for (const file of files) {
    const { path, size, sha256, oid } = file;
    const asked = { hub, kind, repo, path, revision, hasToken: token !== undefined };
    const wanted: Wanted = {
      url: fileAddress(hub, kind, repo, commit, path),
      folder,
      name: contentName(file),
      label: baseName(path),
      size,
      sha256,
      oid: oid === '' ? null : oid,
      ...(token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } }),
      refuse: (response) => refuseAnswer(response, asked),
    };
    const start = before;
    await fetchFile(wanted, host, {
      ...transfer,
      onBytes: (done, _, what) => transfer.onBytes?.(start + done, total, what),
    });
    before += size;
    transfer.onBytes?.(before, total, baseName(path));
  }
}

/** Files of a repository that are in the store; one that the disk has changed is fetched again. */
export function cachedFiles(listing: Listing, files: readonly RepoFile[], host: HubHost): CachedFile[] {
  const folder = folderOf(listing.hub, listing.kind, listing.repo);
  return files.map((file) => ({
    path: file.path,
    async read() {
      const what = say`${file.path} of ${listing.repo}`;
      const read = () => readKept(host.store, folder, contentName(file), file);
      const kept = await read();
      if (kept !== 'changed') return kept ?? gone(what);
      await downloadFiles(listing, [file], host);
      const anew = await read();
      return anew === 'changed' ? damaged(what) : (anew ?? gone(what));
    },
  }));
}

const gone = (what: string): never =>
  refuse('not-found', 'again', say`${what} is no longer kept; download it again.`);

const damaged = (what: string): never =>
  refuse(
    'malformed-file',
    'again',
    say`${what} is not on the disk as it was fetched: something changed it, or the disk is failing. It was thrown away; download it again.`,
  );

/**
 * A file by its address and, under the same roof, files beside it: `names` relative to its folder ("config.json", "../config.json"). What was
 * fetched once is not asked for again, nor what did not exist. Those that do not exist are left out, unless `isNeeded`.
 */
export function downloadUrl(
  source: UrlSource,
  names: readonly string[],
  isNeeded: boolean,
  host: HubHost,
  transfer: Transfer = {},
): Promise<CachedFile[]> {
  const { url, folder = urlFolder(url) } = source;
  const label = baseName(new URL(url).pathname);
  return ownUrlFacts(
    host.store,
    folder,
    () => downloadOwned({ url, folder }, names, isNeeded, host, transfer),
    waitingFor({ label, size: null }, transfer),
  );
}

async function downloadOwned(
  { url, folder }: Required<Pick<UrlSource, 'url' | 'folder'>>,
  names: readonly string[],
  isNeeded: boolean,
  host: HubHost,
  transfer: Transfer,
): Promise<CachedFile[]> {
  const home = new URL(url);
  const { store } = host;
  let facts = (await readUrlFacts(store, folder)) ?? { url: shown(url), files: {}, contents: {} };
  // An older program kept addresses whole.
  if (facts.url !== shown(url)) {
    facts = { ...facts, url: shown(url) };
    await writeUrlFacts(store, folder, facts);
  }
  const out: CachedFile[] = [];
  for (const name of names) {
    const address = new URL(home);
    address.pathname = new URL(name, `https://x${folderName(home.pathname)}`).pathname;
    const kept = Object.hasOwn(facts.files, name) ? facts.files[name] : undefined;
    if (kept === null) continue;
    const stored = kept ?? `file-${Object.keys(facts.files).length}`;
    if (kept === undefined) {
      facts = { ...facts, files: { ...facts.files, [name]: stored } };
      await writeUrlFacts(store, folder, facts);
    }
    const isMissing = await fetchFile(
      {
        url: address.href,
        folder,
        name: stored,
        label: baseName(name),
        size: null,
        sha256: null,
        oid: null,
        onContent: (content) => {
          facts = { ...facts, contents: { ...facts.contents, [stored]: content } };
          return writeUrlFacts(store, folder, facts);
        },
        refuse: (response) => refuseUrl(response, address.href),
      },
      host,
      transfer,
    ).then(
      () => false,
      (error: { kind?: string }) => {
        // A server may refuse what it does not have instead of saying so.
        if (isNeeded || (error.kind !== 'not-found' && error.kind !== 'forbidden')) throw error;
        return true;
      },
    );
    if (isMissing) {
      facts = { ...facts, files: { ...facts.files, [name]: null } };
      await writeUrlFacts(store, folder, facts);
      continue;
    }
    const content = Object.hasOwn(facts.contents, stored) ? facts.contents[stored] : undefined;
    out.push({
      path: name,
      async read() {
        const what = shown(address.href);
        // Of what an older program fetched no hash is known.
        const bytes = content
          ? await readKept(store, folder, stored, { ...content, oid: '' })
          : await store.read(folder, stored);
        return bytes === 'changed' ? damaged(what) : (bytes ?? gone(what));
      },
    });
  }
  return out;
}
