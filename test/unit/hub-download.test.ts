/** The Hub, its faults, and what is kept: against a stand-in on this machine, with the command line's store. */
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { folderStore } from '../../src/cli/hubFolder.ts';
import { listKept } from '../../src/hub/cache.ts';
import { searchRepos } from '../../src/hub/client.ts';
import { weigh } from '../../src/hub/fetching.ts';
import { openSource, pin, requireVariants } from '../../src/hub/open.ts';
import type {
  Around,
  FileStore,
  HubSource,
  KeptFile,
  RepoKind,
  Transfer,
  UrlSource,
} from '../../src/hub/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { type HubServer, startHub } from '../tools/hub.ts';

const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 255);
const text = (words: string) => new TextEncoder().encode(words);

const MODEL = noise(50_000, 1);
const DATA = noise(80_000, 2);
const TINY = {
  'config.json': text('{"model_type": "llama"}'),
  'tokenizer.json': text('{}'),
  'onnx/model.onnx': MODEL,
  'onnx/model.onnx_data': DATA,
  'onnx/model_q4.onnx': noise(20_000, 3),
};

let hub: HubServer;
let root: string;
let store: FileStore;
let around: Around;

beforeEach(async () => {
  hub = await startHub([
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
      files: { 'data/train.jsonl': text('{"text": "a"}\n'), 'data/test.jsonl': text('{"text": "b"}\n') },
    },
  ]);
  root = await mkdtemp(join(tmpdir(), 'papilio-cache-'));
  store = folderStore(root);
  around = { store, fetch, hub: hub.url, retryDelaysMs: [] };
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

const tiny: HubSource = { kind: 'hub', repo: 'makers/Tiny-ONNX', files: ['onnx/model.onnx'] };
/** Opens a source and reads all of its files. */
async function openAll(
  source: HubSource | UrlSource,
  kind: RepoKind = 'model',
  change: Partial<Around> = {},
  transfer: Transfer = {},
) {
  const { files, notes, beside } = await openSource(source, kind, { ...around, ...change }, transfer);
  const read = (kept: readonly KeptFile[]) =>
    Promise.all(kept.map(async ({ path, read: bytes }) => ({ path, bytes: await bytes() })));
  return {
    files: await read(files),
    notes,
    beside: async (names: readonly string[]) => read(await beside(names)),
  };
}
const open = (source: HubSource = tiny, change: Partial<Around> = {}, transfer: Transfer = {}) =>
  openAll(source, 'model', change, transfer);

/** The error that a task ends in. */
async function refusal(task: Promise<unknown>): Promise<PapilioError> {
  const error = await task.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof PapilioError)) throw new Error(`No PapilioError: ${String(error)}`);
  return error;
}

const contents = async (source = tiny) =>
  new Map((await open(source)).files.map(({ path, bytes }) => [path, Buffer.from(bytes)]));

describe('finding', () => {
  it('lists models with ONNX files, the most fetched first', async () => {
    const found = await searchRepos('tiny', 'model', around);
    expect(found.map(({ repo }) => repo)).toEqual(['others/tiny-clone-ONNX', 'makers/Tiny-ONNX']);
  });

  it('pins a branch to its commit, over all pages of the listing', async () => {
    const { listing, source, files } = await pin(tiny, 'model', around);
    expect(listing.commit).toBe(hub.commitOf('makers/Tiny-ONNX'));
    expect(listing.files).toHaveLength(5);
    expect(source.revision).toBe(listing.commit);
    expect(files.map(({ path }) => path)).toEqual([
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'config.json',
      'tokenizer.json',
    ]);
    expect(await weigh(listing, files, around)).toMatchObject({ done: 0, total: 130_025, isWhole: false });
  });

  it('takes the usual file when none is named', async () => {
    const { source } = await pin({ kind: 'hub', repo: 'makers/Tiny-ONNX' }, 'model', around);
    expect(source.files).toEqual(['onnx/model.onnx']);
  });

  it('says which repositories are near to one that does not exist', async () => {
    const error = await refusal(pin({ kind: 'hub', repo: 'makers/Tiny-ONX' }, 'model', around));
    expect(error.kind).toBe('not-found');
    expect(error.message).toMatch(
      /no model makers\/Tiny-ONX .*Near to it: others\/tiny-clone-ONNX, makers\/Tiny-ONNX/,
    );
  });

  it('says which repositories have the ONNX files that one lacks', async () => {
    const { listing } = await pin(
      { kind: 'hub', repo: 'makers/Tiny', files: ['model.safetensors'] },
      'model',
      around,
    );
    const error = await refusal(requireVariants(listing, around));
    expect(error.message).toMatch(/holds no \.onnx file; these do: others\/tiny-clone-ONNX/);
  });

  it('says what is wrong with a revision or a file', async () => {
    expect((await refusal(pin({ ...tiny, revision: 'v9' }, 'model', around))).message).toMatch(
      /no revision "v9"/,
    );
    expect((await refusal(pin({ ...tiny, files: ['x.onnx'] }, 'model', around))).message).toMatch(
      /no file x\.onnx/,
    );
  });
});

