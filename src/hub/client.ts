/**
 * Asking the Hub: search, and what a repository holds at a commit, read against a schema. Paging and parameters are `@huggingface/hub`'s, loaded when first needed.
 */
import type { ListFileEntry } from '@huggingface/hub';
import { createBudget } from '../lib/budget.ts';
import { PapilioError } from '../lib/errors.ts';
import { countJson } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { z } from '../lib/schema.ts';
import { isCommit, isRepoName } from './names.ts';
import {
  type Asked,
  aborted,
  inTime,
  isAbort,
  refuse,
  refuseAnswer,
  SILENCE_MS,
  textOf,
  unreachable,
} from './refusals.ts';
import type { FoundRepo, HubHost, Listing, RepoKind } from './types.ts';

const MOST_HITS = 12;
/** One is what a search without a hit gives. */
const MOST_EMPTY_PAGES = 10;
const library = () => import('@huggingface/hub');

/** What the library takes beside its own parameters; refusals become sentences before it sees them. */
function access(host: HubHost, asked: Omit<Asked, 'hub' | 'hasToken'>, signal?: AbortSignal) {
  const { hub, token } = host;
  if (token !== undefined && !token.startsWith('hf_'))
    refuse('forbidden', 'token', say`This is no access token of the Hub: those begin with "hf_".`);
  const asks = createBudget('hubPages');
  const { silenceMs = SILENCE_MS } = host;
  let emptyPages = 0;
  const checked: typeof fetch = async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    asks.take(1, asked.repo);
    // The library goes where a page says that the next one is, and takes the token along.
    if (!isOfOrigin(url, hub)) foreignPage(url, hub);
    try {
      const response = await inTime(url, { silenceMs }, signal, (both) =>
        host.fetch(url, { ...init, signal: both }),
      );
      if (!response.ok) return refuseAnswer(response, { ...asked, hub, hasToken: token !== undefined });
      const text = await textOf(response, { url, what: asked.repo, silenceMs });
      countJson(
        text,
        say`The Hub's answer about ${asked.repo}`,
        createBudget('hubAnswerValues', text.length),
      );
      emptyPages = /^\s*\[\s*\]\s*$/.test(text) ? emptyPages + 1 : 0;
      if (emptyPages > MOST_EMPTY_PAGES)
        refuse('network', 'choose', say`${new URL(hub).host} answers with one empty page after another.`);
      return new Response(text, { status: response.status, headers: headersOf(response) });
    } catch (error) {
      if (isAbort(error)) throw aborted(say`The search`);
      if (error instanceof SyntaxError) return unreadable(asked.repo);
      throw error instanceof PapilioError ? error : unreachable(url, host);
    }
  };
  return { hubUrl: hub, fetch: checked, ...(token === undefined ? {} : { accessToken: token }) };
}

/** Those of a text that is unpacked by now. */
function headersOf({ headers }: Response): Headers {
  const kept = new Headers(headers);
  for (const name of ['content-encoding', 'content-length', 'transfer-encoding']) kept.delete(name);
  return kept;
}

/** At the Hub itself, and with no name and password of somebody else's choice. */
function isOfOrigin(url: string, hub: string): boolean {
  if (!URL.canParse(url)) return false;
  const { origin, username, password } = new URL(url);
  return origin === new URL(hub).origin && username === '' && password === '';
}

function foreignPage(url: string, hub: string): never {
  const where = URL.canParse(url) ? new URL(url).origin : say`no address`;
  return refuse(
    'network',
    'choose',
    say`${new URL(hub).host} says that its answer goes on at ${where}, which is another server; nothing was asked there, and no token was sent.`,
  );
}

/** Models with ONNX files, or datasets, whose name has the words in it; the most fetched first. */
export async function searchRepos(
  words: string,
  kind: RepoKind,
  host: HubHost,
  signal?: AbortSignal,
): Promise<FoundRepo[]> {
  const { listModels, listDatasets } = await library();
  const common = {
    ...access(host, { kind, repo: words }, signal),
    sort: 'downloads' as const,
    limit: MOST_HITS,
  };
  const hits =
    kind === 'model'
      ? listModels({ ...common, search: { query: words, tags: ['onnx'] } })
      : listDatasets({ ...common, search: { query: words } });
  const found: FoundRepo[] = [];
  try {
    for await (const hit of hits) {
      const task = 'task' in hit && typeof hit.task === 'string' ? hit.task : null;
      // A name that cannot be opened is no offer.
      if (!isRepoName(String(hit.name))) continue;
      const downloads = Number.isFinite(hit.downloads) ? hit.downloads : 0;
      found.push({ repo: hit.name, downloads, isGated: Boolean(hit.gated), task });
    }
  } catch (error) {
    if (error instanceof PapilioError) throw error;
    unreadable(words);
  }
  return found.sort((a, b) => b.downloads - a.downloads);
}

