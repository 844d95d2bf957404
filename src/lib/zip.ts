/**
 * Zips, for data and adapters alike. The directory at the end is read first and whole: how many entries there can be, where each lies, that
 * none overlaps another, and what they come to together; only then is one entry after the other unpacked, never beyond the size it has
 * in the directory, and held against its checksum.
 */
import { inflateSync } from 'fflate';
import { createBudget } from './budget.ts';
import { crc32 } from './bytes.ts';
import { type ErrorKind, fail } from './errors.ts';
import { say } from './say.ts';

interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly isEncrypted: boolean;
  /** Bytes in the zip, and unpacked. */
  readonly packed: number;
  readonly size: number;
  /** CRC-32 of it unpacked. */
  readonly crc: number;
  /** Of its header before the data. */
  readonly at: number;
}

interface Directory {
  readonly at: number;
  readonly end: number;
  readonly count: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** Bytes of the fixed part of a directory entry, of the header before data, and of the end of the directory. */
const [CENTRAL_SIZE, LOCAL_SIZE, END_SIZE] = [46, 30, 22];
/** Deflate cannot shrink further than this, so an entry that claims more is lying. */
const MAX_RATIO = 1032;

/** Whether these bytes are a zip. */
export const isZip = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);

/**
 * The files in a zip by name, folders left out.
 *
 * @param what the zip is called, as a sentence's subject
 * @param kind of error where it is damaged
 * @param isWanted others are not unpacked
 * @throws PapilioError `kind` for a zip that is damaged or claims what cannot be; 'too-large' naming the entry that is one too many
 */
export function readZip(
  zip: Uint8Array,
  what: string,
  kind: ErrorKind,
  isWanted: (name: string) => boolean,
): Map<string, Uint8Array<ArrayBuffer>> {
  const damaged = (why: string): never =>
    fail(kind, say`${what} cannot be unpacked (${why}); it is damaged or cut short. Pack the folder again.`);
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const directory = findDirectory(view, damaged);
  const entries = readDirectory(zip, view, directory, damaged);
  const starts = placesOf(view, entries, directory.at, damaged);
  const budget = createBudget('unpackedBytes', zip.length);
  const wanted = entries.filter(({ name }) => !name.endsWith('/') && isWanted(name));
  for (const { name, method, packed, size, isEncrypted } of wanted) {
    const possible = method === 0 ? size === packed : size <= MAX_RATIO * packed + 64;
    if (!possible)
      fail(
        kind,
        say`${what} says that ${name} unpacks from ${packed} to ${size} bytes, which cannot be; pack the folder again.`,
      );
    if (isEncrypted) fail(kind, say`${name} in ${what} is encrypted; pack the folder without a password.`);
    if (method !== 0 && method !== 8)
      fail(kind, say`${name} in ${what} is packed by method ${method}; pack the folder again with deflate.`);
    budget.take(size, `${name} in ${what}`);
  }
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const entry of wanted) {
    if (files.has(entry.name)) damaged(say`${entry.name} is in it twice`);
    const start = starts.get(entry)!;
    files.set(entry.name, unpacked(zip.subarray(start, start + entry.packed), entry, damaged));
  }
  return files;
}

function unpacked(
  data: Uint8Array,
  entry: ZipEntry,
  damaged: (why: string) => never,
): Uint8Array<ArrayBuffer> {
  const bytes = inflated(data, entry, damaged);
  if (crc32(bytes) !== entry.crc)
    damaged(say`${entry.name} is not what was packed: its bytes do not give its checksum`);
  return bytes;
}

