/** A Hub that lies: its listing, its pages and its names decide nothing about files of this machine, and learn no token. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { browserStore } from '../../src/hub/browserStore.ts';
import { knownListing } from '../../src/hub/cache.ts';
import { askListing, searchRepos } from '../../src/hub/client.ts';
import { downloadFiles } from '../../src/hub/fetching.ts';
import { folderOf } from '../../src/hub/names.ts';
import { openSource } from '../../src/hub/open.ts';
import type { FileStore, Listing } from '../../src/hub/types.ts';
import { hubBench, refusal, tiny, utf8 } from './hub-fixtures.ts';

const bench = hubBench();
const OID = 'ab'.repeat(20);
const SHA = 'cd'.repeat(32);
const COMMIT = '01'.repeat(20);

/** What a Hub answers: about the repository, then the pages of its listing. */
const lying =
  (pages: readonly unknown[], links: readonly string[] = [], seen: string[] = []): typeof fetch =>
  async (input, init) => {
    const headers = new Headers(init?.headers);
    seen.push(`${String(input)} ${headers.get('authorization') ?? '-'}`);
    const isTree = String(input).includes('/tree/') || String(input).includes('page=');
    if (!isTree) return Response.json({ _id: 'x', id: 'a/b', gated: false, sha: COMMIT });
    const at = Number(/page=(\d+)/.exec(String(input))?.[1] ?? 0);
    return Response.json(pages[Math.min(at, pages.length - 1)], {
      headers: links[at] === undefined ? {} : { Link: links[at] },
    });
  };

const entry = (change: object) => ({ type: 'file', path: 'model.onnx', size: 3, oid: OID, ...change });

const HOSTILE: readonly (readonly [string, object])[] = [
  ['a way up as oid', { oid: '../../.profile' }],
  ['a way up as LFS oid', { lfs: { oid: '../../../etc/passwd', size: 3, pointerSize: 1 } }],
  ['an absolute oid', { oid: '/etc/cron.d/job' }],
  ['a Windows way up', { oid: '..\\..\\startup.cmd' }],
  ['a drive', { oid: 'C:evil' }],
  ['a stream of another file', { oid: `${OID}:hidden` }],
  ['an oid with a newline behind', { oid: `${OID}\n` }],
  ['capital digits', { oid: OID.toUpperCase() }],
  ['39 digits', { oid: OID.slice(1) }],
  ['no oid', { oid: undefined }],
  ['an empty oid', { oid: '' }],
  ['an object as oid', { oid: { toString: 1 } }],
  ['the name of a file of ours', { oid: 'refs.json' }],
  ['the name of a part', { oid: `${OID}.part` }],
  ['an LFS oid of 40 digits', { lfs: { oid: OID, size: 3, pointerSize: 1 } }],
  ['an empty LFS oid', { lfs: { oid: '', size: 3, pointerSize: 1 } }],
  ['a size below 0', { size: -1 }],
  ['a size with a fraction', { size: 1.5 }],
  ['a size as text', { size: '3' }],
  ['a size without end', { size: 1e300 }],
  ['no size in LFS', { lfs: { oid: SHA, size: null, pointerSize: 1 }, size: null }],
  ['a path up', { path: 'onnx/../../model.onnx' }],
  ['an absolute path', { path: '/model.onnx' }],
  ['a path with backslashes', { path: '..\\model.onnx' }],
  ['a path on a drive', { path: 'c:/model.onnx' }],
  ['a path with an escape', { path: '\u001b[2Jmodel.onnx' }],
  ['a path with a null', { path: 'model.onnx\u0000.txt' }],
  ['a path without end', { path: `${'a/'.repeat(3000)}model.onnx` }],
  ['an empty part', { path: 'onnx//model.onnx' }],
  ['no path', { path: undefined }],
];

