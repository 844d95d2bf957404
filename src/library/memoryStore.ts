/** What is fetched, kept in memory: the store of the library, where nobody gives another. */
import { pieces } from '../hub/store.ts';
import type { FileStore } from '../hub/types.ts';
import { createLock, type Lock } from '../lib/lock.ts';

export function memoryStore(): FileStore {
  const folders = new Map<string, Map<string, Blob>>();
  const locks = new Map<string, Lock>();
  const put = (folder: string, name: string, file: Blob): void => {
    const files = folders.get(folder) ?? new Map<string, Blob>();
    folders.set(folder, files.set(name, file));
  };
  const fileAt = (folder: string, name: string): Blob | undefined => folders.get(folder)?.get(name);
  const blobOf = (...parts: readonly (Blob | Uint8Array)[]): Blob => new Blob(parts as BlobPart[]);
  return {
    folders: async () => [...folders.keys()],
    list: async (folder) => new Map([...(folders.get(folder) ?? [])].map(([name, { size }]) => [name, size])),
    read: async (folder, name) => {
      const file = fileAt(folder, name);
      return file ? new Uint8Array(await file.arrayBuffer()) : null;
    },
    async stream(folder, name) {
      const file = fileAt(folder, name);
      return file ? pieces(file.stream().getReader()) : null;
    },
    write: async (folder, name, bytes) => put(folder, name, blobOf(bytes)),
    append: async (folder, name, at) => {
      let file = blobOf(fileAt(folder, name)?.slice(0, at) ?? new Blob());
      put(folder, name, file);
      return {
        async write(bytes) {
          file = blobOf(file, bytes);
          put(folder, name, file);
        },
        close: async () => {},
      };
    },
    remove: async (folder, name) => {
      if (name === undefined) folders.delete(folder);
      else folders.get(folder)?.delete(name);
    },
    // One process has it all: whoever comes second waits until the first has ended.
    own: (folder, name, task, { signal } = {}) => {
      const key = `${folder}/${name}`;
      const lock = locks.get(key) ?? createLock();
      locks.set(key, lock);
      return lock(async () => {
        signal?.throwIfAborted();
        return task();
      });
    },
    room: async () => null,
  };
}
