/**
 * Several runs share one cache: each file has one owner at a time, the others wait and find it whole, and who dies is followed. Seen to fail with:
 * files that nobody owns, names that vanish between looking and asking, locks of the dead that are kept.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderStore } from '../../src/cli/hubFolder.ts';
import { folderOf } from '../../src/hub/names.ts';
import { openSource } from '../../src/hub/open.ts';
import type { HubSource, UrlSource } from '../../src/hub/types.ts';
import { DATA, hubBench, MODEL, refusal, tiny, utf8 } from './hub-fixtures.ts';

const bench = hubBench();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const SLOW = { kind: 'slow', bytes: 9000, pauseMs: 1 } as const;

async function fetchInto(root: string, source: HubSource | UrlSource = tiny): Promise<string[]> {
  const { files } = await openSource(source, 'model', { ...bench.around, store: folderStore(root) });
  const told = await Promise.all(files.map(async ({ path, read }) => `${path} ${sha256(await read())}`));
  return told.sort();
}

/** How often each file's bytes were asked for. */
const asked = (): number[] => {
  const paths = bench.hub.requests.filter(
    (line) => /^GET .*\/(resolve|cdn)\//.test(line) && !/HEAD/.test(line),
  );
  const counts = new Map<string, number>();
  for (const path of paths) counts.set(path, (counts.get(path) ?? 0) + 1);
  return [...counts.values()];
};

async function emptyCache(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'papilio-shared-'));
}

