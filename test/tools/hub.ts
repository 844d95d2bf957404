/**
 * A stand-in for the Hub on this machine: the same paths, redirects, ranges, headers and refusals, with faults to order. It listens on
 * 127.0.0.1, allows every page to read it as the Hub does, and counts what it was asked. Pages may ask https addresses alone: for them it has a
 * certificate of its own, which a browser has to be told to take.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface HubRepo {
  readonly kind: 'model' | 'dataset';
  readonly name: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Branches and tags beside `main`. */
  readonly revisions?: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  /** Readable with the token alone. */
  readonly isGated?: boolean;
  /** For any but the token it does not exist. */
  readonly isPrivate?: boolean;
  readonly tags?: readonly string[];
  readonly downloads?: number;
}

/** What goes wrong with the bytes of a file. */
export type Fault =
  /** The connection is cut after so many bytes of an answer. */
  | { readonly kind: 'cut'; readonly after: number }
  /** The answer ends early, and says that it was whole. */
  | { readonly kind: 'short'; readonly by: number }
  /** One byte is another. */
  | { readonly kind: 'wrong' }
  | { readonly kind: 'status'; readonly status: number }
  /** So many bytes at a time, with pauses between, milliseconds. */
  | { readonly kind: 'slow'; readonly bytes: number; readonly pauseMs: number }
  /** An answer stops after so many bytes and goes on when `until` resolves: never, if there is none. */
  | { readonly kind: 'hold'; readonly after: number; readonly until?: Promise<unknown> }
  /** The whole file, whatever range was asked for. */
  | { readonly kind: 'no-ranges' };

export interface HubServer {
  readonly url: string;
  readonly token: string;
  /** "GET /path" with the Range after it where there was one. */
  readonly requests: string[];
  readonly repos: Map<string, HubRepo>;
  /** Faults by file path or, with '*', for all. */
  readonly faults: Map<string, Fault>;
  commitOf(name: string, revision?: string): string;
  close(): Promise<void>;
}

/** Larger files are kept by LFS, as on the Hub. */
const LFS_FROM = 1000;
const TOKEN = 'hf_standin';
/** A reader throws away what it has not read when the line is cut: on a busy machine it needs a moment. */
const CUT_AFTER_MS = 500;

const sha1 = (data: Uint8Array | string) => createHash('sha1').update(data).digest('hex');
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const gitOid = (data: Uint8Array) =>
  createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex');

const EXPOSED =
  'X-Repo-Commit,X-Error-Code,X-Error-Message,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag';

function commitOf(repo: HubRepo, revision: string): string | null {
  const files = revision === 'main' ? repo.files : repo.revisions?.[revision];
  if (files === undefined) return null;
  return sha1(
    `${repo.name} ${Object.entries(files)
      .map(([path, bytes]) => `${path} ${sha1(bytes)}`)
      .join('\n')}`,
  );
}

/** Key and certificate of the stand-in, signed by itself: nothing but these tests trusts it. */
const certificate = () => readFileSync(new URL('../fixtures/stand-in.pem', import.meta.url));

