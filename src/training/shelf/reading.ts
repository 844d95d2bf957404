/** Files that were dropped, as adapters by name: zips, folders, subfolders and loose pairs of files. */
import { DEFAULT_NAME, type Files, filesFromZip, isAdapterFile, readFolder } from '../../adapters/folder.ts';
import type { LoadedAdapter } from '../../adapters/peft.ts';
import { fail } from '../../lib/errors.ts';
import { isZip } from '../../lib/zip.ts';
import type { NamedFile } from '../protocol.ts';

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** `name`, or with the first number that makes it a new one. */
export function freeName(name: string, taken: (name: string) => boolean): string {
  if (!taken(name)) return name;
  for (let i = 2; ; i++) if (!taken(`${name}-${i}`)) return `${name}-${i}`;
}

/**
 * @param fallback the name of an adapter that no folder and no zip names
 * @param taken names that are in use
 * @throws PapilioError as {@link readFolder}; of several zips, the first that cannot be read
 */
export function readDropped(
  files: readonly NamedFile[],
  fallback: string,
  taken: ReadonlySet<string>,
): Map<string, LoadedAdapter> {
  const folders: [string, Files][] = files
    .filter(({ bytes }) => isZip(bytes))
    .map(({ name, bytes }) => [baseName(name).replace(/\.zip$/i, ''), filesFromZip(bytes)]);
  const loose = files.filter(({ name, bytes }) => !isZip(bytes) && isAdapterFile(name));
  if (loose.length > 0) folders.push([fallback, new Map(loose.map(({ name, bytes }) => [name, bytes]))]);
  if (folders.length === 0) {
    const names = files.map(({ name }) => baseName(name));
    fail(
      'not-found',
      `There is no adapter among ${names.slice(0, 3).join(', ') || 'no files'}; drop adapter_config.json and adapter_model.safetensors together, their folder, or a zip of it.`,
    );
  }
  const found = new Map<string, LoadedAdapter>();
  for (const [given, folder] of folders) {
    for (const [own, adapter] of readFolder(folder)) {
      const wanted = own === DEFAULT_NAME ? given : own;
      found.set(
        freeName(wanted, (name) => taken.has(name) || found.has(name)),
        adapter,
      );
    }
  }
  return found;
}
