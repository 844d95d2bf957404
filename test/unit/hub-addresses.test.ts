/** Addresses: a broken download goes on only with the same file, what the disk changed is noticed, secrets are neither kept nor printed. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { listKept } from '../../src/hub/cache.ts';
import { folderOf, keptSource, nameOf, shown, webAddress } from '../../src/hub/names.ts';
import { followed, refuseUrl } from '../../src/hub/refusals.ts';
import type { UrlSource } from '../../src/hub/types.ts';
import { DATA, hubBench, MODEL, refusal, tiny } from './hub-fixtures.ts';

const bench = hubBench();

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Cuts the line after so many bytes. */
  readonly cut?: number;
}

/** A server of its own origin; `answer` says what it sends. */
async function serve(
  answer: (headers: IncomingHttpHeaders, url: string) => Answer,
  port = 0,
): Promise<{ readonly url: string; readonly asked: { url: string; headers: IncomingHttpHeaders }[] }> {
  const asked: { url: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    asked.push({ url: request.url!, headers: request.headers });
    const {
      status = 200,
      headers = {},
      body = new Uint8Array(0),
      cut,
    } = answer(request.headers, request.url!);
    response.writeHead(status, { 'Content-Length': String(body.length), ...headers });
    if (cut === undefined) response.end(body);
    else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 150));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const OLD = Uint8Array.from({ length: 6000 }, (_, i) => i % 251);
const NEW = Uint8Array.from({ length: 6000 }, (_, i) => (i * 7 + 3) % 253);
const LONG_AGO = 'Mon, 02 Feb 2026 10:00:00 GMT';
const LATER = 'Tue, 03 Feb 2026 10:00:00 GMT';

/** A part of a file as servers send it. */
function part(
  content: Uint8Array,
  range: string | undefined,
  headers: Readonly<Record<string, string>>,
): Answer {
  const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  return {
    status: 206,
    headers: { 'Content-Range': `bytes ${from}-${content.length - 1}/${content.length}`, ...headers },
    body: content.subarray(from),
  };
}

/** What comes of a file whose line is cut, that then is another one, told apart by `before` and `after`. */
async function resumed(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
  { isSame = false, isOutsideBrowser = false } = {},
): Promise<{ readonly bytes: Uint8Array; readonly ranges: string[]; readonly ifRange: unknown[] }> {
  let isCut = true;
  const { url, asked } = await serve(({ range }) => {
    const content = isCut || isSame ? OLD : NEW;
    const answer = part(content, range, isCut ? before : after);
    return isCut ? { ...answer, cut: 2500 } : answer;
  });
  const source = { kind: 'url', url: `${url}/rows.bin` } as const;
  const change = { isOutsideBrowser };
  expect((await refusal(bench.open(source, change, {}, 'dataset'))).kind).toBe('network');
  isCut = false;
  const tries = asked.length;
  const { files } = await bench.open(source, change, {}, 'dataset');
  const later = asked.slice(tries);
  return {
    bytes: files[0]!.bytes,
    ranges: later.map(({ headers }) => headers.range!),
    ifRange: later.map(({ headers }) => headers['if-range'] ?? null),
  };
}

