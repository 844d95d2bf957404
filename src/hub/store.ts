/** What Papilio calls the folders and files of its store. The store itself refuses every other name, whoever asks for it. */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { FileStore } from './types.ts';

/** `models--owner--name`, with the Hub before it where that is not the usual one; `url--` and a hash for an address. */
const FOLDER = /^(?:[\w-][\w.-]*--)?(?:model|dataset)s--[\w-][\w.-]*$|^url--[0-9a-f]{32}$/;
/** A content by its hash, a file of an address by its number, parts of both, and what is known of commits and addresses. */
const FILE =
  /^(?:[0-9a-f]{40}|[0-9a-f]{64}|file-\d{1,6})(?:\.part)?$|^commit-[0-9a-f]{40}\.json$|^(?:refs|url)\.json$/;
/** File systems take names of 255 bytes, and the writer puts a little behind. */
const LONGEST = 220;

const isFolder = (name: string): boolean =>
  name.length <= LONGEST && FOLDER.test(name) && !name.includes('..') && !name.endsWith('.');
const isFile = (name: string): boolean => FILE.test(name);

function refuse(name: string): never {
  const words = JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
  return fail(
    'bad-argument',
    say`${words} is no name that Papilio gives to what it keeps; nothing was read or written.`,
  );
}

const folderName = (name: string): string => (isFolder(name) ? name : refuse(name));
const fileName = (name: string): string => (isFile(name) ? name : refuse(name));

/**
 * A store that takes and shows only names that Papilio makes.
 * @returns each method throws PapilioError 'bad-argument' for any other name before `store` is asked
 */
export function checkedStore(store: FileStore): FileStore {
  return {
    folders: async () => (await store.folders()).filter(isFolder),
    list: async (folder) =>
      new Map([...(await store.list(folderName(folder)))].filter(([name]) => isFile(name))),
    read: async (folder, name) => store.read(folderName(folder), fileName(name)),
    stream: async (folder, name) => store.stream(folderName(folder), fileName(name)),
    write: async (folder, name, bytes) => store.write(folderName(folder), fileName(name), bytes),
    append: async (folder, name, at) => store.append(folderName(folder), fileName(name), at),
    remove: async (folder, name) =>
      store.remove(folderName(folder), name === undefined ? undefined : fileName(name)),
    own: async (folder, name, task, waiting) => store.own(folderName(folder), fileName(name), task, waiting),
    room: () => store.room(),
  };
}

/** What a reader gives, as every runtime can walk through it. */
export async function* pieces(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield value;
  }
}
