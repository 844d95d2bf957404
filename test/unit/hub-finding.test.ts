/** Finding on the Hub, access to it, and files by address, against a stand-in on this machine. */
import { describe, expect, it } from 'vitest';
import { listKept } from '../../src/hub/cache.ts';
import { searchRepos } from '../../src/hub/client.ts';
import { weigh } from '../../src/hub/fetching.ts';
import { pin, requireVariants } from '../../src/hub/open.ts';
import { DATA, hubBench, MODEL, refusal, tiny, utf8 } from './hub-fixtures.ts';

const bench = hubBench();

describe('finding', () => {
  it('lists models with ONNX files, the most fetched first', async () => {
    const { around } = bench;
    const found = await searchRepos('tiny', 'model', around);
    expect(found.map(({ repo }) => repo)).toEqual(['others/tiny-clone-ONNX', 'makers/Tiny-ONNX']);
  });

  it('pins a branch to its commit, over all pages of the listing', async () => {
    const { hub, around } = bench;
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
    const { around } = bench;
    const { source } = await pin({ kind: 'hub', repo: 'makers/Tiny-ONNX' }, 'model', around);
    expect(source.files).toEqual(['onnx/model.onnx']);
  });

  it('says which repositories are near to one that does not exist', async () => {
    const { around } = bench;
    const error = await refusal(pin({ kind: 'hub', repo: 'makers/Tiny-ONX' }, 'model', around));
    expect(error.kind).toBe('not-found');
    expect(error.message).toMatch(
      /no model makers\/Tiny-ONX .*Near to it: others\/tiny-clone-ONNX, makers\/Tiny-ONNX/,
    );
  });

  it('says which repositories have the ONNX files that one lacks', async () => {
    const { around } = bench;
    const { listing } = await pin(
      { kind: 'hub', repo: 'makers/Tiny', files: ['model.safetensors'] },
      'model',
      around,
    );
    const error = await refusal(requireVariants(listing, around));
    expect(error.message).toMatch(/holds no \.onnx file; these do: others\/tiny-clone-ONNX/);
  });

  it('says what is wrong with a revision or a file', async () => {
    const { around } = bench;
    expect((await refusal(pin({ ...tiny, revision: 'v9' }, 'model', around))).message).toMatch(
      /no revision "v9"/,
    );
    expect((await refusal(pin({ ...tiny, files: ['x.onnx'] }, 'model', around))).message).toMatch(
      /no file x\.onnx/,
    );
  });
});

describe('access', () => {
  it('gated: says where to accept the licence, and the token opens it without being written anywhere', async () => {
    const { hub, store } = bench;
    const gated = { ...tiny, repo: 'makers/gated' };
    const error = await refusal(bench.open(gated));
    expect(error).toMatchObject({ kind: 'forbidden', details: { way: 'token' } });
    expect(error.message).toContain(`accept its licence on ${hub.url}/makers/gated`);
    expect((await refusal(bench.open(gated, { token: 'secret' }))).message).toMatch(/begin with "hf_"/);
    const { files } = await bench.open(gated, { token: hub.token });
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(hub.requests.join()).not.toContain(hub.token);
    for (const folder of await store.folders())
      for (const name of (await store.list(folder)).keys())
        expect(Buffer.from((await store.read(folder, name))!).includes(hub.token)).toBe(false);
  });

  it('private: is not told from missing without a token', async () => {
    const { hub } = bench;
    const hidden = { ...tiny, repo: 'makers/hidden' };
    const error = await refusal(bench.open(hidden));
    expect(error).toMatchObject({ kind: 'not-found', details: { way: 'token' } });
    expect((await bench.open(hidden, { token: hub.token })).files).toHaveLength(4);
  });

  it('other troubles of the server', async () => {
    const { hub } = bench;
    hub.faults.set('*', { kind: 'status', status: 500 });
    expect((await refusal(bench.open())).message).toMatch(
      /answers 500 for model\.onnx|answers 500 for onnx\/model\.onnx/,
    );
    hub.faults.set('*', { kind: 'status', status: 429 });
    expect((await refusal(bench.open())).message).toMatch(/too many requests/);
  });
});

describe('addresses', () => {
  const address = () => `${bench.hub.url}/cdn/${bench.hub.commitOf(tiny.repo)}/onnx/model.onnx`;

  it('bring the file and the sidecars beside and above it, once', async () => {
    const { hub, store } = bench;
    const source = { kind: 'url', url: address() } as const;
    const { files, beside } = await bench.open(source);
    expect(files.map(({ path }) => path)).toEqual(['model.onnx', '../config.json', '../tokenizer.json']);
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
    expect(Buffer.compare((await beside(['model.onnx_data']))[0]!.bytes, DATA)).toBe(0);
    hub.requests.length = 0;
    expect((await bench.open(source)).files).toHaveLength(3);
    expect(hub.requests).toEqual([]);
    expect((await listKept(store))[0]).toMatchObject({ kind: 'url', name: source.url });
  });

  it('that lead nowhere or to no one', async () => {
    const { hub } = bench;
    const gone = { kind: 'url', url: `${hub.url}/cdn/none/x.onnx` } as const;
    expect((await refusal(bench.open(gone))).message).toMatch(/There is nothing at .*404/);
    const { url } = hub;
    await hub.close();
    const error = await refusal(bench.open({ kind: 'url', url: `${url}/x.onnx` }));
    expect(error.message).toMatch(/cannot be reached.*\(CORS\)/);
  });

  it('whose file changed between two tries are fetched anew', async () => {
    const { hub, store } = bench;
    const source = { kind: 'url', url: address() } as const;
    hub.faults.set('onnx/model.onnx', { kind: 'cut', after: 30_000 });
    await refusal(bench.open(source));
    hub.faults.clear();
    // Another content under the same address: its ETag differs, so the part is of no use.
    const [folder] = (await store.folders()).filter((name) => name.startsWith('url--'));
    const { length } = (await store.read(folder!, 'file-0'))!;
    expect(length).toBeGreaterThan(1000);
    await store.write(folder!, 'file-0', new Uint8Array(length));
    await store.write(folder!, 'file-0.part', utf8(JSON.stringify({ etag: 'older', size: null })));
    const { files } = await bench.open(source);
    expect(Buffer.compare(files[0]!.bytes, MODEL)).toBe(0);
  });
});
