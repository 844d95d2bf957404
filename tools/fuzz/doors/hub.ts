/** Answers of a Hub that means ill, kept in a folder's store; nothing may be written outside of it. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderStore } from '../../../src/cli/hubFolder.ts';
import { listKept } from '../../../src/hub/cache.ts';
import { searchRepos } from '../../../src/hub/client.ts';
import { openSource } from '../../../src/hub/open.ts';
import type { HubHost } from '../../../src/hub/types.ts';
import { PapilioError } from '../../../src/lib/errors.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import { type Door, fuzzFile, type Input, textOf, utf8, withFile } from '../door.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargeJson, largeSize } from '../mutate/large.ts';
import { mutateText } from '../mutate/text.ts';

const COMMIT = 'c0ffee'.repeat(7).slice(0, 40);
const CONTENT = utf8('content of a file');
const sha256 = createHash('sha256').update(CONTENT).digest('hex');
const oid = createHash('sha1').update(`blob ${CONTENT.length}\0`).update(CONTENT).digest('hex');

const entry = (path: string, lfs = false) => ({
  ...{ type: 'file', path, size: CONTENT.length, oid },
  ...(lfs ? { lfs: { oid: sha256, size: CONTENT.length, pointerSize: 130 } } : {}),
});

const repo = {
  ...{ _id: 'a'.repeat(24), id: 'makers/tiny', private: false, gated: false, downloads: 3, likes: 0 },
  ...{ lastModified: '2026-01-01T00:00:00.000Z', sha: COMMIT },
};

const answers = (...files: readonly ReturnType<typeof entry>[]): Input => ({
  told: { file: files[0]!.path },
  files: [
    fuzzFile('revision', JSON.stringify(repo)),
    fuzzFile('tree', JSON.stringify(files)),
    fuzzFile('search', JSON.stringify([repo, { ...repo, id: 'others/tiny' }])),
    fuzzFile('headers', JSON.stringify({ etag: `"${sha256}"`, 'x-error-code': '', link: '' })),
    fuzzFile('content', CONTENT),
  ],
});

const NAMES = [
  ...[
    '../../../../escaped',
    '..',
    '.',
    '/tmp/escaped',
    '../escaped.json',
    'a/../../escaped',
    '..\\..\\escaped',
  ],
  ...['refs.json', 'url.json', `commit-${COMMIT}.json`, 'x.part', 'NUL', 'a\u0000b', '%2e%2e%2fescaped', ''],
];

/** A listing with names that lead elsewhere, in any field. */
function spoilTree(text: string, random: Rng): string {
  const files = JSON.parse(text) as { oid: unknown; path: unknown; lfs?: { oid: unknown } }[];
  const file = random.pick(files);
  const name = random.chance(0.8) ? random.pick(NAMES) : mutateText(oid, random);
  const what = random.int(4);
  if (what === 0) file.oid = name;
  else if (what === 1) file.lfs = { ...entry('x', true).lfs, oid: name };
  else if (what === 2) file.path = random.chance(0.5) ? name : `${name}/model.onnx`;
  else Object.assign(file, { oid: name, path: 'model.onnx', lfs: undefined });
  return JSON.stringify(files);
}

function spoilHeaders(random: Rng): string {
  const code = random.pick([
    'GatedRepo',
    'RepoNotFound',
    'RevisionNotFound',
    'EntryNotFound',
    '',
    '__proto__',
  ]);
  const next = random.pick([
    'https://elsewhere.example/next',
    'file:///etc/passwd',
    'x',
    'https://hub.example/api/models/makers/tiny/tree/x?cursor=1',
  ]);
  return JSON.stringify({
    etag: random.pick(['""', 'W/"x"', `"${sha256}"`, 'a'.repeat(5000)]),
    'x-error-code': code,
    link: `<${next}>; rel="next"`,
    status: random.pick([200, 200, 206, 304, 401, 403, 404, 416, 500]),
    'content-range': random.pick(['', 'bytes 0-3/9999999999999', 'bytes */0', 'x']),
    'content-length': random.pick(['', '0', '-1', '99999999999', 'x']),
  });
}

interface Told {
  readonly status?: number;
  readonly [header: string]: unknown;
}

/** Pages of a listing that are given before the last; a Hub that goes on for ever is the reader's to end. */
const MOST_REQUESTS = 200;

