/** A stand-in of the Hub with a few repositories, a store in a folder of its own, and ways to open what is there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { folderStore } from '../../src/cli/hubFolder.ts';
import { openSource } from '../../src/hub/open.ts';
import type {
  CachedFile,
  FileStore,
  HubHost,
  HubSource,
  RepoKind,
  Transfer,
  UrlSource,
} from '../../src/hub/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { type HubServer, startHub } from '../tools/hub.ts';

const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 255);
export const utf8 = (words: string) => new TextEncoder().encode(words);

export const MODEL = noise(50_000, 1);
export const DATA = noise(80_000, 2);
const TINY = {
  'config.json': utf8('{"model_type": "llama"}'),
  'tokenizer.json': utf8('{}'),
  'onnx/model.onnx': MODEL,
  'onnx/model.onnx_data': DATA,
  'onnx/model_q4.onnx': noise(20_000, 3),
};
export const tiny: HubSource = { kind: 'hub', repo: 'makers/Tiny-ONNX', files: ['onnx/model.onnx'] };

const start = () =>
  startHub([
    {
      kind: 'model',
      name: 'makers/Tiny-ONNX',
      files: TINY,
      tags: ['onnx'],
      downloads: 5,
      revisions: { v1: { ...TINY, 'onnx/model.onnx': noise(40_000, 9) } },
    },
    { kind: 'model', name: 'others/tiny-clone-ONNX', files: TINY, tags: ['onnx'], downloads: 50 },
    { kind: 'model', name: 'makers/Tiny', files: { 'model.safetensors': noise(2000, 4) } },
    { kind: 'model', name: 'makers/gated', files: TINY, tags: ['onnx'], isGated: true },
    { kind: 'model', name: 'makers/hidden', files: TINY, isPrivate: true },
    {
      kind: 'dataset',
      name: 'makers/rows',
      files: { 'data/train.jsonl': utf8('{"text": "a"}\n'), 'data/test.jsonl': utf8('{"text": "b"}\n') },
    },
  ]);

export interface HubBench {
  hub: HubServer;
  root: string;
  store: FileStore;
  around: HubHost;
  /** Opens a source and reads all of its files. */
  open(
    source?: HubSource | UrlSource,
    change?: Partial<HubHost>,
    transfer?: Transfer,
    kind?: RepoKind,
  ): Promise<{
    readonly files: readonly Content[];
    readonly notes: readonly string[];
    readonly beside: (names: readonly string[]) => Promise<readonly Content[]>;
  }>;
  /** What a model's files hold, by path. */
  contents(source?: HubSource): Promise<ReadonlyMap<string, Buffer>>;
}

interface Content {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const read = (kept: readonly CachedFile[]): Promise<Content[]> =>
  Promise.all(kept.map(async ({ path, read: bytes }) => ({ path, bytes: await bytes() })));

/** A bench, made anew before each test of the file that calls this. */
export function hubBench(): HubBench {
  const bench = {} as HubBench;
  bench.open = async (source = tiny, change = {}, transfer = {}, kind = 'model') => {
    const { files, notes, beside } = await openSource(source, kind, { ...bench.around, ...change }, transfer);
    return { files: await read(files), notes, beside: async (names) => read(await beside(names)) };
  };
  bench.contents = async (source = tiny) =>
    new Map((await bench.open(source)).files.map(({ path, bytes }) => [path, Buffer.from(bytes)]));
  beforeEach(async () => {
    bench.hub = await start();
    bench.root = await mkdtemp(join(tmpdir(), 'papilio-cache-'));
    bench.store = folderStore(bench.root);
    bench.around = { store: bench.store, fetch, hub: bench.hub.url, retryDelaysMs: [] };
  });
  afterEach(async () => {
    await bench.hub.close();
    await rm(bench.root, { recursive: true });
  });
  return bench;
}

/** The error that a task ends in. */
export async function refusal(task: Promise<unknown>): Promise<PapilioError> {
  const error = await task.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PapilioError)) throw new Error(`No PapilioError: ${String(error)}`);
  return error;
}
