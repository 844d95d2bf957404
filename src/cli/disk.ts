/**
 * The one writer of the command line: every file is written beside its place under another name, flushed and renamed, so that under its own
 * name there is always the older file or the newer one, whole. What the disk refuses is a sentence, and nothing is left behind.
 * And the locks that several processes take.
 */
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
} from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import process from 'node:process';
import { fail, PapilioError } from '../common.ts';

/** What writing asks of the machine; tests and the fault harness put a disk of their own in its place. */
export const disk = {
  open: (path: string, flags: string): Promise<FileHandle> => open(path, flags),
  /** @returns how many of the bytes were taken */
  write: async (file: FileHandle, bytes: Uint8Array, position: number | null): Promise<number> =>
    (await file.write(bytes, 0, bytes.length, position)).bytesWritten,
  sync: (file: FileHandle): Promise<void> => file.sync(),
  rename: (from: string, to: string): Promise<void> => rename(from, to),
  rm: (path: string): Promise<void> => rm(path, { force: true }),
  /** Bytes that may still be written below a folder; null where nobody says. */
  room: async (folder: string): Promise<number | null> => {
    const space = await statfs(folder).catch(() => null);
    return space && space.bavail * space.bsize;
  },
};

/** The most bytes of one request: a file's handle takes no more than 2 GiB. */
const PIECE = 2 ** 26;

const codeOf = (error: unknown): string => (error as { code?: string } | null)?.code ?? '';

/** Whether the disk says that it is full. */
const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(codeOf(error));

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'it can only be read there',
  EISDIR: 'it is a folder',
  ENOTEMPTY: 'it is a folder',
  EEXIST: 'there is a file of that name',
  ELOOP: 'its links lead back to themselves',
  ENAMETOOLONG: 'the name is too long',
  EFBIG: 'the file system takes no file of that size',
  EIO: 'the disk answers with an error',
};

/** Why the machine refuses a path, in words. */
export const reasonOf = (error: unknown): string =>
  REASONS[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));

/** Throws what a failed write means: 'quota' for a full disk, else 'bad-argument'. */
export function refuseWrite(path: string, error: unknown, help = ''): never {
  if (error instanceof PapilioError) throw error;
  const more = help === '' ? '' : ` ${help}`;
  if (isFull(error))
    return fail(
      'quota',
      `The disk is full: ${path} could not be written to its end. Free some room.${more}`,
      {
        path,
        way: 'free',
      },
    );
  return fail('bad-argument', `${path} cannot be written: ${reasonOf(error)}.${more}`, { path });
}

/** Writes all of `bytes`; a disk that takes nothing is full. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.subarray(at, at + PIECE);
    const taken = await disk.write(file, piece, position === null ? null : position + at);
    if (taken <= 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    at += taken;
  }
}

/**
 * Makes a folder and those above it, one by one: Node's own way never ends where a folder can hold none, as /proc.
 * @returns those that were made, the innermost first
 */