describe('a broken download', () => {
  it.each([
    ['no validator', {}, {}],
    ['a weak ETag', { ETag: 'W/"a"' }, { ETag: 'W/"a"' }],
    ['an ETag that is none', { ETag: 'a' }, { ETag: 'a' }],
    ['another strong ETag', { ETag: '"a"' }, { ETag: '"b"' }],
    ['an ETag that is gone', { ETag: '"a"' }, {}],
    ['an ETag that became weak', { ETag: '"a"' }, { ETag: 'W/"a"' }],
    ['a later date', { 'Last-Modified': LONG_AGO }, { 'Last-Modified': LATER }],
    ['a date of just now', { 'Last-Modified': 'now' }, { 'Last-Modified': 'now' }],
    ['a date that is none', { 'Last-Modified': 'yesterday' }, { 'Last-Modified': 'yesterday' }],
  ] as const)('of a file that changed, with %s, never mixes the two', async (_, before, after) => {
    const now = new Date().toUTCString();
    const dated = (headers: object) =>
      Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, v === 'now' ? now : String(v)]));
    const { bytes, ranges } = await resumed(dated(before), dated(after));
    expect(Buffer.compare(bytes, NEW)).toBe(0);
    expect(ranges.at(-1)).toBe('bytes=0-');
  });

  it.each([
    ['strong ETag', { ETag: '"a"' }, '"a"'],
    ['old date', { 'Last-Modified': LONG_AGO }, LONG_AGO],
  ] as const)('with the same %s asks only for the rest, on that condition', async (_, headers, validator) => {
    const { bytes, ranges, ifRange } = await resumed(headers, headers, {
      isSame: true,
      isOutsideBrowser: true,
    });
    expect(Buffer.compare(bytes, OLD)).toBe(0);
    expect(ranges).toHaveLength(1);
    expect(ranges[0]).toMatch(/^bytes=[1-9]\d+-$/);
    expect(ifRange).toEqual([validator]);
    // Pages send none: other servers seldom allow it.
    expect((await resumed(headers, headers, { isSame: true })).ifRange).toEqual([null]);
  });

  it('is not gone on with by a server that sends other bytes than were asked for', async () => {
    const { bytes } = await resumed(
      { ETag: '"a"' },
      { ETag: '"a"', 'Content-Range': 'bytes 17-5999/6000' },
    ).catch(() => ({ bytes: null }));
    expect(bytes === null || Buffer.compare(bytes, NEW) === 0).toBe(true);
  });
});

describe('what is kept', () => {
  const pathsIn = (folder: string) =>
    readdirSync(join(bench.root, folder)).map((name) => join(bench.root, folder, name));
  const flip = (path: string): void => {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
  };
  const isContent = (path: string) => !/\.json$/.test(path);

  it('of a repository is fetched again when the disk has changed it, and said when that cannot be', async () => {
    await bench.open();
    const folder = folderOf(bench.hub.url, 'model', tiny.repo);
    const path = pathsIn(folder).find((one) => isContent(one) && statSync(one).size === DATA.length)!;
    flip(path);
    // This process has seen the file; the next one looks again.
    const { folderStore } = await import('../../src/cli/hubFolder.ts');
    const anew = () => bench.open(tiny, { store: folderStore(bench.root) });
    expect(Buffer.compare((await anew()).files[1]!.bytes, DATA)).toBe(0);
    expect(Buffer.compare(readFileSync(path), DATA)).toBe(0);
    flip(path);
    await bench.hub.close();
    expect((await refusal(anew())).kind).toBe('network');
  });

  it('of an address likewise, in a sentence', async () => {
    const { url, asked } = await serve(({ range }) => part(OLD, range, {}));
    const source = { kind: 'url', url: `${url}/rows.bin` } as const;
    await bench.open(source, {}, {}, 'dataset');
    const [folder] = readdirSync(bench.root);
    flip(pathsIn(folder!).find(isContent)!);
    const { folderStore } = await import('../../src/cli/hubFolder.ts');
    const error = await refusal(bench.open(source, { store: folderStore(bench.root) }, {}, 'dataset'));
    expect(error.message).toMatch(/rows\.bin is not on the disk as it was fetched.*download it again/);
    const tries = asked.length;
    expect(Buffer.compare((await bench.open(source, {}, {}, 'dataset')).files[0]!.bytes, OLD)).toBe(0);
    expect(asked.length).toBe(tries + 1);
  });
});

describe('redirects', () => {
  it('to another server take no token along, and only to where addresses may lead', async () => {
    const there = await serve(() => ({ body: MODEL }));
    let location = `${there.url}/cdn`;
    const here = await serve((_, url) =>
      url === '/own' ? { body: MODEL } : { status: 302, headers: { Location: location } },
    );
    const ask = () => followed(fetch)(`${here.url}/x`, { headers: { Authorization: 'Bearer hf_secret' } });
    expect(new Uint8Array(await (await ask()).arrayBuffer())).toEqual(MODEL);
    expect(there.asked[0]!.headers.authorization).toBeUndefined();
    location = '/own';
    await ask();
    expect(here.asked.at(-1)).toMatchObject({ url: '/own', headers: { authorization: 'Bearer hf_secret' } });
    location = '/x';
    expect((await refusal(ask())).message).toMatch(/from one address to another without end/);
    for (const bad of ['http://evil.example/x', 'file:///etc/passwd', 'data:,x', 'ftp://x/y']) {
      location = bad;
      expect((await refusal(ask())).message, bad).not.toContain('hf_secret');
    }
  });

  it('from the web do not lead to this machine', async () => {
    const send: typeof fetch = async () =>
      new Response(null, { status: 302, headers: { Location: 'http://127.0.0.1:9/admin' } });
    expect((await refusal(followed(send)('https://models.example/x'))).message).toMatch(
      /models\.example leads to an address that is not fetched/,
    );
  });
});