/** Repositories named like one, for a sentence; none when the search fails as well. */
export async function namesLike(repo: string, kind: RepoKind, host: HubHost): Promise<string[]> {
  const name = repo.slice(repo.indexOf('/') + 1).replace(/-onnx$/i, '');
  // A part of the name finds what a slip at its end or its size hides.
  for (const words of [name, name.split(/[-_.]/).slice(0, 2).join('-'), name.split(/[-_.]/)[0]!]) {
    const found = words.length < 2 ? [] : await searchRepos(words, kind, host).catch(() => []);
    const others = found.map((hit) => hit.repo).filter((other) => other !== repo);
    if (others.length > 0) return others.slice(0, 3);
  }
  return [];
}

/** An answer that is no JSON, or another JSON than a Hub's. */
const unreadable = (what: string): never =>
  refuse(
    'network',
    'again',
    say`The Hub's answer about ${what} cannot be read; is it a Hub that answers there?`,
  );

/** @throws PapilioError 'malformed-file' naming repository and entry */
function fileOf(entry: ListFileEntry, repo: string): Listing['files'][number] {
  const { path, size, oid, lfs } = entry;
  const file = parseEntry({ path, size: lfs?.size ?? size, sha256: lfs?.oid ?? null, oid });
  if (typeof file !== 'string') return file;
  const name = JSON.stringify(String(path).slice(0, 80));
  return refuse(
    'malformed-file',
    'choose',
    say`The Hub's listing of ${repo} cannot be used: of its entry ${name}, ${file}; nothing was fetched.`,
  );
}

/**
 * The files of a repository; the revision is looked up and pinned to its commit.
 *
 * @throws PapilioError 'not-found' (with names that are near), 'forbidden', 'network', 'aborted', 'bad-argument'
 */
export async function askListing(
  kind: RepoKind,
  repo: string,
  revision: string,
  host: HubHost,
  signal?: AbortSignal,
): Promise<Listing> {
  if (!isRepoName(repo))
    refuse(
      'bad-argument',
      'choose',
      say`"${repo}" names no repository; write owner/name as the Hub shows it.`,
    );
  const { modelInfo, datasetInfo, listFiles } = await library();
  const common = access(host, { kind, repo, revision }, signal);
  try {
    const request = { ...common, name: repo, revision, additionalFields: ['sha' as const] };
    const { sha, gated } = await (kind === 'model' ? modelInfo(request) : datasetInfo(request));
    if (!isCommit(sha)) refuse('network', 'choose', say`The Hub gives no commit for ${repo}@${revision}.`);
    const files: Listing['files'][number][] = [];
    const listed = createBudget('repositoryFiles');
    for await (const entry of listFiles({
      ...common,
      repo: { type: kind, name: repo },
      revision: sha,
      recursive: true,
    })) {
      listed.take(1, repo);
      if (entry?.type === 'file') files.push(fileOf(entry, repo));
    }
    return { hub: host.hub, kind, repo, revision, commit: sha, isGated: Boolean(gated), files };
  } catch (error) {
    if (!(error instanceof PapilioError)) return unreadable(repo);
    if (error.details.isMissing !== true) throw error;
    const near = await namesLike(repo, kind, host);
    if (near.length === 0) throw error;
    throw new PapilioError(error.kind, say`${error.message} Near to it: ${near.join(', ')}.`, {
      ...error.details,
      near,
    });
  }
}

// A repository's listing as it may be used: whoever answers for a Hub decides no file name and no length that is none.

const COMMIT = /^[0-9a-f]{40}$/;

/** Relative, with forward slashes; no way up, no control characters, no half of a character, which no address can hold. */
const isPath = (path: string): boolean =>
  path.length <= 4096 &&
  // Half of a surrogate pair.
  !/\p{Surrogate}/u.test(path) &&
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  !/[\u0000-\u001f\u007f-\u009f\\]/.test(path) &&
  !/^[a-z]:/i.test(path) &&
  path.split('/').every((part) => !['', '.', '..'].includes(part));

const fileSchema = z.object({
  path: z.string().refine(isPath, { error: () => say`its path does not stay in the repository` }),
  size: z
    .int({ error: () => say`its size is no whole number` })
    .min(0, { error: () => say`its size is below 0` }),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: () => say`its SHA-256 is none` })
    .nullable(),
  oid: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, { error: () => say`Git's hash of it is none` }),
});

const listingSchema = z.object({
  hub: z.string(),
  kind: z.enum(['model', 'dataset']),
  repo: z.string(),
  revision: z.string(),
  commit: z.string().regex(COMMIT),
  isGated: z.boolean(),
  files: z.array(fileSchema),
});

/** A kept listing, or null for what is none: then the Hub is asked again. */
export function parseListing(value: unknown): Listing | null {
  const parsed = listingSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** One entry of a listing, or why it is none. */
function parseEntry(value: unknown): Listing['files'][number] | string {
  const parsed = fileSchema.safeParse(value);
  return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? say`it is no file`);
}
