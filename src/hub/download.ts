/**
 * One file from an address into the store: streamed, checked, and so that a break loses nothing. A file that is not whole and checked has a
 * `.part` beside it, which says what it is a part of; the next try asks only for the rest (Range), and begins anew where the file has
 * changed (size, ETag or hash).
 */

import { PapilioError } from '../lib/errors.ts';
import { createSha256, type Sha256 } from '../lib/sha256.ts';
import { aborted, isAbort, refuse, unreachable } from './refusals.ts';
import type { Around, FileStore, Transfer } from './types.ts';

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
  /** Throws for an answer that is none. */
  readonly refuse: (response: Response) => never;
}

interface Part {
  readonly etag: string | null;
  readonly size: number | null;
}

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
    const { etag, size } = JSON.parse(new TextDecoder().decode(bytes)) as Part;
    return { etag: typeof etag === 'string' ? etag : null, size: typeof size === 'number' ? size : null };
  } catch {
    // Cut off while it was written: then nothing is known of the bytes beside it.
    return null;
  }
}

const writePart = (store: FileStore, { folder, name }: Wanted, part: Part): Promise<void> =>
  store.write(folder, name + PART, new TextEncoder().encode(JSON.stringify(part)));

/** Weak and strong ETags of the same content are alike. */
const etagOf = (response: Response): string | null =>
  (response.headers.get('x-linked-etag') ?? response.headers.get('etag'))
    ?.replace(/^W\//, '')
    .replaceAll('"', '') ?? null;

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

/**
 * Fetches `wanted`; nothing happens when it is whole. A broken line is tried again a few times before it is an error.
 *
 * @throws PapilioError 'aborted' and 'network' (what has come is kept), 'quota', 'malformed-file' when the content is not what was promised
 *   (nothing is kept), and what `wanted.refuse` throws
 */
export async function fetchFile(wanted: Wanted, around: Around, transfer: Transfer = {}): Promise<void> {
  const { store } = around;
  const { folder, name, label } = wanted;
  const delays = around.retryDelaysMs ?? DELAYS;
  let isFresh = false;
  for (let tries = 0; ; ) {
    const { bytes, isWhole } = await haveOf(store, wanted);
    if (isWhole) return;
    try {
      const wrong = await attempt(wanted, around, transfer, isFresh);
      if (wrong === null) return;
      await store.remove(folder, name);
      await store.remove(folder, name + PART);
      // What was there may have been a part of another content: once more, from the first byte.
      if (isFresh || bytes === 0)
        return refuse('malformed-file', 'again', `${label} ${wrong} It was thrown away; download it again.`);
      isFresh = true;
    } catch (error) {
      const isBreak =
        error instanceof PapilioError && error.kind === 'network' && error.details.status === undefined;
      if (!isBreak) throw error;
      // A line that brings something at each try is bad, not dead.
      if ((await haveOf(store, wanted)).bytes > bytes) tries = 0;
      if (tries >= delays.length) throw error;
      await wait(delays[tries]!, transfer.signal, label);
      tries++;
    }
  }
}

/** One request. Returns null when the file is whole, else what is wrong with the content. */
async function attempt(
  wanted: Wanted,
  around: Around,
  { signal, onBytes }: Transfer,
  isFresh: boolean,
): Promise<string | null> {
  const { store } = around;
  const { folder, name, label, size } = wanted;
  const part = isFresh ? null : await readPart(store, wanted);
  let have = part === null || part.size !== size ? 0 : (await haveOf(store, wanted)).bytes;
  if (size !== null && have > size) have = 0;
  const hash = wanted.sha256 === null ? null : createSha256();
  if (hash !== null && have > 0)
    for await (const piece of (await store.stream(folder, name)) ?? []) hash.update(piece);
  if (size !== null && have === size && size > 0) return finish(wanted, store, hash);

  const response = await request(wanted, around, have, signal);
  const total = sizeOf(response, have);
  const etag = etagOf(response);
  if (response.status === 416 || (have > 0 && part?.etag && etag && part.etag !== etag)) {
    await response.body?.cancel();
    return 'is not there in the length that was expected.';
  }
  if (!response.ok) return wanted.refuse(response);
  if (size !== null && total !== null && total !== size) {
    await response.body?.cancel();
    return `has ${total} bytes where ${size} were promised.`;
  }
  let sum = hash;
  if (response.status !== 206 && have > 0) {
    // The server gives no parts: from the first byte.
    have = 0;
    sum = hash === null ? null : createSha256();
  }
  await writePart(store, wanted, { etag, size });
  const appender = await store.append(folder, name, have);
  const whole = size ?? total;
  try {
    onBytes?.(have, whole ?? have, label);
    for await (const chunk of chunksOf(response, label, () => have, whole, signal)) {
      await appender.write(chunk);
      sum?.update(chunk);
      have += chunk.length;
      onBytes?.(have, Math.max(whole ?? 0, have), label);
      if (size !== null && have > size) return `has more than the ${size} bytes that were promised.`;
    }
  } finally {
    await appender.close();
  }
  if (whole !== null && have < whole) throw broken(label, have, whole);
  return finish(wanted, store, sum);
}

const broken = (label: string, have: number, whole: number | null): PapilioError =>
  new PapilioError(
    'network',
    `The connection ended after ${have}${whole === null ? '' : ` of ${whole}`} bytes of ${label}; they are kept.`,
    { way: 'resume' },
  );

async function request(
  { url, headers = {}, label }: Wanted,
  { fetch }: Around,
  from: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  try {
    // Always a range: an answer to one is never packed, and says how long the whole is.
    return await fetch(url, {
      headers: { ...headers, Range: `bytes=${from}-` },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (isAbort(error)) throw aborted(label);
    throw unreachable(url);
  }
}

async function* chunksOf(
  response: Response,
  label: string,
  have: () => number,
  whole: number | null,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let isOver = false;
  try {
    for (;;) {
      const { value, done } = await reader.read().catch((error: unknown) => {
        isOver = true;
        throw isAbort(error) || signal?.aborted ? aborted(label) : broken(label, have(), whole);
      });
      isOver = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!isOver) await reader.cancel().catch(() => {});
  }
}

/** The last check; then the file is whole. */
async function finish(wanted: Wanted, store: FileStore, hash: Sha256 | null): Promise<string | null> {
  const { folder, name, sha256, oid } = wanted;
  if (hash !== null && hash.hex() !== sha256)
    return 'has another content than the Hub names (its SHA-256 does not fit).';
  if (hash === null && oid !== null) {
    const bytes = await store.read(folder, name);
    if (bytes === null || (await gitOid(bytes)) !== oid)
      return 'has another content than the Hub names (its SHA-1 does not fit).';
  }
  await store.remove(folder, name + PART);
  return null;
}

/** Git's name of a content. */
async function gitOid(bytes: Uint8Array): Promise<string> {
  const head = new TextEncoder().encode(`blob ${bytes.length}\0`);
  const blob = new Uint8Array(head.length + bytes.length);
  blob.set(head);
  blob.set(bytes, head.length);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', blob));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
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
