/**
 * One file from an address into the store: streamed, checked, and so that a break loses nothing. A file that is not whole and checked has a
 * `.part` beside it, which says what it is a part of; the next try asks only for the rest (Range). Whether that belongs to what is there, the
 * hash that was promised tells; where none was, only a strong validator does (RFC 9110, 8.8.1), and without one the file begins anew.
 */

import { createSha256 } from '../lib/bytes.ts';
import { PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { z } from '../lib/schema.ts';
import { webAddress } from './names.ts';
import { aborted, inTime, isAbort, type Patience, refuse, SILENCE_MS, unreachable } from './refusals.ts';
import type { FileStore, HubHost, RepoFile, Transfer, Waiting } from './types.ts';

/** A file that is wanted, and what is known of it before it is asked for. */
export interface Wanted {
  readonly url: string;
  readonly folder: string;
  /** Its name in the store. */
  readonly name: string;
  /** What people call it. */
  readonly label: string;
  readonly size: number | null;
  readonly sha256: string | null;
  /** Git's SHA-1 of small files. */
  readonly oid: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Told what came, before it counts as whole. */
  readonly onContent?: (content: Content) => Promise<void>;
  /** Throws for an answer that is none. */
  readonly refuse: (response: Response) => never;
}

interface Part {
  /** A strong ETag, or a date of change that is long past: the same one means the same bytes. */
  readonly validator: string | null;
  /** What was promised. */
  readonly size: number | null;
  /** What the server said that the whole has. */
  readonly total: number | null;
}

const partSchema = z.object({
  validator: z.string().nullable(),
  size: z.number().nullable(),
  total: z.number().nullable(),
});

export const PART = '.part';
const DELAYS = [500, 2000];

/** How much of a file is in the store, and whether that is the whole, checked. */
export async function haveOf(
  store: FileStore,
  { folder, name, size }: Pick<Wanted, 'folder' | 'name' | 'size'>,
): Promise<{ readonly bytes: number; readonly isWhole: boolean }> {
  const files = await store.list(folder);
  const bytes = files.get(name);
  const isWhole = bytes !== undefined && (size === null || bytes === size) && !files.has(name + PART);
  return { bytes: bytes ?? 0, isWhole };
}

async function readPart(store: FileStore, { folder, name }: Wanted): Promise<Part | null> {
  const bytes = await store.read(folder, name + PART);
  if (bytes === null) return null;
  try {
    return partSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Cut off while it was written: then nothing is known of the bytes beside it.
    return null;
  }
}

const writePart = (store: FileStore, { folder, name }: Wanted, part: Part): Promise<void> =>
  store.write(folder, name + PART, new TextEncoder().encode(JSON.stringify(part)));

/** A date of change this old was not followed by another change within its second. */
const SETTLED_MS = 60_000;

/** What tells this content from any other of the same address; null where nothing does. A weak ETag promises no bytes. */
function validatorOf(response: Response): string | null {
  const etag = response.headers.get('etag')?.trim() ?? '';
  if (/^"[^"]*"$/.test(etag)) return etag;
  const changed = response.headers.get('last-modified')?.trim() ?? '';
  const at = Date.parse(changed);
  return Number.isFinite(at) && Date.now() - at > SETTLED_MS ? changed : null;
}

/**
 * Size of the whole file; null when not said. Answers to Range are never packed, so their lengths are those of the file; that of a whole
 * answer may be the length of a gzip stream.
 */
function sizeOf(response: Response, from: number): number | null {
  if (response.status !== 206) return null;
  const range = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  // Other pages may not be shown Content-Range, but Content-Length always.
  const length = response.headers.get('content-length');
  return range !== undefined ? Number(range) : length === null ? null : from + Number(length);
}

/** What a wait for another process is told as. */
export const waitingFor = (
  { label, size }: Pick<Wanted, 'label' | 'size'>,
  { signal, onBytes }: Transfer,
): Waiting => ({
  signal,
  onWait: () => onBytes?.(0, size ?? 0, say`${label} (another run of Papilio is fetching it)`),
});

/**
 * Fetches `wanted`; nothing happens when it is whole, and where another process fetches it, that is waited for. A broken line is tried again a few times before it is an error.
 *
 * @throws PapilioError 'aborted' and 'network' (what has come is kept), 'quota', 'malformed-file' when the content is not what was promised
 *   (nothing is kept), and what `wanted.refuse` throws
 */
export async function fetchFile(wanted: Wanted, host: HubHost, transfer: Transfer = {}): Promise<void> {
  const { store } = host;
  const { folder, name } = wanted;
  if ((await haveOf(store, wanted)).isWhole) return;
  await store.own(folder, name, () => fetchOwned(wanted, host, transfer), waitingFor(wanted, transfer));
}

async function fetchOwned(wanted: Wanted, host: HubHost, transfer: Transfer): Promise<void> {
  const { store } = host;
  const { folder, name, label } = wanted;
  const delays = host.retryDelaysMs ?? DELAYS;
  let isFresh = false;
  for (let tries = 0; ; ) {
    const { bytes, isWhole } = await haveOf(store, wanted);
    if (isWhole) return;
    try {
      const wrong = await attempt(wanted, host, transfer, isFresh);
      if (wrong === null) return;
      await store.remove(folder, name);
      await store.remove(folder, name + PART);
      // What was there may have been a part of another content: once more, from the first byte.
      if (isFresh || bytes === 0)
        return refuse(
          'malformed-file',
          'again',
          say`${label} ${wrong} It was thrown away; download it again.`,
        );
      isFresh = true;
    } catch (error) {
      const isBreak =
        error instanceof PapilioError &&
        error.kind === 'network' &&
        error.details.status === undefined &&
        error.details.isRefused !== true;
      if (!isBreak) throw error;
      // A line that brings something at each try is bad, not dead.
      if ((await haveOf(store, wanted)).bytes > bytes) tries = 0;
      if (tries >= delays.length) throw error;
      await wait(delays[tries]!, transfer.signal, label);
      tries++;
    }
  }
}

/** Where the bytes of an answer begin; null when it does not say. */
function startOf(response: Response): number | null {
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  return start === undefined ? null : Number(start);
}

/** Whether what a server sends now goes on with what is here. */
function goesOn(response: Response, wanted: Wanted, part: Part | null, have: number): boolean {
  const start = startOf(response);
  if (start !== null && start !== have) return false;
  const [was, is] = [part?.validator ?? null, validatorOf(response)];
  // The hash will tell; two validators that differ tell sooner.
  if (isPromised(wanted)) return was === null || is === null || was === is;
  const total = sizeOf(response, have);
  return was !== null && was === is && (part?.total ?? total) === total;
}

/** Whether a hash was promised that the whole is held against. */
const isPromised = ({ sha256, oid }: Wanted): boolean => sha256 !== null || oid !== null;

/** One request. Returns null when the file is whole, else what is wrong with the content. */
async function attempt(
  wanted: Wanted,
  host: HubHost,
  { signal, onBytes }: Transfer,
  isFresh: boolean,
): Promise<string | null> {
  const { store } = host;
  const { folder, name, label, size } = wanted;
  const part = isFresh ? null : await readPart(store, wanted);
  const isOurs = part !== null && part.size === size && (isPromised(wanted) || part.validator !== null);
  let have = isOurs ? (await haveOf(store, wanted)).bytes : 0;
  if (size !== null && have > size) have = 0;
  const hash = createSha256();
  if (have > 0) for await (const piece of (await store.stream(folder, name)) ?? []) hash.update(piece);
  if (size !== null && have === size && size > 0) return finish(wanted, store, hash.hex(), have);

  const { host: server, origin } = new URL(wanted.url);
  const patience: Patience = {
    silenceMs: host.silenceMs ?? SILENCE_MS,
    onWaiting: () => onBytes?.(have, Math.max(size ?? 0, have), say`${label} (waiting for ${server})`),
  };
  const response = await request(
    { ...wanted, from: have, validator: have > 0 ? part?.validator : null },
    host,
    patience,
    signal,
  );
  const total = sizeOf(response, have);
  if (
    response.status === 416 ||
    (response.status === 206 && have > 0 && !goesOn(response, wanted, part, have))
  ) {
    await response.body?.cancel();
    return say`is not there in the length that was expected.`;
  }
  if (!response.ok) return wanted.refuse(response);
  if (size !== null && isPage(response, label)) {
    await response.body?.cancel();
    return refuse(
      'network',
      'again',
      say`${server} was asked for ${label} and a web page came: a page to log in to this network, perhaps. Open ${origin} in a browser, then try again.`,
      { isRefused: true },
    );
  }
  if (response.status === 206 && have === 0 && (startOf(response) ?? 0) !== 0) {
    await response.body?.cancel();
    return say`does not begin with its first byte.`;
  }
  if (size !== null && total !== null && total !== size) {
    await response.body?.cancel();
    return say`has ${total} bytes where ${size} were promised.`;
  }
  let sum = hash;
  if (response.status !== 206 && have > 0) {
    // The server gives no parts: from the first byte.
    have = 0;
    sum = createSha256();
  }
  await writePart(store, wanted, { validator: validatorOf(response), size, total });
  const appender = await store.append(folder, name, have);
  const whole = size ?? total;
  try {
    onBytes?.(have, whole ?? have, label);
    for await (const chunk of chunksOf(response, wanted, () => have, whole, signal, patience)) {
      await appender.write(chunk);
      sum.update(chunk);
      have += chunk.length;
      onBytes?.(have, Math.max(whole ?? 0, have), label);
      if (size !== null && have > size) return say`has more than the ${size} bytes that were promised.`;
    }
  } finally {
    await appender.close();
  }
  if (whole !== null && have < whole) throw broken(label, have, whole);
  return finish(wanted, store, sum.hex(), have);
}

/** Whether a page came in place of a file that is none. */
const isPage = ({ headers }: Response, label: string): boolean =>
  /^text\/html\b/i.test(headers.get('content-type') ?? '') && !/\.x?html?$/i.test(label);

const broken = (label: string, have: number, whole: number | null): PapilioError =>
  new PapilioError(
    'network',
    whole === null
      ? say`The connection ended after ${have} bytes of ${label}; they are kept.`
      : say`The connection ended after ${have} of ${whole} bytes of ${label}; they are kept.`,
    { way: 'resume' },
  );

async function request(
  {
    url,
    headers = {},
    label,
    from,
    validator,
  }: Wanted & { readonly from: number; readonly validator: string | null | undefined },
  { fetch, isOutsideBrowser = false }: HubHost,
  patience: Patience,
  signal: AbortSignal | undefined,
): Promise<Response> {
  try {
    // One that was kept without its secret leads nowhere.
    webAddress(url);
    // Always a range: an answer to one is never packed, and says how long the whole is.
    return await inTime(url, patience, signal, (both) =>
      fetch(url, {
        headers: {
          ...headers,
          Range: `bytes=${from}-`,
          ...(validator && isOutsideBrowser ? { 'If-Range': validator } : {}),
        },
        signal: both,
      }),
    );
  } catch (error) {
    if (isAbort(error)) throw aborted(label);
    if (error instanceof PapilioError) throw error;
    throw unreachable(url, { isOutsideBrowser });
  }
}

async function* chunksOf(
  response: Response,
  { url, label }: Pick<Wanted, 'url' | 'label'>,
  have: () => number,
  whole: number | null,
  signal: AbortSignal | undefined,
  patience: Patience,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let isOver = false;
  try {
    for (;;) {
      const { value, done } = await inTime(url, patience, undefined, () => reader.read()).catch(
        (error: unknown) => {
          // A server that has fallen silent is told to stop, one that has ended is not.
          isOver = !(error instanceof PapilioError);
          if (error instanceof PapilioError) throw error;
          throw isAbort(error) || signal?.aborted ? aborted(label) : broken(label, have(), whole);
        },
      );
      isOver = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!isOver) await reader.cancel().catch(() => {});
  }
}

/** The last check; then the file is whole. */
async function finish(wanted: Wanted, store: FileStore, hex: string, size: number): Promise<string | null> {
  const { folder, name, sha256, oid } = wanted;
  if (sha256 !== null && hex !== sha256)
    return say`has another content than the Hub names (its SHA-256 does not fit).`;
  if (sha256 === null && oid !== null) {
    const bytes = await store.read(folder, name);
    if (bytes === null || (await gitOid(bytes, oid.length)) !== oid)
      return say`has another content than the Hub names (its SHA-${oid.length === 64 ? 256 : 1} does not fit).`;
  }
  // Before the file counts as whole.
  await wanted.onContent?.({ sha256: hex, size });
  await store.remove(folder, name + PART);
  return null;
}

function wait(milliseconds: number, signal: AbortSignal | undefined, label: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted(label));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
  });
}