export async function makeFolder(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = resolve(path); ; at = dirname(at)) {
    const there = await stat(at).catch((error) => {
      if (codeOf(error) === 'ENOENT' && dirname(at) !== at) return null;
      throw error;
    });
    if (there?.isDirectory()) break;
    if (there !== null) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    missing.push(at);
  }
  const made: string[] = [];
  try {
    for (const folder of missing.toReversed()) {
      await mkdir(folder).catch((error) => {
        // Another run made it meanwhile.
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      made.unshift(folder);
    }
  } catch (error) {
    for (const folder of made) await rmdir(folder).catch(() => {});
    throw error;
  }
  return missing;
}

let count = 0;

/** The end of a name under which a file is written before it has its own. */
const BESIDE = /\.\d+-\d+\.new$/;

/** Whether a file is one that a writer which was killed left behind. */
const isLeftover = (name: string): boolean => BESIDE.test(name);

/** What was renamed is on the disk only when its folder is; not every machine lets folders be flushed. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await disk.open(folder, 'r');
    await disk.sync(handle).finally(() => handle.close());
  } catch {
    // Then the disk does it when it likes to.
  }
}

/**
 * Puts a file that somebody named in place of an older one, if there is one, which stays until the newer is whole. Folders above it are made.
 * The name is taken at its word: a link stays one, and something that is no file (a pipe, a device) is written to as it is.
 *
 * @param help a sentence more for who cannot write there
 * @throws PapilioError 'quota' on a full disk, 'bad-argument' naming the path otherwise; what was written is removed
 */
export async function replaceFile(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  help?: string,
): Promise<void> {
  try {
    await makeFolder(dirname(path));
    const there = await stat(path).catch(() => null);
    if (there?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (there !== null && !there.isFile()) return await pour(path, chunks);
    await putInPlace(there === null ? path : await realpath(path), chunks);
  } catch (error) {
    refuseWrite(path, error, help);
  }
}

/**
 * The same for a file of a folder whose names are the program's own: whatever link or pipe lies there under that name is replaced, never
 * followed, and a folder on the way that leads out by a link is refused. So nothing outside of the folder is written.
 *
 * @param name may have folders in it, divided by slashes
 * @throws PapilioError as {@link replaceFile}
 */
export async function replaceIn(
  folder: string,
  name: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  help?: string,
): Promise<void> {
  const path = join(folder, name);
  try {
    await makeFolder(dirname(path));
    const root = await realpath(folder);
    const place = await realpath(dirname(path));
    if (place !== root && !place.startsWith(root.endsWith(sep) ? root : root + sep))
      fail(
        'bad-argument',
        `${path} leads out of ${folder} by a link; remove the link, or give another folder.`,
        {
          path,
        },
      );
    const there = await lstat(path).catch(() => null);
    if (there?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    await putInPlace(path, chunks);
  } catch (error) {
    refuseWrite(path, error, help);
  }
}

/** Beside, flushed, renamed. */
async function putInPlace(
  place: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const beside = `${place}.${process.pid}-${++count}.new`;
  try {
    await disk.rm(beside);
    await pour(beside, chunks, 'wx');
    await disk.rename(beside, place);
  } catch (error) {
    await disk.rm(beside).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(place));
}

async function pour(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  flags = 'w',
): Promise<void> {
  const file = await disk.open(path, flags);
  try {
    for await (const chunk of chunks) await writeAll(file, chunk, null);
    // Pipes and devices cannot be flushed.
    await disk.sync(file).catch((error) => {
      if (codeOf(error) !== 'EINVAL') throw error;
    });
  } finally {
    await file.close();
  }
}

/** Removes what writers that were killed left in a folder. */
export async function removeLeftovers(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names.filter(isLeftover)) await disk.rm(join(folder, name)).catch(() => {});
}

// Locks among processes of this machine: a file with the number of the process that holds it. One whose process is gone is taken over.

/** A lock without words in it is being written, unless it is older. */
const LOCK_MS = 10_000;

interface Holder {
  readonly pid: number;
  /** When the process began, where the machine tells: process numbers are given again. */
  readonly born: string | null;
}

/** Start and boot of a process, as Linux tells them; null elsewhere. */
async function bornOf(pid: number): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    const words = await readFile(`/proc/${pid}/stat`, 'utf8');
    return `${boot.trim()} ${words.slice(words.lastIndexOf(')')).split(' ')[20]}`;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process is alive as well.
    return (error as { code?: string }).code === 'EPERM';
  }
}

/** Who holds a lock, as far as it can be read. */
async function holderOf(path: string): Promise<Holder | 'writing' | null> {
  const facts = await stat(path).catch(() => null);
  if (facts === null) return null;
  try {
    const { pid, born } = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>;
    if (typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0)
      return { pid, born: typeof born === 'string' ? born : null };
  } catch {
    // Cut off by a kill, or not yet written.
  }
  return Date.now() - facts.mtimeMs < LOCK_MS ? 'writing' : null;
}

async function isHeld(path: string): Promise<Holder | 'writing' | null> {
  const holder = await holderOf(path);
  if (holder === null || holder === 'writing') return holder;
  if (!isAlive(holder.pid)) return null;
  const born = await bornOf(holder.pid);
  return holder.born !== null && born !== null && born !== holder.born ? null : holder;
}

/** A lock that is held, or who holds it. */
type Taken =
  | { readonly isTaken: true; readonly release: () => Promise<void> }
  | { readonly isTaken: false; readonly pid: number | null };

/**
 * Takes a lock, if nobody who lives has it.
 *
 * @throws what the disk says where a file cannot be made there
 */
export async function takeLock(path: string): Promise<Taken> {
  const words = JSON.stringify({ pid: process.pid, born: await bornOf(process.pid) } satisfies Holder);
  for (let tries = 0; tries < 3; tries++) {
    if (await makeLock(path, words)) return { isTaken: true, release: () => disk.rm(path) };
    const stale = await readFile(path, 'utf8').catch(() => null);
    const holder = await isHeld(path);
    if (holder !== null) return { isTaken: false, pid: holder === 'writing' ? null : holder.pid };
    // Of several that find the same dead lock one alone moves it away; who moved a living one puts it back.
    const aside = `${path}.${process.pid}-${++moves}.new`;
    const moved = await disk.rename(path, aside).then(
      () => true,
      () => false,
    );
    if (!moved) continue;
    if ((await readFile(aside, 'utf8').catch(() => null)) !== stale) await link(aside, path).catch(() => {});
    await disk.rm(aside);
  }
  return { isTaken: false, pid: null };
}

let moves = 0;

/** @returns false where there is one already */
async function makeLock(path: string, words: string): Promise<boolean> {
  const file = await disk.open(path, 'wx').catch((error: { code?: string }) => {
    if (error.code === 'EEXIST') return null;
    throw error;
  });
  if (file === null) return false;
  try {
    await writeAll(file, new TextEncoder().encode(words), null);
    await disk.sync(file);
  } catch (error) {
    await disk.rm(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  return true;
}
