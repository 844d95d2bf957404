/** The command line's words for models and data from the Hub: fetched into PAPILIO_CACHE, pinned, and used without the Hub afterwards. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { cliHost, dataSource, modelSource } from '../../src/cli/sources.ts';
import { openModel } from '../../src/training/openModel.ts';
import { type HubServer, startHub } from '../tools/hub.ts';

let hub: HubServer;
let cache: string;

beforeEach(async () => {
  const read = (name: string) => readFile(`public/models/tales-gpt/${name}`).then((b) => new Uint8Array(b));
  hub = await startHub([
    {
      kind: 'model',
      name: 'makers/Tales-ONNX',
      tags: ['onnx'],
      files: {
        'config.json': await read('config.json'),
        'tokenizer.json': await read('tokenizer.json'),
        'onnx/model.onnx': await read('model.onnx'),
      },
    },
    { kind: 'dataset', name: 'makers/days', files: { 'data/train.txt': new TextEncoder().encode('A day.') } },
  ]);
  cache = await mkdtemp(join(tmpdir(), 'papilio-cache-'));
  vi.stubEnv('PAPILIO_CACHE', cache);
  vi.stubEnv('HF_ENDPOINT', hub.url);
  vi.stubEnv('HF_TOKEN', '');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await hub.close();
  await rm(cache, { recursive: true });
});

it('pins and fetches; the model opens with the Hub gone', async () => {
  const source = await modelSource('hub:makers/Tales-ONNX');
  const revision = hub.commitOf('makers/Tales-ONNX');
  expect(source).toEqual({
    kind: 'hub',
    repo: 'makers/Tales-ONNX',
    revision,
    files: ['onnx/model.onnx'],
    hub: hub.url,
  });
  const data = await dataSource('hub:makers/days');
  expect(data).toMatchObject({ kind: 'hub', repo: 'makers/days', files: ['data/train.txt'] });

  await hub.close();
  const opened = await openModel(source, cliHost);
  expect(opened.name).toBe('Tales-ONNX');
  expect(opened.model.family).toBe('llama');
  expect(opened.tokenizer).not.toBeNull();
  expect(opened.sidecars.map(({ name }) => name).sort()).toEqual(['config.json', 'tokenizer.json']);
  // A branch that cannot be looked up is what it last was, and that is said.
  expect(await modelSource('hub:makers/Tales-ONNX@main/onnx/model.onnx')).toEqual(source);
  expect(vi.mocked(process.stderr.write).mock.calls.join()).toContain('as it was last seen');
});

it('an address brings the sidecars beside it', async () => {
  const url = `${hub.url}/cdn/${hub.commitOf('makers/Tales-ONNX')}/onnx/model.onnx`;
  const source = await modelSource(url);
  expect(source).toEqual({ kind: 'url', url });
  await hub.close();
  expect((await openModel(source, cliHost)).tokenizer).not.toBeNull();
});

it('says what is wrong with a name', async () => {
  await expect(modelSource('hub:a//b')).rejects.toThrow(/names no repository; write owner\/name/);
  await expect(modelSource('hub:makers/none')).rejects.toThrow(/no model makers\/none on the Hub/);
});