describe('a listing', () => {
  it.each(HOSTILE)('with %s is refused before anything is fetched or written', async (_, change) => {
    const seen: string[] = [];
    const around = { ...bench.around, fetch: lying([[entry({}), entry(change)]], [], seen) };
    const source = { kind: 'hub', repo: 'a/b', files: ['model.onnx'] } as const;
    const error = await refusal(openSource(source, 'model', around));
    expect(error).toMatchObject({ kind: 'malformed-file', details: { way: 'choose' } });
    expect(error.message).toMatch(/listing of a\/b cannot be used: of its entry .*; nothing was fetched/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    expect(seen).toHaveLength(2);
    expect(readdirSync(bench.root)).toEqual([]);
  });

  it('that is none of a Hub ends in a sentence', async () => {
    for (const page of [null, 5, 'text', { error: 'x' }, [null], [[]]]) {
      const around = { ...bench.around, fetch: lying([page]) };
      const listing = askListing('model', 'a/b', 'main', around);
      const files = await listing.then(
        (found) => found.files,
        (error: { kind: string }) => error.kind,
      );
      expect([[], 'network'], JSON.stringify(page)).toContainEqual(files);
    }
    const html: typeof fetch = async () => new Response('<html>');
    const said = await refusal(askListing('model', 'a/b', 'main', { ...bench.around, fetch: html }));
    expect(said.message).toMatch(/cannot be read; is it a Hub that answers there/);
    const search = await refusal(searchRepos('a', 'model', { ...bench.around, fetch: html }));
    expect(search.message).toMatch(/cannot be read/);
  });

  it('without end comes to one', async () => {
    const links = [`<${bench.hub.url}/x?page=0>; rel="next"`];
    const around = { ...bench.around, fetch: lying([[{ type: 'directory', path: 'onnx' }]], links) };
    expect(await refusal(askListing('model', 'a/b', 'main', around))).toMatchObject({ kind: 'too-large' });
  });

  it('that goes on at another server is not followed there, and no token is sent', async () => {
    const others = [
      'https://evil.example/x?page=1',
      `${bench.hub.url.replace('127.0.0.1', 'localhost')}/x?page=1`,
      `${bench.hub.url}0/x?page=1`,
      bench.hub.url.replace('http://', 'http://hub@evil.example:80/?page=1&'),
      'http://169.254.169.254/?page=1',
    ];
    for (const other of others) {
      const seen: string[] = [];
      const fetch = lying([[entry({})]], [`<${other}>; rel="next"`], seen);
      const around = { ...bench.around, token: 'hf_secret', fetch };
      const error = await refusal(askListing('model', 'a/b', 'main', around));
      expect(error.message).toMatch(/goes on at .*, which is another server; .* no token was sent/);
      expect(error.message).not.toContain('hf_secret');
      expect(seen).toHaveLength(2);
      expect(seen.every((line) => line.startsWith(`${bench.hub.url}/`))).toBe(true);
    }
  });

  it('that an older program kept, with such names, is not there', async () => {
    await bench.open();
    const folder = folderOf(bench.hub.url, 'model', tiny.repo);
    const path = join(bench.root, folder, `commit-${bench.hub.commitOf(tiny.repo)}.json`);
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Listing;
    const ask = (commit: string) => knownListing(bench.store, bench.hub.url, 'model', tiny.repo, commit);
    expect(await ask(kept.commit)).toEqual({ ...kept, revision: kept.commit });
    for (const bad of [
      { ...kept, files: [{ ...kept.files[0]!, oid: '../x', sha256: null }] },
      { ...kept, commit: '../../x' },
      { ...kept, repo: 'others/model' },
      { ...kept, hub: 'https://evil.example' },
      { ...kept, files: null },
      [],
      null,
    ]) {
      writeFileSync(path, JSON.stringify(bad));
      expect(await ask(kept.commit)).toBeNull();
    }
    for (const refs of ['{"main": "../../x"}', '{"main": 5}', '[]', 'null']) {
      writeFileSync(join(bench.root, folder, 'refs.json'), refs);
      expect(await ask('main')).toBeNull();
      expect(await ask('constructor')).toBeNull();
    }
  });
});

const NAMES = [
  '..',
  '.',
  '',
  '../x',
  'a/b',
  'a\\b',
  '/etc/passwd',
  'C:x',
  `${OID}\u0000`,
  `${OID}/..`,
  'con',
];
const MORE_FILES = ['refs.json ', `${OID}.`, `.${OID}`, 'notes.txt', `${OID}.part.part`, 'file-', 'file-1/x'];
const MORE_FOLDERS = [
  'models--',
  'models--a/../../x',
  'models--a--..',
  'url--x',
  'x',
  'models--a\n',
  'a:models--b',
];

/** Everything that can be asked of a store with one bad name. */
const asks = (store: FileStore): (() => Promise<unknown>)[] => {
  const good = 'models--a--b';
  const pairs = [
    ...[...NAMES, ...MORE_FILES].map((name) => [good, name] as const),
    ...[...NAMES, ...MORE_FOLDERS].map((folder) => [folder, OID] as const),
  ];
  return [
    ...pairs.flatMap(([folder, name]) => [
      () => store.read(folder, name),
      () => store.stream(folder, name),
      () => store.write(folder, name, utf8('x')),
      () => store.append(folder, name, 0),
      () => store.remove(folder, name),
      () => store.own(folder, name, async () => {}),
    ]),
    ...[...NAMES, ...MORE_FOLDERS].flatMap((folder) => [
      () => store.list(folder),
      () => store.remove(folder),
    ]),
  ];
};

describe('the store', () => {
  it('of the command line refuses every name that is not its own', async () => {
    const victim = join(bench.root, 'x');
    writeFileSync(victim, 'mine');
    for (const ask of asks(bench.store))
      expect((await refusal(ask())).message).toMatch(/no name that Papilio gives to what it keeps/);
    expect(readFileSync(victim, 'utf8')).toBe('mine');
    expect(readdirSync(bench.root)).toEqual(['x']);
  });

  it('of the browser does so before it opens anything', async () => {
    const getDirectory = vi.fn();
    vi.stubGlobal('navigator', { storage: { getDirectory } });
    try {
      for (const ask of asks(browserStore())) expect((await refusal(ask())).kind).toBe('bad-argument');
    } finally {
      vi.unstubAllGlobals();
    }
    expect(getDirectory).not.toHaveBeenCalled();
  });

  it('holds when whoever calls it does not look', async () => {
    const listing: Listing = {
      hub: bench.hub.url,
      ...{ kind: 'model', repo: 'a/b', revision: 'main', commit: COMMIT, isGated: false },
      files: [{ path: 'model.onnx', size: 4, sha256: null, oid: '../victim' }],
    };
    const victim = join(bench.root, 'victim');
    writeFileSync(victim, 'mine');
    expect((await refusal(downloadFiles(listing, listing.files, bench.around))).kind).toBe('bad-argument');
    expect(readFileSync(victim, 'utf8')).toBe('mine');
  });

  it('takes the names of every Hub and repository there may be', async () => {
    const hubs = [
      'https://huggingface.co',
      'http://[::1]:8080',
      `https://${'a'.repeat(60)}.example/${'b/'.repeat(90)}`,
    ];
    hubs.push('https://hub.example/a..b/c');
    for (const hub of hubs)
      for (const repo of ['gpt2', 'a/b', `${'o'.repeat(40)}/${'n'.repeat(69)}`, 'a.b/c_d-e'])
        await bench.store.write(folderOf(hub, 'dataset', repo), 'refs.json', utf8('{}'));
    expect(await bench.store.folders()).toHaveLength(16);
    expect(new Set(hubs.map((hub) => folderOf(hub, 'model', 'a/b'))).size).toBe(4);
  });
});
