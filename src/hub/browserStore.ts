/**
 * What is kept in a browser: folders in the page's private file system (OPFS). Writing goes through synchronous handles and so works in
 * workers only; listing and freeing work anywhere.
 */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { checkedStore, pieces } from './store.ts';
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
      say`The browser has no more room for this page. Free something that is kept, then resume; what has come is kept.`,
      { way: 'free' },
    );
  if (name === 'NoModificationAllowedError' || name === 'InvalidStateError')
    return fail(
      'bad-argument',
      say`Another tab of Papilio is fetching or freeing the same file; wait until it has ended.`,
      { way: 'resume' },
    );
  throw error;
}

/** @returns the store of this page; each method throws PapilioError 'quota' where the browser keeps no files, or no more */
export const browserStore = (): FileStore => checkedStore(new BrowserStore());

class BrowserStore implements FileStore {
  private opened: Promise<FileSystemDirectoryHandle> | undefined;

  async folders(): Promise<string[]> {
    const names: string[] = [];
    for await (const [name, { kind }] of (await this.root()).entries())
      if (kind === 'directory') names.push(name);
    return names;
  }

  async list(folder: string): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    const directory = await this.folderAt(folder);
    if (directory === null) return sizes;
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind !== 'file') continue;
      const file = await orNull((handle as FileSystemFileHandle).getFile());
      if (file !== null) sizes.set(name, file.size);
    }
    return sizes;
  }

  async read(folder: string, name: string) {
    const file = await this.fileAt(folder, name);
    return file && new Uint8Array(await file.arrayBuffer());
  }

  async stream(folder: string, name: string) {
    const file = await this.fileAt(folder, name);
    return file && pieces(file.stream().getReader());
  }

  async write(folder: string, name: string, bytes: Uint8Array): Promise<void> {
    try {
      const handle = await this.writer(folder, name);
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
  }

  async append(folder: string, name: string, at: number) {
    const handle = await this.writer(folder, name).catch(refused);
    handle.truncate(at);
    let position = at;
    return {
      async write(bytes: Uint8Array): Promise<void> {
        try {
          put(handle, bytes, position);
          position += bytes.length;
        } catch (error) {
          refused(error);
        }
      },
      async close(): Promise<void> {
        handle.flush();
        handle.close();
      },
    };
  }

  async remove(folder: string, name?: string): Promise<void> {
    try {
      const directory = name === undefined ? await this.root() : await this.folderAt(folder);
      if (directory !== null)
        await orNull(directory.removeEntry(name ?? folder, { recursive: name === undefined }));
    } catch (error) {
      refused(error);
    }
  }

  /** One tab alone writes ({@link cacheOwner}), and one file after the other. */
  own<T>(_folder: string, _name: string, task: () => Promise<T>): Promise<T> {
    return task();
  }

  async room(): Promise<number | null> {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
  }

  private root(): Promise<FileSystemDirectoryHandle> {
    this.opened ??= (async () => {
      try {
        return await (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
      } catch (error) {
        this.opened = undefined;
        return fail(
          'quota',
          say`This browser lets the page keep no files (${nameOfError(error)}; a private window?). Download the model yourself and drop it here.`,
          { way: 'choose' },
        );
      }
    })();
    return this.opened;
  }

  private async folderAt(folder: string): Promise<FileSystemDirectoryHandle | null> {
    return orNull((await this.root()).getDirectoryHandle(folder));
  }

  private async fileAt(folder: string, name: string): Promise<File | null> {
    const directory = await this.folderAt(folder);
    const handle = directory && (await orNull(directory.getFileHandle(name)));
    return handle && orNull(handle.getFile());
  }

  private async writer(folder: string, name: string): Promise<SyncHandle> {
    const directory = await (await this.root()).getDirectoryHandle(folder, { create: true });
    const handle = (await directory.getFileHandle(name, { create: true })) as WorkerFileHandle;
    return handle.createSyncAccessHandle();
  }
}

function put(handle: SyncHandle, bytes: Uint8Array, at: number): void {
  // A full disk may also show as fewer bytes written than given.
  if (handle.write(bytes, { at }) < bytes.length) throw new DOMException('', 'QuotaExceededError');
}

// One tab at a time writes what the browser keeps of models and data: a Web Lock held while anything is fetched or freed.

const CACHE = 'papilio.cache';

/**
 * Runs tasks side by side that write, none of them beside another tab's.
 * @throws PapilioError 'bad-argument' while another tab writes, and whatever the task throws
 */
export type CacheOwner = <T>(task: () => Promise<T>) => Promise<T>;

export function cacheOwner(locks: Pick<LockManager, 'request'> | undefined): CacheOwner {
  let writing = 0;
  let owning: Promise<() => void> | null = null;

  const own = (held: Pick<LockManager, 'request'>): Promise<() => void> =>
    new Promise((resolve, reject) => {
      held
        .request(CACHE, { ifAvailable: true }, (lock) => {
          if (lock === null)
            return fail(
              'bad-argument',
              say`Another tab of Papilio is fetching or freeing what the browser keeps; wait until it has ended.`,
              { way: 'resume' },
            );
          return new Promise<void>((free) => resolve(free));
        })
        .catch(reject);
    });

  return async (task) => {
    if (locks === undefined) return task();
    writing++;
    try {
      owning ??= own(locks);
      await owning;
      return await task();
    } finally {
      writing--;
      if (writing === 0) {
        const ended = owning;
        owning = null;
        ended?.then(
          (free) => free(),
          () => {},
        );
      }
    }
  };
}
