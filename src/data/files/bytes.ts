/** Files as they come from a disk, a drop or a zip: names and bytes, unpacked with a bound on what they may grow to. */
import { Gunzip } from 'fflate';
import { createBudget } from '../../lib/budget.ts';
import { crc32 } from '../../lib/crc32.ts';
import { fail, PapilioError } from '../../lib/errors.ts';
import { readZip } from '../../lib/zip.ts';

export interface DataFile {
  /** Path with forward slashes, relative to what was opened: `cats/1.png`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** So much is given to the unpacker at once: the bound is seen before a thousand times as much is made. Large files go in larger pieces, which is quicker. */
const pieceOf = (bytes: number): number => Math.min(65536, Math.max(4096, Math.floor(bytes / 256)));

/** Unpacks .gz; each of its members is held against its checksum. */
export function gunzip(bytes: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const budget = createBudget('unpackedBytes', bytes.length);
  let total = 0;
  let ended = false;
  let crc = 0;
  const stream = new Gunzip((part, last) => {
    total += part.length;
    budget.take(part.length, name);
    parts.push(part);
    crc = crc32(part, crc);
    ended ||= last;
  });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const requireChecksum = (end: number): void => {
    if (end < 8 || view.getUint32(end - 8, true) !== crc)
      fail('bad-data', `${name} is damaged: what is unpacked from it does not give its checksum.`);
    crc = 0;
  };
  stream.onmember = requireChecksum;
  try {
    const piece = pieceOf(bytes.length);
    for (let at = 0; at < bytes.length; at += piece)
      stream.push(bytes.subarray(at, at + piece), at + piece >= bytes.length);
  } catch (cause) {
    if (cause instanceof PapilioError) throw cause;
    fail('bad-data', `${name} is not a complete gzip file (${(cause as Error).message}).`);
  }
  if (!ended) fail('bad-data', `${name} is cut short: the gzip data ends too early.`);
  requireChecksum(bytes.length);
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Unpacks .zip; folders and the files that macOS adds are left out. */
export function unpackZip(bytes: Uint8Array, name: string): DataFile[] {
  const files = readZip(bytes, name, 'bad-data', (path) => !isHidden(path));
  return [...files].map(([path, data]) => ({ path, bytes: data }));
}

/** Files nobody means: `.DS_Store`, `__MACOSX/…`, `Thumbs.db`. */
export const isHidden = (path: string): boolean =>
  path.split('/').some((part) => part.startsWith('.') || part === '__MACOSX' || part === 'Thumbs.db');

export const extension = (path: string): string => /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