const SECRETS = [
  'https://h.example/m.onnx?token=s3cret',
  'https://h.example/m.onnx?X-Amz-Signature=s3cret&X-Amz-Date=1',
  'https://h.example/m.onnx?sig=s3cret&sv=2020',
  'https://h.example/m.onnx?download=true&access_token=s3cret',
  'https://h.example/m.onnx?s3cret',
  'https://h.example/m.onnx?v=s3cret%2Bwith+signs',
  'https://h.example/m.onnx?%74oken=s3cret',
  'https://h.example/m.onnx#access_token=s3cret',
  'https://s3cret@h.example/m.onnx',
  'https://user:s3cret@h.example/m.onnx',
  'HTTPS://user:s3cret@h.example/m.onnx?token=s3cret',
  '  https://user:s3cret@h.example/m.onnx',
  'https://user:s3cret@h.exa mple/m.onnx',
];

describe('secrets in addresses', () => {
  it.each(SECRETS)('are not shown: %s', (address) => {
    expect(shown(address)).not.toContain('s3cret');
    expect(shown(shown(address))).toBe(shown(address));
    expect(nameOf({ kind: 'url', url: address })).not.toContain('s3cret');
    expect(JSON.stringify(keptSource({ kind: 'url', url: address }))).not.toContain('s3cret');
    for (const status of [404, 403, 500]) {
      const error = (() => {
        try {
          return refuseUrl(new Response(null, { status }), address);
        } catch (thrown) {
          return thrown as Error & { details: unknown };
        }
      })();
      expect(error.message + JSON.stringify(error.details)).not.toContain('s3cret');
    }
    for (const bad of [address, address.replace(/https/i, 'http')])
      try {
        webAddress(bad);
      } catch (error) {
        expect((error as Error).message).not.toContain('s3cret');
      }
  });

  it('what is none stays', () => {
    for (const word of [
      'hub:a/b@main/m.onnx',
      'models/m.onnx',
      'https://h.example/m.onnx?download=true',
      'https://h.example/a%20b.onnx?v=1.2-rc',
      'embedded:tales-gpt',
    ])
      expect(shown(word)).toBe(word);
  });

  it('lie nowhere in the store, and what was fetched is found without them', async () => {
    const { url, asked } = await serve((_, path) =>
      path.startsWith('/rows.bin') ? { body: OLD } : { status: 404 },
    );
    const source = { kind: 'url', url: `${url}/rows.bin?token=s3cret` } as const;
    await bench.open(source, {}, {}, 'dataset');
    for (const file of readdirSync(bench.root, { recursive: true, withFileTypes: true })) {
      expect(file.name).not.toContain('s3cret');
      if (file.isFile())
        expect(readFileSync(join(file.parentPath, file.name), 'latin1')).not.toContain('s3cret');
    }
    expect((await listKept(bench.store)).map(({ name }) => name)).toEqual([`${url}/rows.bin?…`]);
    const tries = asked.length;
    const kept = keptSource<UrlSource>(source);
    expect(kept).toMatchObject({ url: `${url}/rows.bin?…` });
    expect(Buffer.compare((await bench.open(kept, {}, {}, 'dataset')).files[0]!.bytes, OLD)).toBe(0);
    expect(asked.length).toBe(tries);
    await bench.store.remove(kept.folder!);
    expect((await refusal(bench.open(kept, {}, {}, 'dataset'))).message).toMatch(
      /kept without a part that may be a secret; give the whole address again/,
    );
  });
});
