/** From what a model or dataset is named by to its files: revision pinned, files chosen, everything fetched that is not there yet. */

import { fixed, say } from '../lib/say.ts';
import { namesLike } from './client.ts';
import { cachedFiles, downloadFiles, downloadUrl, findListing } from './fetching.ts';
import { filesOf, splitsOf, USUAL_SIDECARS, usualSplit, type Variant, variantsOf } from './layout.ts';
import { baseName, folderName, isOnnx } from './names.ts';
import { refuse } from './refusals.ts';
import type {
  CachedFile,
  HubHost,
  HubSource,
  Listing,
  RepoFile,
  RepoKind,
  Transfer,
  UrlSource,
} from './types.ts';

/** What a source stands for, exactly: a commit and the files of it, or an address. */
export interface Pinned {
  readonly listing: Listing;
  readonly files: readonly RepoFile[];
  readonly source: HubSource;
  /** Sentences worth showing. */
  readonly notes: readonly string[];
}

export interface OpenedFiles {
  readonly files: readonly CachedFile[];
  readonly notes: readonly string[];
  /** Further files beside the first .onnx, as the model itself names them. @throws PapilioError 'not-found' */
  readonly beside: (names: readonly string[]) => Promise<readonly CachedFile[]>;
}

const inMegabytes = (bytes: number): string => `${fixed(bytes / 2 ** 20, 1)} MB`;

/** The same at another Hub, to which the token does not belong. */
function atHub(host: HubHost, hub: string = host.hub): HubHost {
  if (hub === host.hub) return host;
  const { token: _, ...others } = host;
  return { ...others, hub };
}

/** The variants of a model's repository. @throws PapilioError 'not-found' with repositories that have some */
export async function requireVariants(listing: Listing, host: HubHost): Promise<Variant[]> {
  const variants = variantsOf(listing.files);
  if (variants.length > 0) return variants;
  const near = await namesLike(listing.repo, 'model', host);
  const name = baseName(listing.repo);
  return refuse(
    'not-found',
    'choose',
    near.length > 0
      ? say`${listing.repo} holds no .onnx file; these do: ${near.join(', ')}.`
      : say`${listing.repo} holds no .onnx file; exports are often called onnx-community/${name}-ONNX.`,
    { near: near.length > 0 ? near : [`onnx-community/${name}-ONNX`] },
  );
}

/** The model that is meant when a repository is named without a file. */
function usualVariant(variants: readonly Variant[], repo: string): Variant {
  const first = variants[0]!;
  if (first.part === 'model' || first.part === 'encoder + decoder' || variants.length === 1) return first;
  const offers = variants
    .slice(0, 8)
    .map(({ onnx, bytes }) => `${onnx[0]} (${inMegabytes(bytes)})`)
    .join(', ');
  return refuse('bad-argument', 'choose', say`${repo} holds several models; name one of ${offers}.`);
}

function chosenFiles(listing: Listing, paths: readonly string[], kind: RepoKind): RepoFile[] {
  const missing = paths.filter((path) => !listing.files.some((file) => file.path === path));
  if (missing.length > 0)
    refuse(
      'not-found',
      'choose',
      say`${listing.repo} has no file ${missing.join(', ')} at ${listing.revision}.`,
    );
  const onnx = kind === 'model' ? paths.filter(isOnnx) : [];
  const own = onnx.length > 0 ? filesOf(onnx, listing.files) : [];
  const others = listing.files.filter(
    ({ path }) => paths.includes(path) && !own.some((f) => f.path === path),
  );
  return [...own, ...others];
}

/**
 * Looks up what a source stands for; nothing but listings is fetched.
 *
 * @throws PapilioError 'not-found', 'forbidden', 'network', 'bad-argument', 'aborted'
 */
export async function pin(
  source: HubSource,
  kind: RepoKind,
  host: HubHost,
  signal?: AbortSignal,
): Promise<Pinned> {
  const revision = source.revision ?? 'main';
  const at = atHub(host, source.hub);
  const { listing, isOld } = await findListing(kind, source.repo, revision, at, signal);
  const notes = isOld
    ? [
        say`The Hub cannot be reached: ${source.repo} is taken as it was last seen (${listing.commit.slice(0, 7)}).`,
      ]
    : [];
  let paths = source.files ?? [];
  if (paths.length === 0 && kind === 'model')
    paths = usualVariant(await requireVariants(listing, at), source.repo).onnx;
  if (paths.length === 0) {
    const split = usualSplit(splitsOf(listing.files));
    if (split === undefined)
      return refuse(
        'not-found',
        'choose',
        say`${source.repo} holds no .parquet, .jsonl, .csv or .txt file; its revision refs/convert/parquet may.`,
      );
    paths = split.files.map(({ path }) => path);
  }
  return {
    listing,
    files: chosenFiles(listing, paths, kind),
    source: { ...source, revision: listing.commit, files: paths },
    notes,
  };
}

/**
 * The files of a source, fetched where they are not kept.
 *
 * @throws PapilioError as {@link pin} and the download do
 */
export async function openSource(
  source: HubSource | UrlSource,
  kind: RepoKind,
  host: HubHost,
  transfer: Transfer = {},
): Promise<OpenedFiles> {
  if (source.kind === 'url') return openUrl(source, kind, host, transfer);
  const { listing, files, notes } = await pin(source, kind, host, transfer.signal);
  const at = atHub(host, listing.hub);
  await downloadFiles(listing, files, at, transfer);
  const first = folderName(files.find(({ path }) => isOnnx(path))?.path ?? '');
  return {
    files: cachedFiles(listing, files, at),
    notes,
    async beside(names) {
      const more = chosenFiles(
        listing,
        names.map((name) => first + name),
        'dataset',
      );
      await downloadFiles(listing, more, at, transfer);
      return cachedFiles(listing, more, at);
    },
  };
}

async function openUrl(
  source: UrlSource,
  kind: RepoKind,
  host: HubHost,
  transfer: Transfer,
): Promise<OpenedFiles> {
  const { pathname } = new URL(source.url);
  const name = baseName(pathname);
  const beside = (names: readonly string[]) => downloadUrl(source, names, true, host, transfer);
  const own = await beside([name]);
  if (kind === 'dataset' || !isOnnx(name)) return { files: own, notes: [], beside };
  const inOnnxFolder = pathname.endsWith(`/onnx/${name}`);
  const near = await downloadUrl(source, USUAL_SIDECARS, false, host, transfer);
  const missing = USUAL_SIDECARS.filter((sidecar) => !near.some(({ path }) => path === sidecar));
  const above = inOnnxFolder
    ? await downloadUrl(
        source,
        missing.map((sidecar) => `../${sidecar}`),
        false,
        host,
        transfer,
      )
    : [];
  return { files: [...own, ...near, ...above], notes: [], beside };
}
