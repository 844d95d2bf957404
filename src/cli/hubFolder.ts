/** The command line's store of what was fetched: PAPILIO_CACHE, or papilio in the user's cache folder. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { FileStore } from '../hub/types.ts';
import { fail } from '../lib/errors.ts';

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

/** What the disk says, as a sentence. */
async function written<T>(path: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return fail(
        'quota',
        `The disk is full: ${path} could not be written to its end. Free some room, or set PAPILIO_CACHE to a folder with more; what has come is kept.`,
        { way: 'free' },
      );
    return fail(
      'bad-argument',
      `${path} cannot be written (${message}); set PAPILIO_CACHE to another folder.`,
    );
  }
}

/** Folders below `root` as a {@link FileStore}. */
export function folderStore(root: string): FileStore {
  return {
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
    async write(folder, name, bytes) {
      const path = join(root, folder, name);
      await written(
        path,
        (async () => {
          await mkdir(join(root, folder), { recursive: true });
          // Never half a file under its name.
          await writeFile(`${path}.new`, bytes);
          await rename(`${path}.new`, path);
        })(),
      );
    },
    async append(folder, name, at) {
      const path = join(root, folder, name);
      await written(path, mkdir(join(root, folder), { recursive: true }));
      const exists = (await orNull(stat(path))) !== null;
      const file = await written(path, open(path, exists ? 'r+' : 'w'));
      await written(path, file.truncate(at));
      let position = at;
      return {
        async write(bytes) {
          await written(path, file.write(bytes, 0, bytes.length, position));
          position += bytes.length;
        },
        close: () => file.close(),
      };
    },
    async remove(folder, name) {
      await rm(name === undefined ? join(root, folder) : join(root, folder, name), {
        recursive: true,
        force: true,
      });
    },
    async room() {
      await mkdir(root, { recursive: true }).catch(() => {});
      const space = await statfs(root).catch(() => null);
      return space && space.bavail * space.bsize;
    },
  };
}
