/**
 * What is kept: a folder for each repository with its files by content (SHA-256, or Git's SHA-1), so that revisions share what did not change,
 * and what is known of its commits (`commit-<sha>.json`, `refs.json`), so that nothing needs to be asked once it is there.
 */
import { z } from '../lib/schema.ts';
import { parseListing } from './client.ts';
import type { Content } from './download.ts';
import { PART } from './download.ts';
import { folderOf, isCommit, shown } from './names.ts';
import type { FileStore, Listing, RepoFile, RepoKind, Waiting } from './types.ts';

/** The name that a file's content has in the store. */
export const contentName = ({ sha256, oid }: RepoFile): string => sha256 ?? oid;

const REFS = 'refs.json';
const URL_FACTS = 'url.json';
const commitName = (commit: string) => `commit-${commit}.json`;

async function readJson(store: FileStore, folder: string, name: string): Promise<unknown> {
  const bytes = await store.read(folder, name);
  if (bytes === null) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    // Cut off while it was written: as if it were not there.
    return null;
  }
}

const writeJson = (store: FileStore, folder: string, name: string, value: unknown): Promise<void> =>
  store.write(folder, name, new TextEncoder().encode(JSON.stringify(value)));

/** The listing of a commit; null for what is none. */
async function readListing(store: FileStore, folder: string, commit: string): Promise<Listing | null> {
  const listing = parseListing(await readJson(store, folder, commitName(commit)));
  return listing?.commit === commit ? listing : null;
}

const refsSchema = z.record(z.string(), z.string().refine(isCommit));

/** Commits by branch or tag. */
async function readRefs(store: FileStore, folder: string): Promise<Readonly<Record<string, string>>> {
  const parsed = refsSchema.safeParse(await readJson(store, folder, REFS));
  return Object.assign(Object.create(null), parsed.data);
}

/** Keeps a listing, so that it can be used without the Hub. */
export async function rememberListing(store: FileStore, listing: Listing): Promise<void> {
  const folder = folderOf(listing.hub, listing.kind, listing.repo);
  await store.own(folder, REFS, async () => {
    const refs = await readRefs(store, folder);
    await writeJson(store, folder, commitName(listing.commit), listing);
    await writeJson(store, folder, REFS, { ...refs, [listing.revision]: listing.commit });
  });
}

/** The listing of a commit, or what a branch last stood for; null when it was never seen. */
export async function knownListing(
  store: FileStore,
  hub: string,
  kind: RepoKind,
  repo: string,
  revision: string,
): Promise<Listing | null> {
  const folder = folderOf(hub, kind, repo);
  const commit = (await readRefs(store, folder))[revision] ?? revision;
  const listing = isCommit(commit) ? await readListing(store, folder, commit) : null;
  // A folder may be of a repository whose name is spelt otherwise, where file systems do not tell letters apart.
  const isSame = listing?.hub === hub && listing.kind === kind && listing.repo === repo;
  return listing !== null && isSame ? { ...listing, revision } : null;
}

/** What is known of a file that came from an address. */
export interface UrlFacts {
  readonly url: string;
  /** File names in the folder by what they are called beside the model; null: known not to exist. */
  readonly files: Readonly<Record<string, string | null>>;
  /** What each file held when it was fetched, by its name in the folder. */
  readonly contents: Readonly<Record<string, Content>>;
}

const fileName = z.string().regex(/^file-\d{1,6}$/);
const urlSchema = z.object({
  url: z.string(),
  files: z.record(z.string(), fileName.nullable()),
  // Older programs kept none.
  contents: z.record(fileName, z.object({ sha256: z.string(), size: z.number() })).default({}),
});

export async function readUrlFacts(store: FileStore, folder: string): Promise<UrlFacts | null> {
  return urlSchema.safeParse(await readJson(store, folder, URL_FACTS)).data ?? null;
}

/** Runs a task that gives files of an address their names: one process after the other. */
export const ownUrlFacts = <T>(
  store: FileStore,
  folder: string,
  task: () => Promise<T>,
  waiting: Waiting,
): Promise<T> => store.own(folder, URL_FACTS, task, waiting);

export const writeUrlFacts = (store: FileStore, folder: string, facts: UrlFacts) =>
  writeJson(store, folder, URL_FACTS, facts);

/** One line of the manager. */
export interface Kept {
  readonly folder: string;
  readonly kind: RepoKind | 'url';
  /** owner/name, or the address. */
  readonly name: string;
  readonly hub: string | null;
  readonly bytes: number;
  /** Of these, in files that are not whole. */
  readonly partBytes: number;
  /** Commits, the newest known of `main` first, with the paths of the files that are here and whole. */
  readonly commits: readonly { readonly commit: string; readonly paths: readonly string[] }[];
}

/** Everything that is kept, the largest first. */
export async function listKept(store: FileStore): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const folder of await store.folders()) {
    const files = await store.list(folder);
    const isPart = (name: string) => files.has(name + PART);
    const sum = (names: readonly string[]) => names.reduce((n, name) => n + (files.get(name) ?? 0), 0);
    const names = [...files.keys()];
    const bytes = sum(names);
    const partBytes = sum(names.filter(isPart));
    // Of what was only looked at, nothing is worth a line.
    if (!names.some((name) => !/\.(json|part)$/.test(name))) continue;
    const facts = await readUrlFacts(store, folder);
    if (facts !== null) {
      kept.push({ folder, kind: 'url', name: shown(facts.url), hub: null, bytes, partBytes, commits: [] });
      continue;
    }
    const listings: Listing[] = [];
    for (const name of names) {
      const commit = /^commit-([0-9a-f]{40})\.json$/.exec(name)?.[1];
      const listing = commit === undefined ? null : await readListing(store, folder, commit);
      if (listing !== null) listings.push(listing);
    }
    const first = listings[0];
    // What another program put there is not ours to show or free.
    if (first === undefined) continue;
    const { main } = await readRefs(store, folder);
    const commits = listings
      .sort((a, b) => Number(b.commit === main) - Number(a.commit === main))
      .map((listing) => ({
        commit: listing.commit,
        paths: listing.files
          .filter((file) => files.has(contentName(file)) && !isPart(contentName(file)))
          .map(({ path }) => path),
      }));
    kept.push({ folder, kind: first.kind, name: first.repo, hub: first.hub, bytes, partBytes, commits });
  }
  return kept.sort((a, b) => b.bytes - a.bytes);
}