describe('a cache', () => {
  it('is filled once by three that begin together, ten times', async () => {
    bench.hub.faults.set('*', SLOW);
    for (let round = 0; round < 10; round++) {
      const root = await emptyCache();
      bench.hub.requests.length = 0;
      const [first, ...others] = await Promise.all([1, 2, 3].map(() => fetchInto(root)));
      expect(first).toContain(`onnx/model.onnx ${sha256(MODEL)}`);
      expect(first).toContain(`onnx/model.onnx_data ${sha256(DATA)}`);
      for (const other of others) expect(other).toEqual(first);
      expect(Math.max(...asked())).toBe(1);
      const left = await readdir(root, { recursive: true });
      expect(left.filter((name) => /lock|new|part$/.test(name))).toEqual([]);
      await rm(root, { recursive: true });
    }
  });

  it('gives the files of an address their names one run after the other', async () => {
    bench.hub.faults.set('*', SLOW);
    const url = `${bench.hub.url}/cdn/${bench.hub.commitOf('makers/Tiny-ONNX')}/onnx/model.onnx`;
    for (let round = 0; round < 5; round++) {
      const root = await emptyCache();
      const [first, ...others] = await Promise.all(
        [1, 2, 3].map(() => fetchInto(root, { kind: 'url', url })),
      );
      for (const other of others) expect(other).toEqual(first);
      expect(first).toContain(`model.onnx ${sha256(MODEL)}`);
      // And again from what is kept.
      expect(await fetchInto(root, { kind: 'url', url })).toEqual(first);
      await rm(root, { recursive: true });
    }
  });

  it('keeps what several branches of one repository stand for', async () => {
    const root = await emptyCache();
    const revisions = ['main', 'v1'];
    const first = await Promise.all(revisions.map((revision) => fetchInto(root, { ...tiny, revision })));
    await bench.hub.close();
    for (const [k, revision] of revisions.entries())
      expect(await fetchInto(root, { ...tiny, revision })).toEqual(first[k]);
    await rm(root, { recursive: true });
  });

  it.each<[string, () => Promise<string>, number]>([
    ['whose process is gone', async () => JSON.stringify({ pid: await deadPid(), born: null }), 0],
    [
      'of a process whose number was given again',
      async () => JSON.stringify({ pid: process.pid, born: 'another boot 7' }),
      0,
    ],
    ['that was never written', async () => '', 60],
    ['of no number', async () => '{"pid": "1"}', 60],
    ['that is no JSON', async () => '\u0000\u0000', 60],
  ])('takes over a lock %s', async (_, words, secondsAgo) => {
    const root = await emptyCache();
    const folder = join(root, folderOf(bench.hub.url, 'model', 'makers/Tiny-ONNX'));
    await mkdir(folder, { recursive: true });
    const lock = join(folder, `${sha256(MODEL)}.lock`);
    await writeFile(lock, await words());
    const then = Date.now() / 1000 - secondsAgo;
    await utimes(lock, then, then);
    const all = await Promise.all([1, 2, 3].map(() => fetchInto(root)));
    expect(all[0]).toContain(`onnx/model.onnx ${sha256(MODEL)}`);
    expect(new Set(all.map((one) => one.join())).size).toBe(1);
    await rm(root, { recursive: true });
  });

  it('is waited for as long as its owner lives, and the wait is told and can be broken off', async () => {
    const store = folderStore(bench.root);
    const folder = folderOf(bench.hub.url, 'model', 'makers/Tiny-ONNX');
    let free = () => {};
    const owner = store.own(folder, sha256(MODEL), () => new Promise<void>((resolve) => (free = resolve)));
    const told: string[] = [];
    const abort = new AbortController();
    const waits = openSource(tiny, 'model', bench.around, {
      signal: abort.signal,
      onBytes: (_done, _total, what) => {
        told.push(what);
        if (what.includes('another run')) abort.abort();
      },
    });
    expect(await refusal(waits)).toMatchObject({ kind: 'aborted' });
    expect(told.join()).toContain('model.onnx (another run of Papilio is fetching it)');
    free();
    await owner;
    expect(await fetchInto(bench.root)).toContain(`onnx/model.onnx ${sha256(MODEL)}`);
  });

  it('is listed while names come and go in it', async () => {
    const store = folderStore(bench.root);
    const folder = 'models--makers--busy';
    const names = Array.from({ length: 12 }, (_, k) => `file-${k}`);
    let isOver = false;
    const busy = names.map(async (name) => {
      while (!isOver) {
        await store.write(folder, name, utf8('x'));
        await store.remove(folder, name);
      }
    });
    for (let k = 0; k < 150; k++) {
      for (const size of (await store.list(folder)).values()) expect(size).toBe(1);
      for (const name of names)
        for await (const piece of (await store.stream(folder, name)) ?? []) expect(piece.length).toBe(1);
    }
    isOver = true;
    await Promise.all(busy);
  });

  it('is filled once by three processes, and by two when the one that fetches is killed', async () => {
    bench.hub.faults.set('*', { kind: 'slow', bytes: 4000, pauseMs: 20 });
    for (const kills of [false, true]) {
      const root = await emptyCache();
      bench.hub.requests.length = 0;
      const runs = [1, 2, 3].map(() => runInto(root));
      if (kills) {
        // The first that has bytes is the one that owns the file.
        const victim = await Promise.race(runs.map((run) => run.bytes.then(() => run)));
        victim.child.kill('SIGKILL');
      }
      const ends = await Promise.all(runs.map(({ end }) => end));
      const whole = ends.filter(({ signal }) => signal === null);
      expect(whole).toHaveLength(kills ? 2 : 3);
      for (const { code, told } of whole) {
        expect(told).toContain(`onnx/model.onnx ${sha256(MODEL)}`);
        expect(code).toBe(0);
      }
      expect(new Set(whole.map(({ told }) => told)).size).toBe(1);
      if (!kills) expect(Math.max(...asked())).toBe(1);
      await rm(root, { recursive: true });
    }
  }, 120_000);
});

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await once(child, 'exit');
  return child.pid!;
}

interface Run {
  readonly child: ChildProcess;
  /** When some bytes have come. */
  readonly bytes: Promise<void>;
  readonly end: Promise<{
    readonly code: number | null;
    readonly signal: string | null;
    readonly told: string;
  }>;
}

function runInto(root: string): Run {
  const child = spawn(
    'node_modules/.bin/deno',
    ['run', '-A', '--no-lock', '--quiet', 'test/tools/fetchInto.ts', root, bench.hub.url, 'makers/Tiny-ONNX'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let told = '';
  let says = '';
  child.stdout.on('data', (piece: Buffer) => {
    told += piece;
  });
  const bytes = new Promise<void>((resolve) => {
    child.stderr.on('data', (piece: Buffer) => {
      says += piece;
      if (/^[1-9]\d*$/m.test(says)) resolve();
    });
  });
  const end = once(child, 'close').then(([code, signal]: unknown[]) => ({
    code: code as number | null,
    signal: signal as string | null,
    told: told || says,
  }));
  return { child, bytes, end };
}
