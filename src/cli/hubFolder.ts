/** The command line's store of what was fetched: PAPILIO_CACHE, or papilio in the user's cache folder. */
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { checkedStore } from '../hub/store.ts';
import type { FileStore } from '../hub/types.ts';
import { disk, makeFolder, refuseWrite, replaceIn, writeAll } from './disk.ts';

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

const HELP = 'PAPILIO_CACHE names another folder for what is fetched; what has come is kept.';

/** What the disk says, as a sentence. */
async function written<T>(path: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    return refuseWrite(path, error, HELP);
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
      for (const entry of entries)
        if (entry.isFile()) sizes.set(entry.name, (await stat(join(root, folder, entry.name))).size);
      return sizes;
    },
    async read(folder, name) {
      const bytes = await orNull(readFile(join(root, folder, name)));
      return bytes && new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    },
    async stream(folder, name) {
      const path = join(root, folder, name);
      return (await orNull(stat(path))) && createReadStream(path);
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
    async room() {
      await makeFolder(root).catch(() => {});
      return disk.room(root);
    },
  });
}
