/** The command line's store of what was fetched: PAPILIO_CACHE, or papilio in the user's cache folder. */
import { type FileHandle, readdir, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { aborted, checkedStore, type FileStore, type Waiting } from '../hub.ts';
import { disk, makeFolder, refuseWrite, replaceIn, takeLock, writeAll } from './disk.ts';

export function cacheFolder(): string {
  const { PAPILIO_CACHE, XDG_CACHE_HOME } = process.env;
  return PAPILIO_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'papilio');
}

/** Nothing where there is nothing; other troubles are thrown on. */
async function orNull<T>(task: Promise<T>): Promise<T | null> {
  try {
    return await task;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null;
    throw error;
  }
}

const READ_PIECE = 2 ** 20;
/** Between two looks at a file that another process has. */
const WAIT_MS = 100;

const HELP = 'PAPILIO_CACHE names another folder for what is fetched; what has come is kept.';

/** What the disk says, as a sentence. */
async function written<T>(path: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    return refuseWrite(path, error, HELP);
  }
}

async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const piece = new Uint8Array(READ_PIECE);
      const { bytesRead } = await file.read(piece, 0, READ_PIECE, null);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Holds the lock beside a file while the task runs. */
async function own<T>(
  folder: string,
  name: string,
  task: () => Promise<T>,
  { signal, onWait }: Waiting = {},
): Promise<T> {
  const path = join(folder, `${name}.lock`);
  for (;;) {
    const taken = await written(
      path,
      makeFolder(folder).then(() => takeLock(path)),
    );
    if (taken.isTaken) {
      try {
        return await task();
      } finally {
        await taken.release();
      }
    }
    onWait?.();
    await delay(WAIT_MS, undefined, signal ? { signal } : {}).catch(() => {
      throw aborted('The wait for another run of Papilio');
    });
  }
}

/** Folders below `root` as a {@link FileStore}. */
export function folderStore(root: string): FileStore {
  return checkedStore({
    async folders() {
      const entries = (await orNull(readdir(root, { withFileTypes: true }))) ?? [];
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    async list(folder) {
      const sizes = new Map<string, number>();
      const entries = (await orNull(readdir(join(root, folder), { withFileTypes: true }))) ?? [];
      for (const entry of entries) {
        // Another process may have renamed or removed it since.
        const facts = entry.isFile() ? await orNull(stat(join(root, folder, entry.name))) : null;
        if (facts !== null) sizes.set(entry.name, facts.size);
      }
      return sizes;
    },
    async read(folder, name) {
      const bytes = await orNull(readFile(join(root, folder, name)));
      return bytes && new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    },
    async stream(folder, name) {
      const file = await orNull(disk.open(join(root, folder, name), 'r'));
      return file && piecesOf(file);
    },
    write: (folder, name, bytes) => replaceIn(root, join(folder, name), [bytes], HELP),
    async append(folder, name, at) {
      const path = join(root, folder, name);
      await written(path, makeFolder(join(root, folder)));
      const exists = (await orNull(stat(path))) !== null;
      const file = await written(path, disk.open(path, exists ? 'r+' : 'w'));
      await written(path, file.truncate(at)).catch(async (error) => {
        await file.close();
        throw error;
      });
      let position = at;
      return {
        async write(bytes) {
          await written(path, writeAll(file, bytes, position));
          position += bytes.length;
        },
        async close() {
          // Before anybody says that the file is whole.
          await written(path, disk.sync(file)).finally(() => file.close());
        },
      };
    },
    async remove(folder, name) {
      await rm(name === undefined ? join(root, folder) : join(root, folder, name), {
        recursive: true,
        force: true,
      });
    },
    own: (folder, name, task, waiting) => own(join(root, folder), name, task, waiting),
    async room() {
      await makeFolder(root).catch(() => {});
      return disk.room(root);
    },
  });
}