function hubOf(input: Input): { readonly fetch: typeof fetch; readonly strangers: string[] } {
  const part = (name: string) => input.files.find((file) => file.name === name)!.bytes;
  let told: Told = {};
  try {
    const value = JSON.parse(textOf(part('headers'))) as unknown;
    if (typeof value === 'object' && value !== null) told = value as Told;
  } catch {
    // Then there are none.
  }
  const strangers: string[] = [];
  let requests = 0;
  const answer = async (address: Parameters<typeof fetch>[0], init?: RequestInit): Promise<Response> => {
    const url = new URL(String(address instanceof Request ? address.url : address));
    const sent = new Headers(init?.headers);
    if (url.origin !== 'https://hub.example' && sent.has('authorization')) strangers.push(url.href);
    if (++requests > MOST_REQUESTS) return new Response('', { status: 500 });
    const isContent = /\/resolve\//.test(url.pathname);
    const name = /\/tree\//.test(url.pathname)
      ? 'tree'
      : /\/revision\//.test(url.pathname)
        ? 'revision'
        : isContent
          ? 'content'
          : 'search';
    const headers = new Headers({
      'content-type': isContent ? 'application/octet-stream' : 'application/json',
    });
    for (const [key, value] of Object.entries(told)) {
      if (key === 'status' || (key === 'link' && (name !== 'tree' || requests > 40))) continue;
      try {
        headers.set(key, String(value));
      } catch {
        // No server can send it.
      }
    }
    const given =
      isContent && typeof told.status === 'number' && told.status >= 200 && told.status <= 599
        ? told.status
        : 200;
    const isEmpty = given === 204 || given === 205 || given === 304;
    return new Response(isEmpty ? null : (part(name) as Uint8Array<ArrayBuffer>), { status: given, headers });
  };
  return { fetch: answer, strangers };
}

let place: string | null = null;

/** A folder so deep that what climbs out of the store is still in it. */
function stage(): string {
  if (place === null) {
    place = mkdtempSync(join(tmpdir(), 'papilio-fuzz-'));
    const made = place;
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  }
  const root = join(place, 'a', 'b', 'c', 'd', 'store');
  rmSync(join(place, 'a'), { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  return root;
}

function requireInside(): void {
  const folders = ['', 'a', 'a/b', 'a/b/c', 'a/b/c/d'];
  const wanted = ['a', 'b', 'c', 'd', 'store'];
  folders.forEach((folder, i) => {
    const names = readdirSync(join(place!, folder));
    if (names.length !== 1 || names[0] !== wanted[i])
      throw new Error(`written outside of the store: ${names.join(', ')}`);
  });
  if (existsSync(join(tmpdir(), 'escaped'))) throw new Error('written outside of the store: escaped');
}

export const hubListing: Door = {
  name: 'hub-listing',
  about:
    "a hostile Hub's answers: search, revision, listing, headers, content; nothing is written outside the store",
  weight: 0.8,
  seeds: () => [
    answers(entry('model.onnx', true), entry('config.json'), entry('tokenizer.json')),
    answers(entry('onnx/model.onnx'), entry('onnx/model.onnx_data', true), entry('onnx/model_q4.onnx', true)),
  ],
  mutate(input, random) {
    if (random.chance(0.45)) return withFileNamed(input, 'tree', (text) => spoilTree(text, random));
    if (random.chance(0.2)) return withFileNamed(input, 'headers', () => spoilHeaders(random));
    return withFile(input, random, (bytes, name) =>
      name === 'content' ? utf8(mutateText(textOf(bytes), random)) : utf8(mutateJson(textOf(bytes), random)),
    );
  },
  enlarge: (input, random) =>
    withFileNamed(input, random.chance(0.8) ? 'tree' : random.pick(['search', 'revision']), (text) => {
      if (random.chance(0.5) || !text.startsWith('[{"type"')) return enlargeJson(text, random);
      const count = Math.round(largeSize(random) / 130);
      return JSON.stringify(Array.from({ length: count }, (_, i) => entry(`${i}.json`)));
    }),
  async open(input) {
    const { fetch, strangers } = hubOf(input);
    const hubHost: HubHost = {
      ...{
        store: folderStore(stage()),
        fetch,
        hub: 'https://hub.example',
        token: 'hf_secret',
        retryDelaysMs: [],
      },
    };
    const ends: unknown[] = [];
    const source = { kind: 'hub', repo: 'makers/tiny', files: [String(input.told?.file)] } as const;
    const tries = [
      async () => {
        const { files } = await openSource({ ...source }, 'model', hubHost);
        for (const file of files) await file.read();
      },
      async () => void (await openSource({ kind: 'hub', repo: 'makers/tiny' }, 'model', hubHost)),
      async () => void (await searchRepos('tiny', 'model', hubHost)),
      async () => void (await listKept(hubHost.store)),
    ];
    for (const attempt of tries)
      await attempt().catch((error: unknown) => {
        if (!(error instanceof PapilioError)) throw error;
        ends.push(error);
      });
    requireInside();
    if (strangers.length > 0) throw new Error(`the token went to ${strangers[0]}`);
    if (ends.length > 0) throw ends[0];
  },
};

const withFileNamed = (input: Input, name: string, change: (text: string) => string): Input => ({
  ...input,
  files: input.files.map((file) =>
    file.name === name ? { name, bytes: utf8(change(textOf(file.bytes))) } : file,
  ),
});
