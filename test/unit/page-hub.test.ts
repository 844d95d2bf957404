/**
 * Models and data from elsewhere as the page holds them: what is found, offered, downloaded and cached, with a client made for the purpose. Seen to
 * fail with: an answer that overtakes the next question, a broken download that forgets what has come, a token that goes on to another Hub, an
 * address without TLS that is asked.
 */
import { beforeEach, describe, expect, it, test } from 'vitest';
import type { HubSource, Listing, RepoFile, UrlSource } from '../../src/hub/types.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { createHub, type Finder } from '../../src/page/features/hub/hub.ts';
import type { SourceApi } from '../../src/training/sourceWorker.ts';

const COMMIT = '0123456789012345678901234567890123456789';
const file = (path: string, size = 100): RepoFile => ({ path, size, sha256: null, oid: '' });
const listing: Listing = {
  hub: 'https://huggingface.co',
  kind: 'model',
  repo: 'someone/model',
  revision: 'main',
  commit: COMMIT,
  isGated: false,
  files: [file('onnx/model.onnx'), file('onnx/model_fp16.onnx', 50), file('config.json', 1)],
};

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

function setUp(remembered: string | null = null) {
  const asked: string[] = [];
  const adopted: (HubSource | UrlSource)[] = [];
  const kept = new Map(remembered === null ? [] : [['papilio.hub', remembered]]);
  const memory = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const client: SourceApi = {
    search: async () => [],
    list: async () => ({ listing, isOld: false }),
    weigh: async (_found, groups) => groups.map(() => ({ done: 0, total: 100, isWhole: false })),
    download: async () => {},
    stop: async () => {},
    cached: async () => ({ kept: [], room: null }),
    free: async () => {},
  };
  const noted = Object.fromEntries(
    Object.entries(client).map(([name]) => [
      name,
      (...args: unknown[]) => {
        asked.push(`${name} ${JSON.stringify(args)}`);
        return (client[name as keyof SourceApi] as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  ) as unknown as SourceApi;
  const hub = createHub(noted, (_kind, source) => adopted.push(source), memory);
  return { hub, client, asked, adopted, kept };
}

const view = (finder: Finder) => finder.view.getState();

describe('a finder', () => {
  let page: ReturnType<typeof setUp>;
  beforeEach(() => {
    page = setUp();
  });

  it('searches for words, opens names and takes addresses as they are', async () => {
    const { hub, asked } = page;
    await hub.model.look('   ');
    await hub.model.look('tiny bert');
    await hub.model.look('someone/model@v1');
    expect(asked.filter((line) => /^(search|list)/.test(line))).toEqual([
      'search ["tiny bert","model",{"hub":"https://huggingface.co","token":""}]',
      'list ["someone/model","v1","model",{"hub":"https://huggingface.co","token":""}]',
    ]);
    expect(view(hub.model)).toMatchObject({
      busy: null,
      found: null,
      repo: { name: 'someone/model', commit: COMMIT, isOld: false },
    });
    expect(view(hub.model).offers.map(({ title, source }) => [title, source])).toEqual([
      ['f32 · model', expect.objectContaining({ revision: COMMIT, files: ['onnx/model.onnx'] })],
      ['f16 · model', expect.objectContaining({ revision: COMMIT, files: ['onnx/model_fp16.onnx'] })],
    ]);
    await hub.dataset.look('https://data.example/rows.csv');
    expect(view(hub.dataset)).toMatchObject({ repo: null, offers: [{ bytes: null, isWhole: false }] });
    // Each has its own.
    expect(view(hub.model).offers).toHaveLength(2);
  });

  it('shows what was asked last, whatever answers last', async () => {
    const { hub, client } = page;
    const waiting: ((found: readonly never[]) => void)[] = [];
    client.search = () => new Promise((resolve) => waiting.push(resolve as never));
    const first = hub.model.look('first');
    const second = hub.model.look('second');
    waiting[1]!([{ repo: 'b' }] as never);
    waiting[0]!([{ repo: 'a' }] as never);
    await Promise.all([first, second]);
    expect(view(hub.model)).toMatchObject({ busy: null, found: [{ repo: 'b' }] });
  });

  it('waits for a Hub that does not answer no longer than it is wanted', async () => {
    const { hub, client } = page;
    let answer: (found: never) => void = () => {};
    client.list = () => new Promise((resolve) => (answer = resolve as never));
    const looking = hub.model.open('someone/model');
    expect(view(hub.model).busy).toBe('list');
    await hub.model.stop();
    expect(view(hub.model)).toMatchObject({ busy: null, error: null });
    answer({ listing, isOld: false } as never);
    await looking;
    expect(view(hub.model).repo).toBeNull();
  });

  it('says what went wrong and with what, and does it again', async () => {
    const { hub, client } = page;
    const { list } = client;
    client.list = () => Promise.reject(new PapilioError('network', 'The line is down.'));
    await hub.model.open('someone/model');
    expect(view(hub.model)).toMatchObject({ failed: 'list', busy: null, error: { kind: 'network' } });
    client.list = list;
    await hub.model.retry();
    expect(view(hub.model)).toMatchObject({ error: null, repo: { name: 'someone/model' } });
  });

  it('downloads an offer, tells how far it is, and has it adopted once it is whole', async () => {
    const { hub, client, adopted } = page;
    await hub.model.open('someone/model');
    const [offer] = view(hub.model).offers;
    client.download = async (_job, _source, _kind, _access, onBytes) => {
      onBytes(40, 100, 'model.onnx');
      expect(view(hub.model).progress).toMatchObject({
        done: 40,
        total: 100,
        kept: offer!.have,
        what: 'model.onnx',
      });
      expect(adopted).toEqual([]);
    };
    await hub.model.download(offer!);
    expect(adopted).toEqual([offer!.source]);
    expect(view(hub.model)).toMatchObject({ busy: null, progress: null, offers: [{ isWhole: true }, {}] });
    expect(view(hub.model).taken).toMatch(/^hub:someone\/model@/);
  });

  it('remembers of a broken download what has come, and stops the one that is under way', async () => {
    const { hub, client, adopted, asked } = page;
    await hub.model.open('someone/model');
    let breakOff: (error: PapilioError) => void = () => {};
    client.download = (_job, _source, _kind, _access, onBytes) => {
      onBytes(70, 100, 'model.onnx');
      return new Promise((_, reject) => (breakOff = reject));
    };
    client.stop = async () => breakOff(new PapilioError('aborted', 'It was stopped.'));
    const downloading = hub.model.download(view(hub.model).offers[0]!);
    await settle();
    await hub.model.stop();
    await downloading;
    const [job] = asked
      .filter((line) => line.startsWith('download'))
      .map((line) => /\[(\d+)/.exec(line)?.[1]);
    expect(asked).toContain(`stop [${job}]`);
    expect(view(hub.model)).toMatchObject({
      failed: 'download',
      error: { kind: 'aborted' },
      offers: [{ have: 70, isWhole: false }, {}],
    });
    expect(adopted).toEqual([]);
  });

  it('shows nothing as here once it was freed, and looks again at what is open', async () => {
    const { hub, asked, client } = page;
    client.weigh = async (_found, groups) => groups.map(() => ({ done: 100, total: 100, isWhole: true }));
    await hub.model.open('someone/model');
    expect(view(hub.model).offers[0]).toMatchObject({ have: 100, isWhole: true });
    client.weigh = async (_found, groups) => groups.map(() => ({ done: 0, total: 100, isWhole: false }));
    await hub.free('folder');
    expect(asked).toContain('free ["folder"]');
    expect(view(hub.model).offers[0]).toMatchObject({ have: 0, isWhole: false });
    client.free = () => Promise.reject(new PapilioError('quota', 'It is in use.'));
    client.list = () => new Promise(() => {});
    void hub.free('folder');
    await settle();
    expect(view(hub.model).offers).toEqual([]);
  });
});

describe('the Hub', () => {
  test('an address without TLS is not asked by the page', async () => {
    const { hub, asked } = setUp();
    expect(hub.setHub('http://127.0.0.1:8080')).toContain("the page's policy");
    expect(hub.setHub('https://hub.example/mirror/')).toBeNull();
    expect(hub.shared.getState().hub).toBe('https://hub.example/mirror');
    await hub.model.look('http://localhost:9000/model.onnx');
    expect(view(hub.model).error).toMatchObject({ kind: 'bad-argument' });
    expect(view(hub.model).offers).toEqual([]);
    expect(asked.filter((line) => !line.startsWith('cached'))).toEqual([]);
  });

  test('another one is remembered, gets no token of the one before, and has nothing of it on screen', async () => {
    const { hub, kept } = setUp();
    hub.setToken(' hf_secret ');
    await hub.model.open('someone/model');
    expect(hub.setHub('https://hub.example')).toBeNull();
    expect(hub.shared.getState()).toMatchObject({ hub: 'https://hub.example', token: '' });
    expect(view(hub.model)).toMatchObject({ repo: null, offers: [] });
    expect([...kept]).toEqual([['papilio.hub', 'https://hub.example']]);
    expect(hub.setHub('')).toBeNull();
    expect([...kept]).toEqual([]);
  });

  test('one without TLS that an older page remembers is forgotten', () => {
    expect(setUp('http://127.0.0.1:8080').hub.shared.getState().hub).toBe('https://huggingface.co');
    expect(setUp('https://hub.example').hub.shared.getState().hub).toBe('https://hub.example');
  });
});