// What a kept file holds, held against its hash when it is read: a disk may have changed it since it was fetched.

/** A content by its length and SHA-256, 64 hex digits. */
export interface Content {
  readonly sha256: string;
  readonly size: number;
}

/** Git's name of a content. @param digits 40 for SHA-1, 64 for SHA-256 */
async function gitOid(bytes: Uint8Array, digits = 40): Promise<string> {
  const head = new TextEncoder().encode(`blob ${bytes.length}\0`);
  const blob = new Uint8Array(head.length + bytes.length);
  blob.set(head);
  blob.set(bytes, head.length);
  return hexOf(await crypto.subtle.digest(digits === 64 ? 'SHA-256' : 'SHA-1', blob));
}

const hexOf = (digest: ArrayBuffer): string =>
  [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** A digest copies what it is given, so large files are taken piece by piece. */
const COPIED = 2 ** 28;

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (bytes.length <= COPIED) return hexOf(await crypto.subtle.digest('SHA-256', bytes));
  const hash = createSha256();
  hash.update(bytes);
  return hash.hex();
}

/** What was seen to be right in this process, by store. */
const seen = new WeakMap<FileStore, Set<string>>();

/**
 * A kept file's bytes, if they are those that were fetched; its hash is taken once in a process. null where there is none, 'changed' where
 * it is another content; such a file is thrown away.
 */
export async function readKept(
  store: FileStore,
  folder: string,
  name: string,
  { size, sha256, oid }: Omit<RepoFile, 'path'>,
): Promise<Uint8Array<ArrayBuffer> | 'changed' | null> {
  const bytes = await store.read(folder, name);
  if (bytes === null) return null;
  const known = seen.get(store) ?? new Set<string>();
  seen.set(store, known);
  const key = `${folder}/${name} ${sha256 ?? oid}`;
  const isRight =
    bytes.length === size &&
    (known.has(key) ||
      (sha256 === null ? (await gitOid(bytes, oid.length)) === oid : (await sha256Of(bytes)) === sha256));
  if (isRight) {
    known.add(key);
    return bytes;
  }
  known.delete(key);
  await store.remove(folder, name);
  return 'changed';
}
