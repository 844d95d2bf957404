/** Fetching from the Hub with its faults, and what is kept: against a stand-in on this machine, with the command line's store. */
import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listKept } from '../../src/hub/cache.ts';
import { weigh } from '../../src/hub/fetching.ts';
import { pin } from '../../src/hub/open.ts';
import type { FileStore } from '../../src/hub/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { DATA, hubBench, MODEL, refusal, tiny } from './hub-fixtures.ts';

const bench = hubBench();

describe('fetching', () => {
  it('brings the bytes, tells of them, and asks nothing a second time', async () => {
    const { hub, around } = bench;
    const seen: number[] = [];
    const { files } = await bench.open(
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
    expect(Buffer.compare((await bench.open(source)).files[1]!.bytes, DATA)).toBe(0);
    expect(hub.requests).toEqual([]);
  });

  it('works with the Hub gone, pinned or by what a branch last was', async () => {
    const { hub, around } = bench;
    await bench.open();
    const { commit } = (await pin(tiny, 'model', around)).listing;
    await hub.close();
    expect((await bench.open({ ...tiny, revision: commit })).notes).toEqual([]);
    const { files, notes } = await bench.open();
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(notes.join()).toMatch(/cannot be reached.*as it was last seen/);
  });

  it('fetches only the rest after a break', async () => {
    const { hub, store } = bench;
    hub.faults.set('onnx/model.onnx_data', { kind: 'cut', after: 30_000 });
    const error = await refusal(bench.open());
    expect(error).toMatchObject({ kind: 'network', details: { way: 'resume' } });
    expect(error.message).toMatch(/ended after \d+ of 80000 bytes of model\.onnx_data; they are kept/);
    const [kept] = await listKept(store);
    expect(kept!.partBytes).toBeGreaterThan(1000);

    hub.faults.clear();
    hub.requests.length = 0;
    expect((await bench.contents()).get('onnx/model.onnx_data')).toEqual(Buffer.from(DATA));
    const ranges = hub.requests.filter((line) => line.includes('model.onnx_data bytes='));
    expect(ranges.at(-1)).toMatch(/bytes=[1-9]\d{3,}-$/);
    expect((await listKept(store))[0]!.partBytes).toBe(0);
  });

  it('goes on by itself while a bad line brings something at each try', async () => {
    const { hub } = bench;
    hub.faults.set('onnx/model.onnx_data', { kind: 'cut', after: 20_000 });
    const { files } = await bench.open(tiny, { retryDelaysMs: [1] });
    expect(Buffer.compare(files[1]!.bytes, DATA)).toBe(0);
  });

  it('keeps what has come when it is broken off', async () => {
    const { hub, around } = bench;
    hub.faults.set('onnx/model.onnx', { kind: 'slow', bytes: 5000, pauseMs: 20 });
    const stop = new AbortController();
    const error = await refusal(
      bench.open(tiny, {}, { signal: stop.signal, onBytes: (done: number) => done > 12_000 && stop.abort() }),
    );
    expect(error).toMatchObject({ kind: 'aborted', details: { way: 'resume' } });
    const { listing, files } = await pin(tiny, 'model', around);
    const { done } = await weigh(listing, files, around);
    expect(done).toBeGreaterThan(10_000);
    hub.faults.clear();
    expect((await bench.contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('begins anew where a server gives no parts', async () => {
    const { hub } = bench;
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(bench.open());
    hub.faults.set('onnx/model.onnx', { kind: 'no-ranges' });
    expect((await bench.contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('throws away a part that turns out to be of something else, and begins anew', async () => {
    const { hub, store, root } = bench;
    hub.faults.set('onnx/model.onnx', { kind: 'wrong' });
    // The wrong byte lies in the part; the rest is right.
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(bench.open());
    const [folder] = await readdir(root);
    const name = (await readdir(join(root, folder!)))
      .find((file) => file.endsWith('.part'))!
      .replace('.part', '');
    const part = (await store.read(folder!, name))!;
    part[5]! ^= 1;
    await store.write(folder!, name, part);
    hub.faults.clear();
    expect((await bench.contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });

  it('notices a wrong content and keeps none of it, by SHA-256 and by Git’s SHA-1', async () => {
    const { hub, store } = bench;
    for (const path of ['onnx/model.onnx', 'tokenizer.json']) {
      hub.faults.clear();
      hub.faults.set(path, { kind: 'wrong' });
      const error = await refusal(bench.open());
      expect(error).toMatchObject({ kind: 'malformed-file', details: { way: 'again' } });
      expect(error.message).toMatch(/SHA-(256|1) does not fit.*thrown away/);
      expect((await listKept(store)).every(({ partBytes }) => partBytes === 0)).toBe(true);
    }
    hub.faults.clear();
    expect((await bench.contents()).get('tokenizer.json')).toEqual(Buffer.from('{}'));
  });

  it('notices a file that ends early', async () => {
    const { hub } = bench;
    hub.faults.set('onnx/model.onnx', { kind: 'short', by: 10 });
    const error = await refusal(bench.open());
    expect(error.kind).toBe('malformed-file');
    expect(error.message).toMatch(/model\.onnx has 49990 bytes where 50000 were promised/);
  });

  it('takes the other revision for what it is and shares what did not change', async () => {
    const { hub, store } = bench;
    await bench.open();
    hub.requests.length = 0;
    const { files } = await bench.open({ ...tiny, revision: 'v1' });
    expect(files[0]!.bytes.length).toBe(40_000);
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toHaveLength(1);
    expect((await listKept(store))[0]!.commits).toHaveLength(2);
  });

  it('reads the files of a dataset’s training split', async () => {
    const { files } = await bench.open({ kind: 'hub', repo: 'makers/rows' }, {}, {}, 'dataset');
    expect(files.map(({ path }) => path)).toEqual(['data/train.jsonl']);
  });

  it('finds external data by the name that the model gives', async () => {
    const { beside } = await bench.open({ ...tiny, files: ['onnx/model_q4.onnx'] });
    const [file] = await beside(['model.onnx_data']);
    expect(Buffer.compare(file!.bytes, DATA)).toBe(0);
    expect((await refusal(beside(['nothing.bin']))).kind).toBe('not-found');
  });
});

describe('room', () => {
  it('is asked for before anything is fetched', async () => {
    const { hub } = bench;
    const narrow: FileStore = { ...bench.store, room: async () => 1000 };
    hub.requests.length = 0;
    const error = await refusal(bench.open(tiny, { store: narrow }));
    expect(error).toMatchObject({ kind: 'quota', details: { way: 'free' } });
    expect(error.message).toMatch(/needs 0\.1 MB more/);
    expect(hub.requests.filter((line) => line.includes('/resolve/'))).toEqual([]);
  });

  it('that ends on the way keeps what has come', async () => {
    const { hub, store } = bench;
    let left = 20_000;
    const filling: FileStore = {
      ...store,
      async append(...place) {
        const appender = await store.append(...place);
        return {
          ...appender,
          async write(bytes) {
            // As a disk does: what fits is written.
            const fits = bytes.subarray(0, left);
            left -= fits.length;
            await appender.write(fits);
            if (fits.length < bytes.length)
              throw new PapilioError('quota', 'The disk is full.', { way: 'free' });
          },
        };
      },
    };
    hub.faults.set('onnx/model.onnx', { kind: 'slow', bytes: 5000, pauseMs: 5 });
    expect((await refusal(bench.open(tiny, { store: filling }))).kind).toBe('quota');
    expect((await listKept(store))[0]!.partBytes).toBe(20_000);
    left = 1e9;
    hub.faults.clear();
    hub.requests.length = 0;
    expect((await bench.open(tiny, { store: filling })).files).toHaveLength(4);
    expect(hub.requests.join()).toContain('bytes=20000-');
  });

  it('is freed folder by folder', async () => {
    const { store } = bench;
    await bench.open();
    await bench.open({ kind: 'hub', repo: 'makers/rows' }, {}, {}, 'dataset');
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
    const { root, around } = bench;
    const { listing, files } = await pin(tiny, 'model', around);
    await bench.open();
    const [folder] = await readdir(root);
    await truncate(join(root, folder!, files[0]!.sha256!), 100);
    expect(await weigh(listing, files, around)).toMatchObject({ isWhole: false });
    expect((await bench.contents()).get('onnx/model.onnx')).toEqual(Buffer.from(MODEL));
  });
});
