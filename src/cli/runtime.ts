/** What the command line takes from the runtime below it, Node or Deno alike: the GPU, files, and the terminal. */
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fail } from '../lib/errors.ts';
import { swiftShaderIcd } from './adapters.mjs';

const isDeno = 'Deno' in globalThis;

/** Name and version of the runtime, for records: "node 20.20.2 (Dawn)" or "deno 2.9.6 (wgpu)". */
export const runtimeName = isDeno
  ? `deno ${process.versions.deno} (wgpu)`
  : `node ${process.versions.node} (Dawn)`;

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

/** Whole file; throws 'not-found' naming the path when it is missing or cannot be read. */
export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const bytes = await readFile(path);
    return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    return fail('not-found', `${path} cannot be read: ${reason(error)}.`, { path });
  }
}

/** Whole file as UTF-8 text; throws 'not-found' as {@link readBytes} does. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(path));
}

/** Writes a file, making the folders above it; throws 'bad-argument' naming the path when it cannot. */
export async function writeBytes(path: string, data: Uint8Array | string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
  } catch (error) {
    fail('bad-argument', `${path} cannot be written: ${reason(error)}.`, { path });
  }
}

/** Removes a file if there is one; throws 'bad-argument' naming the path when it cannot. */
export async function removeFile(path: string): Promise<void> {
  try {
    if ((await kindOf(path)) === 'file') await rm(path);
  } catch (error) {
    fail('bad-argument', `${path} cannot be removed: ${reason(error)}.`, { path });
  }
}

/** Writes a file piece by piece, so that its contents need not be joined. */
export async function writeChunks(path: string, chunks: readonly Uint8Array[]): Promise<void> {
  await writeBytes(path, new Uint8Array(0));
  for (const chunk of chunks) {
    try {
      await appendFile(path, chunk);
    } catch (error) {
      fail('bad-argument', `${path} cannot be written: ${reason(error)}.`, { path });
    }
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
    return fail('not-found', `${path} cannot be listed: ${reason(error)}.`, { path });
  }
}

/** Paths of all files below a folder, relative to it with forward slashes, sorted. */
export async function listFiles(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await listFolder(path)) {
    if ((await kindOf(join(path, name))) !== 'folder') found.push(name);
    else for (const inner of await listFiles(join(path, name))) found.push(`${name}/${inner}`);
  }
  return found;
}

function reason(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  return error instanceof Error ? error.message : String(error);
}
