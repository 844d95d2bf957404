/** What a kept file holds, held against its hash when it is read: a disk may have changed it since it was fetched. */
import { createSha256 } from '../lib/sha256.ts';
import type { FileStore, RepoFile } from './types.ts';

/** A content by its length and SHA-256, 64 hex digits. */
export interface Content {
  readonly sha256: string;
  readonly size: number;
}

/** Git's name of a content. @param digits 40 for SHA-1, 64 for SHA-256 */
export async function gitOid(bytes: Uint8Array, digits = 40): Promise<string> {
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