/** @param port that of a stand-in which was closed, to come back where it was */
export async function startHub(
  repos: readonly HubRepo[],
  port = 0,
  protocol: 'http' | 'https' = 'http',
): Promise<HubServer> {
  const byName = new Map(repos.map((repo) => [repo.name, repo]));
  /** Content at every commit there ever was: commits do not change when their branch does. */
  const history = new Map<string, Readonly<Record<string, Uint8Array>>>();
  const faults = new Map<string, Fault>();
  const requests: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, response).catch(() => response.destroy());
  };
  const server =
    protocol === 'http'
      ? createServer(listener)
      : createSecureServer({ key: certificate(), cert: certificate() }, listener);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const url = `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const filesAt = (repo: HubRepo, revision: string) => {
    const name = revision === 'HEAD' ? 'main' : revision;
    const commit = commitOf(repo, name) ?? revision;
    if (commit !== revision) history.set(commit, name === 'main' ? repo.files : repo.revisions![name]!);
    const files = history.get(commit);
    return files === undefined ? null : { commit, files };
  };

  for (const repo of repos)
    for (const revision of ['main', ...Object.keys(repo.revisions ?? {})]) filesAt(repo, revision);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, url);
    const range = request.headers.range;
    response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
    response.setHeader('Access-Control-Expose-Headers', EXPOSED);
    if (request.method === 'OPTIONS') {
      response.setHeader('Access-Control-Allow-Headers', 'authorization, range, accept');
      response.writeHead(204).end();
      return;
    }
    requests.push(`${request.method} ${pathname}${range === undefined ? '' : ` ${range}`}`);
    const isKnown = request.headers.authorization === `Bearer ${TOKEN}`;
    const refuse = (status: number, code: string, message: string) => {
      response.writeHead(status, {
        'X-Error-Code': code,
        'X-Error-Message': message,
        'Content-Type': 'application/json',
      });
      response.end(JSON.stringify({ error: message }));
    };
    const json = (value: unknown, headers: Readonly<Record<string, string>> = {}) => {
      response.writeHead(200, { 'Content-Type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    };
    const describe = (repo: HubRepo, sha?: string) => ({
      _id: sha1(repo.name).slice(0, 24),
      id: repo.name,
      private: repo.isPrivate ?? false,
      gated: repo.isGated ? 'manual' : false,
      downloads: repo.downloads ?? 1,
      likes: 0,
      lastModified: '2026-01-01T00:00:00.000Z',
      ...(sha === undefined ? {} : { sha }),
    });

    const search = /^\/api\/(model|dataset)s$/.exec(pathname);
    if (search) {
      const words = (searchParams.get('search') ?? '').toLowerCase();
      const tag = searchParams.get('filter');
      const hits = [...byName.values()].filter(
        (repo) =>
          repo.kind === search[1] &&
          !repo.isPrivate &&
          repo.name.toLowerCase().includes(words) &&
          (tag === null || (repo.tags ?? []).includes(tag)),
      );
      return json(hits.map((repo) => describe(repo)));
    }

    const [, apiKind, name, verb, apiRevision] =
      /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname) ?? [];
    const [, fileKind, fileRepo, fileRevision, filePath] =
      /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
    if (pathname.startsWith('/cdn/')) return sendFile(pathname, range, response);
    const repo = byName.get(name ?? fileRepo ?? '');
    const kind = apiKind ?? (fileKind === undefined ? 'model' : 'dataset');
    // As the Hub does: who may not know of a repository is not told that it exists.
    if (repo === undefined || repo.kind !== kind || (repo.isPrivate && !isKnown))
      return refuse(isKnown ? 404 : 401, 'RepoNotFound', 'Repository not found');
    const revision = decodeURIComponent(apiRevision ?? fileRevision!);
    const at = filesAt(repo, revision);
    if (at === null) return refuse(404, 'RevisionNotFound', `Invalid rev id: ${revision}`);

    if (verb === 'revision') return json(describe(repo, at.commit));
    if (verb === 'tree') {
      const entries = Object.entries(at.files).map(([path, bytes]) => ({
        type: 'file',
        path,
        size: bytes.length,
        oid: gitOid(bytes),
        ...(bytes.length >= LFS_FROM
          ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }
          : {}),
      }));
      // Two pages, so that paging is seen.
      const from = Number(searchParams.get('cursor') ?? 0);
      const half = Math.ceil(entries.length / 2);
      const next = `${url}${pathname}?recursive=true&cursor=${half}`;
      return json(
        from === 0 ? entries.slice(0, half) : entries.slice(from),
        from === 0 && half < entries.length ? { Link: `<${next}>; rel="next"` } : {},
      );
    }

    if (repo.isGated && !isKnown) return refuse(401, 'GatedRepo', 'Access to this model is restricted.');
    const path = decodeURIComponent(filePath!);
    const bytes = at.files[path];
    if (bytes === undefined) return refuse(404, 'EntryNotFound', 'Entry not found');
    const linked = {
      'X-Repo-Commit': at.commit,
      'X-Linked-Size': String(bytes.length),
      'X-Linked-ETag': `"${sha256(bytes)}"`,
    };
    if (bytes.length < LFS_FROM) return sendFile(`/cdn/${at.commit}/${path}`, range, response, linked);
    response.writeHead(302, { ...linked, Location: `${url}/cdn/${at.commit}/${path}` }).end();
  }

  async function sendFile(
    pathname: string,
    range: string | undefined,
    response: ServerResponse,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const [, commit, rawPath] = /^\/cdn\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
    const path = decodeURIComponent(rawPath ?? '');
    const content = history.get(commit ?? '')?.[path];
    if (content === undefined) return void response.writeHead(404).end();
    const fault = faults.get(path) ?? faults.get('*');
    if (fault?.kind === 'status') return void response.writeHead(fault.status).end();
    let bytes = content;
    if (fault?.kind === 'wrong') {
      bytes = content.slice();
      bytes[bytes.length >> 1]! ^= 1;
    }
    if (fault?.kind === 'short') bytes = content.slice(0, content.length - fault.by);
    const etag = `"${sha256(content)}"`;
    const from = fault?.kind === 'no-ranges' ? undefined : /^bytes=(\d+)-$/.exec(range ?? '')?.[1];
    const start = Number(from ?? 0);
    if (from !== undefined && start >= bytes.length)
      return void response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    const rest = bytes.subarray(start);
    response.writeHead(from === undefined ? 200 : 206, {
      ...headers,
      ETag: etag,
      'Accept-Ranges': 'bytes',
      'Content-Type': 'application/octet-stream',
      'Content-Length': String(rest.length),
      ...(from === undefined
        ? {}
        : { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (fault?.kind === 'cut') {
      response.write(rest.subarray(0, fault.after), () => setTimeout(() => response.destroy(), CUT_AFTER_MS));
      return;
    }
    if (fault?.kind === 'slow') {
      for (let at = 0; at < rest.length && !response.destroyed; at += fault.bytes) {
        response.write(rest.subarray(at, at + fault.bytes));
        await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
      }
      response.end();
      return;
    }
    if (fault?.kind === 'hold') {
      response.write(rest.subarray(0, fault.after));
      await (fault.until ?? once(response, 'close'));
      response.end(rest.subarray(fault.after));
      return;
    }
    response.end(rest);
  }

  return {
    url,
    token: TOKEN,
    requests,
    repos: byName,
    faults,
    commitOf(name, revision = 'main') {
      const repo = byName.get(name)!;
      return filesAt(repo, revision)!.commit;
    },
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
