/** Names of repositories as people write them, and the addresses and folders that follow from them. */
import { createSha256 } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { HubSource, RepoKind, UrlSource } from './types.ts';

export const HUB_ADDRESS = 'https://huggingface.co';

const REPO = /^(?:[\w-][\w.-]*\/)?[\w-][\w.-]*$/;
const COMMIT = /^[0-9a-f]{40}$/;
const SAFE_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

export const isCommit = (revision: string): boolean => COMMIT.test(revision);

/** Whether `repo` may stand in an address: "owner/name", or the bare name of an old repository. */
export const isRepoName = (repo: string): boolean =>
  REPO.test(repo) && !repo.includes('..') && !repo.includes('--') && repo.length <= 200;

const isAddress = (word: string): boolean => /^https?:\/\//.test(word);

/** Fields of a query that choose a form of what is public. */
const PLAIN_FIELD = /^(?:download|dl|raw|ref|rev|revision|version|v|format|export|inline)$/;
const PLAIN_VALUE = /^[\w.-]{0,40}$/;

/**
 * An address as it may be printed and kept: without name and password, and of its query only what cannot be a secret; "…" stands for the
 * rest. What is no address stays as it is.
 */
export function shown(word: string): string {
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(word.trim())) return word;
  const url = URL.canParse(word) ? new URL(word) : null;
  // What cannot be read may hold anything behind its first part.
  if (url === null) return `${word.trim().split('://')[0]}://…`;
  const fields = [...url.searchParams];
  const plain = fields.filter(([name, value]) => PLAIN_FIELD.test(name) && PLAIN_VALUE.test(value));
  const query = [
    ...plain.map(([name, value]) => `${name}=${value}`),
    ...(plain.length < fields.length ? ['…'] : []),
  ];
  return `${url.protocol}//${url.host}${url.pathname}${query.length > 0 ? `?${query.join('&')}` : ''}`;
}

/** A source as it may be kept: without secrets, and with the store's name of the whole address, under which what was fetched is found. */
export function keptSource<Source extends { readonly kind: string }>(source: Source): Source {
  if (source.kind !== 'url' || !('url' in source) || typeof source.url !== 'string') return source;
  const url = shown(source.url);
  return url === source.url ? source : { ...source, url, folder: urlFolder(source.url) };
}

/** The folder of everything that belongs to one address. */
export const urlFolder = (url: string): string => `url--${hashName(url)}`;

/** Whether {@link shown} has left something out, so that the address does not lead there any more. */
const isHidden = (word: string): boolean => /^https?:\/\/.*[?&](?:…|%E2%80%A6)$/.test(word);

/**
 * An address as it may be fetched: https, or http on this machine.
 * @throws PapilioError 'bad-argument'
 */
export function webAddress(word: string): URL {
  const url = URL.canParse(word) ? new URL(word) : null;
  if (isHidden(word))
    return fail(
      'bad-argument',
      say`${shown(word)} was kept without a part that may be a secret; give the whole address again, or the file.`,
    );
  if (url === null)
    return fail('bad-argument', say`"${shown(word)}" is no web address; it begins with https://.`);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && SAFE_HOSTS.includes(url.hostname)))
    return fail(
      'bad-argument',
      say`${shown(word)} is not fetched: only https addresses are, or http on this machine.`,
    );
  if (url.username !== '' || url.password !== '')
    return fail('bad-argument', say`Addresses with a password in them are not fetched; leave it out.`);
  return url;
}

/** The address of a Hub without a slash at the end. @throws PapilioError 'bad-argument' */
export function hubAddress(word: string): string {
  const url = webAddress(word);
  return `${url.origin}${url.pathname}`.replace(/(?<!\/)\/+$/, '');
}

/** `name[@revision][/path]`; revisions below refs/ have two parts more, as refs/pr/1. */
function parseName(words: string): HubSource {
  const [, repo = '', rest = ''] = /^([^@/]+(?:\/[^@/]+)?)(.*)$/s.exec(words) ?? [];
  const [, revision, path] = /^(?:@(refs\/[^/]+\/[^/]+|[^/]+))?(?:\/(.+))?$/.exec(rest) ?? [];
  const isPath = path === undefined || path.split('/').every((part) => !['', '.', '..'].includes(part));
  if (!isRepoName(repo) || !isPath || (rest !== '' && revision === undefined && path === undefined))
    return fail(
      'bad-argument',
      say`"${words}" names no repository; write owner/name, owner/name@revision or owner/name@revision/file.`,
    );
  return {
    kind: 'hub',
    repo,
    ...(revision === undefined ? {} : { revision }),
    ...(path === undefined ? {} : { files: [path] }),
  };
}

