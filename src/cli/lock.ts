/**
 * Locks among processes of this machine: a file with the number of the process that holds it. One whose process is gone is taken over.
 */
import { link, readFile, stat } from 'node:fs/promises';
import process from 'node:process';
import { disk, writeAll } from './disk.ts';

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
export type Taken =
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