describe('fetching', () => {
  it('brings the bytes, tells of them, and asks nothing a second time', async () => {
    const seen: number[] = [];
    const { files } = await open(
      tiny,
      {},
      { onBytes: (done: number, total: number) => seen.push(done / total) },
    );
    expect(files.map(({ path }) => path)).toContain('tokenizer.json');
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(Buffer.compare(files[1]!.bytes, DATA)).toBe(0);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    expect(seen.at(-1)).toBe(1);

    hub.requests.length = 0;
    const { source } = await pin({ ...tiny, revision: hub.commitOf(tiny.repo) }, 'model', around);
    expect(Buffer.compare((await open(source)).files[1]!.bytes, DATA)).toBe(0);
    expect(hub.requests).toEqual([]);
  });

  it('works with the Hub gone, pinned or by what a branch last was', async () => {
    await open();
    const { commit } = (await pin(tiny, 'model', around)).listing;
    await hub.close();
    expect((await open({ ...tiny, revision: commit })).notes).toEqual([]);
    const { files, notes } = await open();
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(notes.join()).toMatch(/cannot be reached.*as it was last seen/);
    hub = await startHub([]);
  });

  it('fetches only the rest after a break', async () => {
    hub.faults.set('onnx/model.onnx_data', { kind: 'cut', after: 30_000 });
    const error = await refusal(open());
    expect(error).toMatchObject({ kind: 'network', details: { way: 'resume' } });
    expect(error.message).toMatch(/ended after \d+ of 80000 bytes of model\.onnx_data; they are kept/);
    const [kept] = await listKept(store);
    expect(kept!.partBytes).toBeGreaterThan(1000);

    hub.faults.clear();
    hub.requests.length = 0;
    expect((await contents()).get('onnx/model.onnx_data')).toEqual(Buffer.from(DATA));
    const ranges = hub.requests.filter((line) => line.includes('model.onnx_data bytes='));
    expect(ranges.at(-1)).toMatch(/bytes=[1-9]\d{3,}-$/);
    expect((await listKept(store))[0]!.partBytes).toBe(0);
  });

  it('goes on by itself while a bad line brings something at each try', async () => {
    hub.faults.set('onnx/model.onnx_data', { kind: 'cut', after: 20_000 });
    const { files } = await open(tiny, { retryDelaysMs: [1] });
    expect(Buffer.compare(files[1]!.bytes, DATA)).toBe(0);
  });

  it('keeps what has come when it is broken off', async () => {
    hub.faults.set('onnx/model.onnx', { kind: 'slow', bytes: 5000, pauseMs: 20 });
    const stop = new AbortController();
    const error = await refusal(
      open(tiny, {}, { signal: stop.signal, onBytes: (done: number) => done > 12_000 && stop.abort() }),
    );
    expect(error).toMatchObject({ kind: 'aborted', details: { way: 'resume' } });
    const { listing, files } = await pin(tiny, 'model', around);
    const { done } = await weigh(listing, files, around);
    expect(done).toBeGreaterThan(10_000);
    hub.faults.clear();
    expect((await contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('begins anew where a server gives no parts', async () => {
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(open());
    hub.faults.set('onnx/model.onnx', { kind: 'no-ranges' });
    expect((await contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('throws away a part that turns out to be of something else, and begins anew', async () => {
    hub.faults.set('onnx/model.onnx', { kind: 'wrong' });
    // The wrong byte lies in the part; the rest is right.
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(open());
    const [folder] = await readdir(root);
    const name = (await readdir(join(root, folder!)))
      .find((file) => file.endsWith('.part'))!
      .replace('.part', '');
    const part = (await store.read(folder!, name))!;
    part[5]! ^= 1;
    await store.write(folder!, name, part);
    hub.faults.clear();
    expect((await contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('notices a wrong content and keeps none of it, by SHA-256 and by Git’s SHA-1', async () => {
    for (const path of ['onnx/model.onnx', 'tokenizer.json']) {
      hub.faults.clear();
      hub.faults.set(path, { kind: 'wrong' });
      const error = await refusal(open());
      expect(error).toMatchObject({ kind: 'malformed-file', details: { way: 'again' } });
      expect(error.message).toMatch(/SHA-(256|1) does not fit.*thrown away/);
      expect((await listKept(store)).every(({ partBytes }) => partBytes === 0)).toBe(true);
    }
    hub.faults.clear();
    expect((await contents()).get('tokenizer.json')).toEqual(Buffer.from('{}'));
  });

  it('notices a file that ends early', async () => {
    hub.faults.set('onnx/model.onnx', { kind: 'short', by: 10 });
    const error = await refusal(open());
    expect(error.kind).toBe('malformed-file');
    expect(error.message).toMatch(/model\.onnx has 49990 bytes where 50000 were promised/);
  });

  it('takes the other revision for what it is and shares what did not change', async () => {
    await open();
    hub.requests.length = 0;
    const { files } = await open({ ...tiny, revision: 'v1' });
    expect(files[0]!.bytes.length).toBe(40_000);
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toHaveLength(1);
    expect((await listKept(store))[0]!.commits).toHaveLength(2);
  });

  it('reads the files of a dataset’s training split', async () => {
    const { files } = await openAll({ kind: 'hub', repo: 'makers/rows' }, 'dataset');
    expect(files.map(({ path }) => path)).toEqual(['data/train.jsonl']);
  });

  it('finds external data by the name that the model gives', async () => {
    const { beside } = await open({ ...tiny, files: ['onnx/model_q4.onnx'] });
    const [file] = await beside(['model.onnx_data']);
    expect(Buffer.compare(file!.bytes, DATA)).toBe(0);
    expect((await refusal(beside(['nothing.bin']))).kind).toBe('not-found');
  });
});

describe('access', () => {
  it('gated: says where to accept the licence, and the token opens it without being written anywhere', async () => {
    const gated = { ...tiny, repo: 'makers/gated' };
    const error = await refusal(open(gated));
    expect(error).toMatchObject({ kind: 'forbidden', details: { way: 'token' } });
    expect(error.message).toContain(`accept its licence on ${hub.url}/makers/gated`);
    expect((await refusal(open(gated, { token: 'secret' }))).message).toMatch(/begin with "hf_"/);
    const { files } = await open(gated, { token: hub.token });
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(hub.requests.join()).not.toContain(hub.token);
    for (const folder of await store.folders())
      for (const name of (await store.list(folder)).keys())
        expect(Buffer.from((await store.read(folder, name))!).includes(hub.token)).toBe(false);
  });

  it('private: is not told from missing without a token', async () => {
    const hidden = { ...tiny, repo: 'makers/hidden' };
    const error = await refusal(open(hidden));
    expect(error).toMatchObject({ kind: 'not-found', details: { way: 'token' } });
    expect((await open(hidden, { token: hub.token })).files).toHaveLength(4);
  });

  it('other troubles of the server', async () => {
    hub.faults.set('*', { kind: 'status', status: 500 });
    expect((await refusal(open())).message).toMatch(
      /answers 500 for model\.onnx|answers 500 for onnx\/model\.onnx/,
    );
    hub.faults.set('*', { kind: 'status', status: 429 });
    expect((await refusal(open())).message).toMatch(/too many requests/);
  });
});

describe('room', () => {
  it('is asked for before anything is fetched', async () => {
    const narrow: FileStore = { ...store, room: async () => 1000 };
    hub.requests.length = 0;
    const error = await refusal(open(tiny, { store: narrow }));
    expect(error).toMatchObject({ kind: 'quota', details: { way: 'free' } });
    expect(error.message).toMatch(/needs 0\.1 MB more/);
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([]);
  });

  it('that ends on the way keeps what has come', async () => {
    let left = 20_000;
    const filling: FileStore = {
      ...store,
      async append(...place) {
        const appender = await store.append(...place);
        return {
          ...appender,
          async write(bytes) {
            if (bytes.length > left) throw new PapilioError('quota', 'The disk is full.', { way: 'free' });
            left -= bytes.length;
            await appender.write(bytes);
          },
        };
      },
    };
    hub.faults.set('onnx/model.onnx', { kind: 'slow', bytes: 5000, pauseMs: 5 });
    expect((await refusal(open(tiny, { store: filling }))).kind).toBe('quota');
    expect((await listKept(store))[0]!.partBytes).toBe(20_000);
    left = 1e9;
    hub.faults.clear();
    hub.requests.length = 0;
    expect((await open(tiny, { store: filling })).files).toHaveLength(4);
    expect(hub.requests.join()).toContain('bytes=20000-');
  });

  it('is freed folder by folder', async () => {
    await open();
    await openAll({ kind: 'hub', repo: 'makers/rows' }, 'dataset');
    const kept = await listKept(store);
    expect(kept.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      'model makers/Tiny-ONNX',
      'dataset makers/rows',
    ]);
    expect(kept[0]!.bytes).toBeGreaterThan(130_000);
    expect(kept[0]!.commits[0]!.paths).toContain('onnx/model.onnx_data');
    await store.remove(kept[0]!.folder);
    expect((await listKept(store)).map(({ name }) => name)).toEqual(['makers/rows']);
  });

  it('a file cut short on the disk is fetched again', async () => {
    const { listing, files } = await pin(tiny, 'model', around);
    await open();
    const [folder] = await readdir(root);
    await truncate(join(root, folder!, files[0]!.sha256!), 100);
    expect(await weigh(listing, files, around)).toMatchObject({ isWhole: false });
    expect((await contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });
});

describe('addresses', () => {
  const address = () => `${hub.url}/cdn/${hub.commitOf(tiny.repo)}/onnx/model.onnx`;

  it('bring the file and the sidecars beside and above it, once', async () => {
    const source = { kind: 'url', url: address() } as const;
    const { files, beside } = await openAll(source);
    expect(files.map(({ path }) => path)).toEqual(['model.onnx', '../config.json', '../tokenizer.json']);
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(Buffer.compare((await beside(['model.onnx_data']))[0]!.bytes, DATA)).toBe(0);
    hub.requests.length = 0;
    expect((await openAll(source)).files).toHaveLength(3);
    expect(hub.requests).toEqual([]);
    expect((await listKept(store))[0]).toMatchObject({ kind: 'url', name: source.url });
  });

  it('that lead nowhere or to no one', async () => {
    const gone = { kind: 'url', url: `${hub.url}/cdn/none/x.onnx` } as const;
    expect((await refusal(openAll(gone, 'model'))).message).toMatch(/There is nothing at .*404/);
    const { url } = hub;
    await hub.close();
    const error = await refusal(openAll({ kind: 'url', url: `${url}/x.onnx` }, 'model'));
    expect(error.message).toMatch(/cannot be reached.*\(CORS\)/);
    hub = await startHub([]);
  });

  it('whose file changed between two tries are fetched anew', async () => {
    const source = { kind: 'url', url: address() } as const;
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(openAll(source));
    hub.faults.clear();
    // Another content under the same address: its ETag differs, so the part is of no use.
    const [folder] = (await store.folders()).filter((name) => name.startsWith('url--'));
    await store.write(folder!, 'file-0.part', text(JSON.stringify({ etag: 'older', size: null })));
    const { files } = await openAll(source);
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
  });
});
