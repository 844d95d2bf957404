/** What the command line takes from the runtime below it, Node or Deno alike: the GPU, files, and the terminal. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { type Budget, createBudget, fail, PapilioError } from '../common.ts';
import { swiftShaderIcd } from './adapters.mjs';
import { disk, reasonOf, replaceFile, replaceIn } from './disk.ts';

const isDeno = 'Deno' in globalThis;

/** Name and version of the runtime, for records: "node 20.20.2" or "deno 2.9.6". */
export const runtimeName = isDeno ? `deno ${process.versions.deno}` : `node ${process.versions.node}`;

/** The same with its WebGPU: "node 20.20.2 (Dawn)" or "deno 2.9.6 (wgpu)". */
export const gpuRuntimeName = `${runtimeName} (${isDeno ? 'wgpu' : 'Dawn'})`;

let opened: Promise<GPU> | undefined;

/**
 * WebGPU of the current runtime, checked to have an adapter: Deno's own, or Dawn from the `webgpu` package in Node, where
 * SwiftShader steps in if the machine's own drivers offer nothing. The same object at every call.
 * Throws 'no-adapter' with what to install.
 */
export function openGpu(): Promise<GPU> {
  opened ??= isDeno ? openInDeno() : openInNode();
  return opened;
}

async function openInDeno(): Promise<GPU> {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) fail('no-webgpu', 'Deno has no WebGPU here: run it with --unstable-webgpu.');
  if (await gpu.requestAdapter()) return gpu;
  return fail(
    'no-adapter',
    'Deno finds no WebGPU adapter: install the Vulkan driver of your GPU, or mesa-vulkan-drivers for a software one.',
  );
}

/**
 * SwiftShader compiles the extension's way of clearing workgroup memory into one store for each element, 0.6 ms each; without it Dawn
 * writes a loop, and a kernel with a 16 KiB tile compiles in 10 ms instead of 2.7 s.
 */
const toggles = ['disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension'] as const;

async function openInNode(): Promise<GPU> {
  const { create, globals } = await import('webgpu');
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  const gpu = create([...toggles]);
  if (await gpu.requestAdapter()) return gpu;
  const driver = process.env.VK_ICD_FILENAMES ? undefined : swiftShaderIcd();
  if (driver) {
    // The Vulkan loader reads this when an instance is made, so a second instance sees only SwiftShader.
    process.env.VK_ICD_FILENAMES = driver;
    const fallback = create([...toggles]);
    if (await fallback.requestAdapter()) return fallback;
  }
  return fail(
    'no-adapter',
    'Node finds no WebGPU adapter: install the Vulkan driver of your GPU, or Chromium, whose software driver is used then.',
  );
}

/**
 * Whole file; throws 'not-found' naming the path when it is missing, cannot be read, or is no file: a pipe may never say anything, and a device
 * never end.
 */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const facts = await stat(path);
    if (!facts.isFile() && !facts.isDirectory())
      fail(
        'not-found',
        `${path} is no file but a ${facts.isFIFO() ? 'pipe' : 'device or socket'}; give a file.`,
        {
          path,
        },
      );
    const bytes = await readFile(path);
    return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (error instanceof PapilioError) throw error;
    return fail('not-found', `${path} cannot be read: ${reasonOf(error)}.`, { path });
  }
}

/** Whole file as UTF-8 text; throws 'not-found' as {@link readBytes} does. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

const bytesOf = (data: Uint8Array | string): Uint8Array =>
  typeof data === 'string' ? new TextEncoder().encode(data) : data;

/** Writes a file that somebody named, as {@link replaceFile} does. */
export const writeBytes = (path: string, data: Uint8Array | string): Promise<void> =>
  replaceFile(path, [bytesOf(data)]);

/** Writes a file of a folder of results, as {@link replaceIn} does. */
export const writeInto = (folder: string, name: string, data: Uint8Array | string): Promise<void> =>
  replaceIn(folder, name, [bytesOf(data)]);

/** Writes a file piece by piece, so that its contents need not be joined. */
export const writeChunks = (path: string, chunks: readonly Uint8Array[]): Promise<void> =>
  replaceFile(path, chunks);

/** Removes a file if there is one; throws 'bad-argument' naming the path when it cannot. */
export async function removeFile(path: string): Promise<void> {
  try {
    if ((await kindOf(path)) === 'file') await disk.rm(path);
  } catch (error) {
    fail('bad-argument', `${path} cannot be removed: ${reasonOf(error)}.`, { path });
  }
}

/** What a path is: 'file', 'folder', or null when there is nothing. */
export async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return null;
  }
}

/** Names in a folder, sorted; throws 'not-found' when it cannot be listed. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    return fail('not-found', `${path} cannot be listed: ${reasonOf(error)}.`, { path });
  }
}

/**
 * Paths of all files below a folder, relative to it with forward slashes, sorted. A link that leads back to a folder it lies in is left out.
 * Throws 'not-found' as {@link listFolder} does, 'too-large' where links lead to the same folders without end.
 */
export async function listFiles(path: string): Promise<string[]> {
  const found: string[] = [];
  await gather(path, '', [], { found, seen: new Set(), again: createBudget('foldersAgain') });
  return found;
}

interface Gathering {
  readonly found: string[];
  /** Real paths of all folders so far. */
  readonly seen: Set<string>;
  readonly again: Budget;
}

/** @param above the real paths of the folders that this one lies in */
async function gather(root: string, within: string, above: readonly string[], all: Gathering): Promise<void> {
  const folder = join(root, within);
  const real = await realpath(folder).catch(() => folder);
  if (above.includes(real)) return;
  if (all.seen.has(real)) all.again.take(1, root);
  all.seen.add(real);
  for (const name of await listFolder(folder)) {
    const path = within === '' ? name : `${within}/${name}`;
    if ((await kindOf(join(root, path))) === 'folder') await gather(root, path, [...above, real], all);
    else all.found.push(path);
  }
}
