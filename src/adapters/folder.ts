/**
 * Folders and zips of adapters: PEFT puts the adapter named "default" into the folder itself and every other one into a subfolder of its
 * name. Files travel as a map from path to bytes, so that the page and the command line share everything but the disk.
 */
import { type Zippable, zipSync } from 'fflate';
import { fail, PapilioError } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { readZip } from '../lib/zip.ts';
import {
  type Adapter,
  type LoadedAdapter,
  readAdapter,
  refuseForeignBytes,
  refuseForeignNames,
  writeAdapter,
} from './peft.ts';
import { readSafetensors } from './safetensors.ts';

/** Contents by path, with forward slashes. */
export type Files = ReadonlyMap<string, Uint8Array>;

const CONFIG_FILE = 'adapter_config.json';
const TENSOR_FILE = 'adapter_model.safetensors';
/** PEFT's name for the adapter that lies in the folder itself. */
export const DEFAULT_NAME = 'default';

/** Whether a folder's file is worth reading for its adapters. */
export function isAdapterFile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name === CONFIG_FILE || /\.(safetensors|bin|pt|gguf)$/.test(name);
}

/**
 * The adapter files in a zip; others are not unpacked.
 *
 * @throws PapilioError 'malformed-adapter' if it is damaged or claims more than it can hold; 'too-large'.
 */
export const filesFromZip = (zip: Uint8Array): Map<string, Uint8Array> =>
  readZip(
    zip,
    say`The zip`,
    'malformed-adapter',
    (name) => !name.startsWith('__MACOSX/') && isAdapterFile(name),
  );

/** A zip of these files, the same bytes whenever it is made. */
export function zipOf(files: Files): Uint8Array<ArrayBuffer> {
  const entries: Zippable = {};
  for (const [path, bytes] of files) entries[path] = [bytes, { mtime: '1980-01-01T00:00:00' }];
  return zipSync(entries, { level: 6 });
}

/** What Windows keeps for devices, with any ending. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d|conin\$|conout\$)(?:\.|$)/i;
/** What no folder is called on every machine: separators, drives and streams, wildcards, control and turning characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\\:*?"<>|]/;
const LONGEST_NAME = 200;

const isFolderName = (part: string): boolean =>
  part !== '' &&
  part.length <= LONGEST_NAME &&
  !UNSAFE.test(part) &&
  !DEVICE.test(part) &&
  !/^\s|[\s.]$/.test(part) &&
  part !== CONFIG_FILE &&
  part !== TENSOR_FILE;

/** The name of an adapter is a folder's, or that of folders within folders, on every machine. */
function requireName(name: string, kind: 'bad-argument' | 'malformed-adapter'): void {
  if (name.length <= 4 * LONGEST_NAME && name.split('/').every(isFolderName)) return;
  const words = JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
  fail(
    kind,
    say`${words} cannot be the name of an adapter, as it is no folder's name on every machine; rename it.`,
  );
}

/**
 * Every adapter in a folder, by name: "default" for the one in the folder itself, the subfolder's path for others.
 *
 * @throws PapilioError 'not-found' where there is none, with what was found instead; as {@link readAdapter} otherwise.
 */
export function readFolder(files: Files): Map<string, LoadedAdapter> {
  const folders = [...files.keys()]
    .filter((path) => path === CONFIG_FILE || path.endsWith(`/${CONFIG_FILE}`))
    .map((path) => path.slice(0, -CONFIG_FILE.length))
    .sort();
  if (folders.length === 0) refuseWithout(files);
  const root = rootOf(folders);
  return new Map(
    folders.map((folder) => {
      const name = folder === root ? DEFAULT_NAME : folder.slice(root.length, -1);
      requireName(name, 'malformed-adapter');
      return [name, named(name, folders.length, () => readOne(files, folder))];
    }),
  );
}

/** The folder that all others lie in; of a single one the folder above it, as its name tells which adapter it is. */
function rootOf(folders: readonly string[]): string {
  const [first = ''] = folders;
  if (folders.length > 1 && folders.every((folder) => folder.startsWith(first))) return first;
  let above = first.slice(0, first.lastIndexOf('/', first.length - 2) + 1);
  while (above !== '' && !folders.every((folder) => folder.startsWith(above)))
    above = above.slice(0, above.lastIndexOf('/', above.length - 2) + 1);
  return above;
}

/** Where there are several adapters, errors say which one they mean. */
function named<T>(name: string, count: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PapilioError) || count === 1) throw error;
    throw new PapilioError(error.kind, say`Adapter ${name}: ${error.message}`, error.details);
  }
}

function readOne(files: Files, folder: string): LoadedAdapter {
  const config = new TextDecoder().decode(files.get(folder + CONFIG_FILE)!);
  const tensors = files.get(folder + TENSOR_FILE);
  if (tensors) return readAdapter(config, tensors);
  const other = ['adapter_model.bin', 'adapter_model.pt']
    .map((name) => folder + name)
    .find((p) => files.has(p));
  if (other !== undefined) refuseForeignBytes(files.get(other)!);
  return fail(
    'not-found',
    say`Beside ${folder}${CONFIG_FILE} there is no ${TENSOR_FILE}; an adapter is both files, as PeftModel.save_pretrained writes them.`,
  );
}

/** No configuration: other tools write a single file, whose names tell which. */
function refuseWithout(files: Files): never {
  for (const [path, bytes] of files) {
    if (!isAdapterFile(path)) continue;
    refuseForeignBytes(bytes);
    refuseForeignNames('', [...readSafetensors(bytes).tensors.keys()]);
  }
  return fail(
    'not-found',
    say`There is no ${CONFIG_FILE}, so this is no PEFT adapter; an adapter is ${CONFIG_FILE} and ${TENSOR_FILE}, as PeftModel.save_pretrained writes them.`,
  );
}

/** The files of adapters by name, as PEFT lays them out. */
export function folderOf(adapters: ReadonlyMap<string, Adapter>): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [name, adapter] of adapters) {
    requireName(name, 'bad-argument');
    const other = [...adapters.keys()].find(
      (key) => key !== name && key.toLowerCase() === name.toLowerCase(),
    );
    if (other !== undefined)
      fail(
        'bad-argument',
        say`The adapters ${other} and ${name} would share a folder on some machines; rename one.`,
      );
    const folder = name === DEFAULT_NAME ? '' : `${name}/`;
    const written = writeAdapter(adapter);
    files.set(folder + CONFIG_FILE, new TextEncoder().encode(written[CONFIG_FILE]));
    files.set(folder + TENSOR_FILE, written[TENSOR_FILE]);
  }
  return files;
}