function inflated(
  data: Uint8Array,
  { name, method, size }: ZipEntry,
  damaged: (why: string) => never,
): Uint8Array<ArrayBuffer> {
  // What is stored as it is stays where it is.
  if (method === 0) return data as Uint8Array<ArrayBuffer>;
  let out: Uint8Array<ArrayBuffer>;
  try {
    // One byte more than it should have: data that goes on is seen, and never grows the buffer.
    out = inflateSync(data, { out: new Uint8Array(size + 1) }) as Uint8Array<ArrayBuffer>;
  } catch (cause) {
    return damaged(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (out.length !== size) damaged(say`${name} does not have the ${size} bytes that it should have`);
  return out.subarray(0, size);
}

function findDirectory(view: DataView, damaged: (why: string) => never): Directory {
  const length = view.byteLength;
  let end = length - END_SIZE;
  // A comment of up to 64 KiB may stand behind it.
  const last = Math.max(0, end - 0xffff);
  while (end >= last && !(view.getUint32(end, true) === END && end + END_SIZE <= length)) end--;
  if (end < last) return damaged(say`it has no directory`);
  let [count, size, at, before] = [
    view.getUint16(end + 10, true),
    view.getUint32(end + 12, true),
    view.getUint32(end + 16, true),
    end,
  ];
  const locator = end - 20;
  if (
    (count === 0xffff || size === 0xffffffff || at === 0xffffffff) &&
    locator >= 0 &&
    view.getUint32(locator, true) === END64_LOCATOR
  ) {
    before = long(view, locator + 8);
    if (before + 56 > locator || view.getUint32(before, true) !== END64)
      return damaged(say`the end of its directory is not where it should be`);
    [count, size, at] = [long(view, before + 32), long(view, before + 40), long(view, before + 48)];
  }
  if (at + size > before) return damaged(say`its directory does not lie in it`);
  if (count * CENTRAL_SIZE > size)
    return damaged(say`its directory of ${size} bytes has no ${count} entries`);
  return { at, end: at + size, count };
}

const long = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

function readDirectory(
  zip: Uint8Array,
  view: DataView,
  { at: first, end, count }: Directory,
  damaged: (why: string) => never,
): ZipEntry[] {
  const entries: ZipEntry[] = [];
  let at = first;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_SIZE > end || view.getUint32(at, true) !== CENTRAL)
      return damaged(say`entry ${i + 1} of its directory is missing`);
    const flags = view.getUint16(at + 8, true);
    const nameEnd = at + CENTRAL_SIZE + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > end) return damaged(say`entry ${i + 1} of its directory is cut short`);
    const [size, packed, place] = longSizes(view, nameEnd, extraEnd, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    entries.push({
      name: decodeName(zip.subarray(at + CENTRAL_SIZE, nameEnd)),
      method: view.getUint16(at + 10, true),
      isEncrypted: (flags & 1) === 1,
      crc: view.getUint32(at + 16, true),
      ...{ packed, size, at: place },
    });
    at = next;
  }
  return entries;
}

type Sizes = readonly [size: number, packed: number, at: number];

/** Sizes of which one is all ones stand in the entry's extra field 1, in this order. */
function longSizes(view: DataView, from: number, to: number, short: Sizes): Sizes {
  for (let at = from; at + 4 <= to; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const end = Math.min(to, at + 4 + view.getUint16(at + 2, true));
    let next = at + 4;
    const [size, packed, place] = short.map((value) => {
      if (value !== 0xffffffff || next + 8 > end) return value;
      next += 8;
      return long(view, next - 8);
    });
    return [size!, packed!, place!];
  }
  return short;
}

/** UTF-8 as all packers of today write, whatever they flag; else a letter per byte. */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('latin1').decode(bytes);
  }
}

/** Where the data of each entry begins; each lies before the directory and over no other. */
function placesOf(
  view: DataView,
  entries: readonly ZipEntry[],
  directory: number,
  damaged: (why: string) => never,
): Map<ZipEntry, number> {
  const starts = new Map<ZipEntry, number>();
  let free = 0;
  for (const entry of entries.toSorted((a, b) => a.at - b.at)) {
    const { name, at, packed } = entry;
    if (at < free) return damaged(say`${name} lies over another entry`);
    if (at + LOCAL_SIZE > directory || view.getUint32(at, true) !== LOCAL)
      return damaged(say`${name} is not where the directory says`);
    const start = at + LOCAL_SIZE + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
    free = start + packed;
    if (!(free <= directory)) return damaged(say`${name} is cut short`);
    starts.set(entry, start);
  }
  return starts;
}
