/** From the command line's words to sources: embedded names, files with what lies beside them, folders, the Hub, addresses. */
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { fail, type InputFile } from '../common.ts';
import { decodePicture } from '../data.ts';
import {
  type FileStore,
  HUB_ADDRESS,
  type HubHost,
  type HubSource,
  hubAddress,
  nameOf,
  parseSource,
  type RepoKind,
  type UrlSource,
} from '../hub.ts';
import { MODEL_SIDECARS } from '../merged.ts';
import { externalFiles } from '../onnx.ts';
import type { DataSource, ModelSource } from '../protocol.ts';
import { downloadModel, followed, type Host, halfOf, openSource, pin } from '../trainer.ts';
import { cacheFolder, folderStore } from './hubFolder.ts';
import { kindOf, listFiles, listFolder, openGpu, readBytes } from './runtime.ts';
import { note, progressBar } from './terminal.ts';

const EMBEDDED = 'embedded:';

/** One store in a process: it remembers whose content was seen to be right. */
let kept: { readonly root: string; readonly store: FileStore } | undefined;

/** The Hub with the names that its own tools use for the environment: HF_ENDPOINT, HF_TOKEN. */
async function hub(): Promise<HubHost> {
  const { HF_ENDPOINT, HF_TOKEN } = process.env;
  const root = cacheFolder();
  if (kept?.root !== root) kept = { root, store: folderStore(root) };
  return {
    store: kept.store,
    fetch: followed(fetch),
    isOutsideBrowser: true,
    hub: hubAddress(HF_ENDPOINT ?? HUB_ADDRESS),
    ...(HF_TOKEN === undefined || HF_TOKEN === '' ? {} : { token: HF_TOKEN }),
  };
}

/** Whether a word names something to be fetched. */
const isRemote = (word: string): boolean => /^(hub:|https?:\/\/)/.test(word);

/** Pins what a word names and fetches it, telling how far it is; the run then finds everything kept. */
async function fetchNamed(word: string, kind: RepoKind): Promise<HubSource | UrlSource> {
  const hubHost = await hub();
  const named = parseSource(word, kind, hubHost.hub);
  let source = named;
  if (named.kind === 'hub') {
    const pinned = await pin(named, kind, hubHost);
    source = pinned.source;
    for (const line of pinned.notes) note(`${line}\n`);
  }
  const bar = progressBar('fetch', { isQuiet: true });
  const transfer = { onBytes: (done: number, total: number, what: string) => bar.update(done, total, what) };
  await (kind === 'model'
    ? downloadModel(source, hubHost, transfer)
    : openSource(source, kind, hubHost, transfer));
  bar.end();
  note(`${nameOf(source)}\n`);
  return source;
}

/** The .onnx file of a folder: `model.onnx`, `onnx/model.onnx`, the two of an encoder and its decoder, or the only one there is. */
async function modelFile(path: string): Promise<string[]> {
  const kind = await kindOf(path);
  if (kind === null)
    return fail(
      'not-found',
      `${path} does not exist; give an .onnx file, a folder with one, embedded:NAME or hub:OWNER/NAME.`,
    );
  if (kind === 'file') return [path];
  const files = (await listFiles(path)).filter((f) => f.endsWith('.onnx'));
  const usual = ['model.onnx', 'onnx/model.onnx'].find((f) => files.includes(f));
  const halves = [halfOf(files, 'encoder'), halfOf(files, 'decoder')].filter((f) => f !== undefined);
  const chosen = usual ? [usual] : halves.length === 2 ? halves : files;
  if (chosen !== halves && chosen.length !== 1) {
    return fail(
      'not-found',
      `${path} holds ${files.length === 0 ? 'no .onnx file' : `${files.length} .onnx files`}; name one file.`,
    );
  }
  return chosen.map((f) => join(path, f));
}

/** Reads a model file, its external data and its sidecars (beside it, or one folder up as on the Hub). */
export async function modelSource(word: string): Promise<ModelSource> {
  if (word.startsWith(EMBEDDED)) return { kind: 'embedded', name: word.slice(EMBEDDED.length) };
  if (isRemote(word)) return fetchNamed(word, 'model');
  const paths = await modelFile(word);
  const folder = dirname(paths[0]!);
  const files: InputFile[] = [];
  for (const path of paths) {
    const bytes = await readBytes(path);
    files.push({ name: basename(path), bytes });
    for (const name of externalFiles(bytes))
      if (!files.some((file) => file.name === name))
        files.push({ name, bytes: await readBytes(join(folder, name)) });
  }
  for (const name of MODEL_SIDECARS) {
    if (files.some((file) => file.name === name)) continue;
    for (const beside of [folder, ...(basename(folder) === 'onnx' ? [dirname(folder)] : [])]) {
      if ((await kindOf(join(beside, name))) === 'file') {
        files.push({ name, bytes: await readBytes(join(beside, name)) });
        break;
      }
    }
  }
  return { kind: 'files', files };
}

export async function dataSource(word: string): Promise<DataSource> {
  if (word.startsWith(EMBEDDED)) return { kind: 'embedded', name: word.slice(EMBEDDED.length) };
  if (isRemote(word)) return fetchNamed(word, 'dataset');
  const kind = await kindOf(word);
  if (kind === null)
    return fail(
      'not-found',
      `${word} does not exist; give a data file, a folder, embedded:NAME or hub:OWNER/NAME.`,
    );
  if (kind === 'file')
    return { kind: 'files', files: [{ name: basename(word), bytes: await readBytes(word) }] };
  const names = await listFiles(word);
  return {
    kind: 'files',
    files: await Promise.all(names.map(async (name) => ({ name, bytes: await readBytes(join(word, name)) }))),
  };
}

/** The project's `public/` folder: beside the bundle's folder, and beside `src/` when run from there. */
export async function publicFolder(): Promise<string> {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (let up = 0; up < 4; up++) {
    const names = (await kindOf(folder)) === 'folder' ? await listFolder(folder) : [];
    if (names.includes('public') && names.includes('package.json')) return join(folder, 'public');
    folder = dirname(folder);
  }
  return fail('not-found', 'The public folder with the embedded models is not beside the program.');
}

export const cliHost: Host = {
  gpu: openGpu,
  async readPublic(path, onBytes) {
    const bytes = await readBytes(join(await publicFolder(), path));
    onBytes(bytes.length, bytes.length);
    return bytes;
  },
  decodeImage: decodePicture,
  hub,
};
