/** Adapters from the disk: a folder as PEFT saves it, a zip of one, several in either; `PATH#NAME` picks one by its name. */
import { join } from 'node:path';
import { DEFAULT_NAME, type Files, filesFromZip, isAdapterFile, readFolder } from '../adapters/folder.ts';
import type { LoadedAdapter } from '../adapters/peft.ts';
import { fail } from '../lib/errors.ts';
import { isZip } from '../lib/zip.ts';
import { kindOf, listFiles, readBytes } from './runtime.ts';

/** Every adapter of a folder, a zip or a single file, by name. Throws PapilioError as {@link readFolder}. */
export async function readAdapters(path: string): Promise<Map<string, LoadedAdapter>> {
  const kind = await kindOf(path);
  if (kind === null)
    fail('not-found', `${path} does not exist; give an adapter's folder or a zip of it.`, { path });
  return readFolder(kind === 'folder' ? await filesBelow(path) : await filesIn(path));
}

async function filesIn(path: string): Promise<Files> {
  const bytes = await readBytes(path);
  return isZip(bytes) && !/\.(pt|pth|bin|ckpt)$/.test(path) ? filesFromZip(bytes) : new Map([[path, bytes]]);
}

async function filesBelow(folder: string): Promise<Files> {
  const files = new Map<string, Uint8Array>();
  for (const path of (await listFiles(folder)).filter(isAdapterFile))
    files.set(path, await readBytes(join(folder, path)));
  return files;
}

/**
 * One adapter: the only one, the one in the folder itself, or the one after `#`.
 *
 * @throws PapilioError 'bad-argument' with the names there are.
 */
export async function readOneAdapter(word: string): Promise<LoadedAdapter> {
  const hash = word.lastIndexOf('#');
  const path = hash > 0 ? word.slice(0, hash) : word;
  const adapters = await readAdapters(path);
  const names = [...adapters.keys()];
  const name = hash > 0 ? word.slice(hash + 1) : adapters.size === 1 ? names[0]! : DEFAULT_NAME;
  return (
    adapters.get(name) ??
    fail('bad-argument', `${path} holds the adapters ${names.join(', ')}; choose one with ${path}#NAME.`)
  );
}