/**
 * What people write: `owner/name[@revision][/file]` with or without "hub:" before it, the address of a page or file of a Hub, or that of
 * a file anywhere else.
 *
 * @throws PapilioError 'bad-argument'
 */
export function parseSource(word: string, kind: RepoKind, hub: string = HUB_ADDRESS): HubSource | UrlSource {
  const text = word.trim();
  if (!isAddress(text)) return { ...parseName(text.replace(/^hub:/, '')), ...otherHub(hub) };
  const url = webAddress(text);
  const page = onHub(url, kind, hub);
  return page ?? { kind: 'url', url: url.href };
}

const otherHub = (hub: string): { hub?: string } => (hub === HUB_ADDRESS ? {} : { hub });

/** A page or file of the Hub by its address: /owner/name, …/tree/REV, …/blob/REV/PATH, …/resolve/REV/PATH. */
function onHub(url: URL, kind: RepoKind, hub: string): HubSource | null {
  const address = `${url.origin}${url.pathname}`;
  const home = [hub, HUB_ADDRESS].find((h) => address.startsWith(`${h}/`));
  if (home === undefined) return null;
  const path = decodeURIComponent(address.slice(home.length + 1)).replace(/\/$/, '');
  const inKind = kind === 'dataset' ? path.replace(/^datasets\//, '') : path;
  const [, repo = '', revision, file] =
    /^([^/]+\/[^/]+)(?:\/(?:tree|blob|resolve|raw)\/(refs\/[^/]+\/[^/]+|[^/]+)(?:\/(.+))?)?$/.exec(inKind) ??
    [];
  if (!isRepoName(repo) || (kind === 'dataset' && inKind === path)) return null;
  return {
    kind: 'hub',
    repo,
    ...(revision === undefined ? {} : { revision }),
    ...(file === undefined ? {} : { files: [file] }),
    ...otherHub(home),
  };
}

/** A source in one line, as {@link parseSource} reads it, but for secrets in an address. */
export function nameOf(source: HubSource | UrlSource): string {
  if (source.kind === 'url') return shown(source.url);
  const { repo, revision, files = [] } = source;
  return `hub:${repo}${revision === undefined ? '' : `@${revision}`}${files.length === 1 ? `/${files[0]}` : ''}`;
}

/** Where a file of a commit is. */
export function fileAddress(hub: string, kind: RepoKind, repo: string, commit: string, path: string): string {
  const where = path.split('/').map(encodeURIComponent).join('/');
  return `${hub}/${kind === 'dataset' ? 'datasets/' : ''}${repo}/resolve/${commit}/${where}`;
}

/** The page of a repository, for people. */
export const pageAddress = (hub: string, kind: RepoKind, repo: string): string =>
  `${hub}/${kind === 'dataset' ? 'datasets/' : ''}${repo}`;

/** The longest that the name of a Hub may make its folders. */
const HUB_LENGTH = 100;

/** The folder that keeps a repository's files; another Hub's are kept apart. */
export function folderOf(hub: string, kind: RepoKind, repo: string): string {
  const name = `${kind}s--${repo.replace('/', '--')}`;
  if (hub === HUB_ADDRESS) return name;
  const words = hub.replace(/^https?:\/\//, '').replaceAll(/[^\w.-]|\.{2,}/g, '_');
  return `${words.length > HUB_LENGTH ? words.slice(0, HUB_LENGTH / 2) + hashName(hub) : words}--${name}`;
}

/** 32 hex digits that stand for a word. */
function hashName(word: string): string {
  const hash = createSha256();
  hash.update(new TextEncoder().encode(word));
  return hash.hex().slice(0, 32);
}

/** The last part of a path. */
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The folder of a path with a slash at the end, or ''. */
export const folderName = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

export const isOnnx = (path: string): boolean => path.endsWith('.onnx');
