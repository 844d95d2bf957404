/**
 * What is kept in a browser: folders in the page's private file system (OPFS). Writing goes through synchronous handles and so works in
 * workers only; listing and freeing work anywhere.
 */
import { fail } from '../lib/errors.ts';
import { checkedStore } from './store.ts';
import type { FileStore } from './types.ts';

/** What a worker's file handle gives; not among the types of a page. */
interface SyncHandle {
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}
interface WorkerFileHandle extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<SyncHandle>;
}

const ROOT = 'hub';
const nameOfError = (error: unknown): string => (error as { name?: string } | null)?.name ?? '';

/** Nothing where there is nothing. */
async function orNull<T>(task: Promise<T>): Promise<T | null> {
  try {
    return await task;
  } catch (error) {
    if (['NotFoundError', 'TypeMismatchError'].includes(nameOfError(error))) return null;
    throw error;
  }
}

/** What a browser refuses a writer, as a sentence. */
function refused(error: unknown): never {
  const name = nameOfError(error);
  if (name === 'QuotaExceededError')
    return fail(
      'quota',
      'The browser has no more room for this page. Free something that is kept, then resume; what has come is kept.',
      { way: 'free' },
    );
  if (name === 'NoModificationAllowedError' || name === 'InvalidStateError')
    return fail(
      'bad-argument',
      'Another tab of Papilio is fetching or freeing the same file; wait until it has ended.',
      { way: 'resume' },
    );
  throw error;
}

export function browserStore(): FileStore {
  let opened: Promise<FileSystemDirectoryHandle> | undefined;
  const root = (): Promise<FileSystemDirectoryHandle> => {
    opened ??= (async () => {
      try {
        return await (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
      } catch (error) {
        opened = undefined;
        return fail(
          'quota',
          `This browser lets the page keep no files (${nameOfError(error)}; a private window?). Download the model yourself and drop it here.`,
          { way: 'choose' },
        );
      }
    })();
    return opened;
  };
  const folderAt = async (folder: string) => orNull((await root()).getDirectoryHandle(folder));
  const fileAt = async (folder: string, name: string) => {
    const directory = await folderAt(folder);
    const handle = directory && (await orNull(directory.getFileHandle(name)));
    return handle && orNull(handle.getFile());
  };
  async function writer(folder: string, name: string): Promise<SyncHandle> {
    const directory = await (await root()).getDirectoryHandle(folder, { create: true });
    const handle = (await directory.getFileHandle(name, { create: true })) as WorkerFileHandle;
    return handle.createSyncAccessHandle();
  }
  const put = (handle: SyncHandle, bytes: Uint8Array, at: number): void => {
    // A full disk may also show as fewer bytes written than given.
    if (handle.write(bytes, { at }) < bytes.length) throw new DOMException('', 'QuotaExceededError');
  };

  return checkedStore({
    async folders() {
      const names: string[] = [];
      for await (const [name, { kind }] of (await root()).entries())
        if (kind === 'directory') names.push(name);
      return names;
    },
    async list(folder) {
      const sizes = new Map<string, number>();
      const directory = await folderAt(folder);
      if (directory === null) return sizes;
      for await (const [name, handle] of directory.entries()) {
        if (handle.kind !== 'file') continue;
        const file = await orNull((handle as FileSystemFileHandle).getFile());
        if (file !== null) sizes.set(name, file.size);
      }
      return sizes;
    },
    async read(folder, name) {
      const file = await fileAt(folder, name);
      return file && new Uint8Array(await file.arrayBuffer());
    },
    async stream(folder, name) {
      const file = await fileAt(folder, name);
      return file && pieces(file.stream().getReader());
    },
    async write(folder, name, bytes) {
      try {
        const handle = await writer(folder, name);
        try {
          handle.truncate(0);
          put(handle, bytes, 0);
          handle.flush();
        } finally {
          handle.close();
        }
      } catch (error) {
        refused(error);
      }
    },
    async append(folder, name, at) {
      const handle = await writer(folder, name).catch(refused);
      handle.truncate(at);
      let position = at;
      return {
        async write(bytes) {
          try {
            put(handle, bytes, position);
            position += bytes.length;
          } catch (error) {
            refused(error);
          }
        },
        async close() {
          handle.flush();
          handle.close();
        },
      };
    },
    async remove(folder, name) {
      try {
        const directory = name === undefined ? await root() : await folderAt(folder);
        if (directory !== null)
          await orNull(directory.removeEntry(name ?? folder, { recursive: name === undefined }));
      } catch (error) {
        refused(error);
      }
    },
    // One tab alone writes (cacheOwner.ts), and one file after the other.
    own: (_folder, _name, task) => task(),
    async room() {
      const { quota, usage } = await navigator.storage.estimate();
      return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
    },
  });
}

async function* pieces(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}
