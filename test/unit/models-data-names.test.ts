/** What a graph names as its external data is data, whatever it is called: part of the model's hash, and no file that goes with it. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { InputFile } from '../../src/lib/bytes.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { hashOf } from '../../src/training/checkpoint.ts';
import { type Host, openModel } from '../../src/training/openModel.ts';
import { sidecarsOf } from '../../src/training/sidecars.ts';
import { externalInTwo } from '../tools/graphForms.ts';

const SIDECARS = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const around = {} as Host;
let model: OnnxModel;
let sidecars: InputFile[];

beforeAll(async () => {
  const read = async (name: string) => new Uint8Array(await readFile(`public/models/tales-gpt/${name}`));
  model = decodeModel(await read('model.onnx'));
  sidecars = await Promise.all(SIDECARS.map(async (name) => ({ name, bytes: await read(name) })));
});

const NAMES: readonly (readonly [string, string])[] = [
  ['weights.txt', 'more.txt'],
  ['weights.json', 'weights.jinja'],
  ['chat_template.jinja', 'vocab.txt'],
  ['special_tokens_map.json', 'card.json'],
  ['weights.onnx', 'a.onnx'],
  ['data/w.json', 'data/w.txt'],
  ['constructor', 'toString'],
  ['preprocessor_config.json', 'README.md'],
];

describe.each(NAMES)('data called %s and %s', (...names) => {
  it('is read, hashed and not written again', async () => {
    const { bytes, files } = externalInTwo(model, names);
    const data = [...files].map(([name, content]) => ({ name, bytes: content }));
    // Data first: the order of files tells nothing.
    const open = (changed = data) =>
      openModel({ kind: 'files', files: [...changed, { name: 'model.onnx', bytes }, ...sidecars] }, around);
    const opened = await open();
    expect(opened.name).toBe('model.onnx');
    expect(opened.model.family).toBe('llama');
    expect(opened.tokenizer).not.toBeNull();
    expect(opened.sidecars.map(({ name }) => name).sort()).toEqual(SIDECARS);
    expect(
      sidecarsOf(opened)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(SIDECARS);
    const hash = await hashOf(opened.bytes);
    for (const at of [0, 1]) {
      const other = data.map((file, i) => (i === at ? { ...file, bytes: file.bytes.slice() } : file));
      other[at]!.bytes[40]! ^= 1;
      expect(await hashOf((await open(other)).bytes)).not.toBe(hash);
    }
  });
});

it('data called config.json is data, and the model has no configuration then', async () => {
  const { bytes, files } = externalInTwo(model, ['config.json', 'tokenizer.json']);
  const opened = await openModel(
    {
      kind: 'files',
      files: [...[...files].map(([name, content]) => ({ name, bytes: content })), { name: 'm.onnx', bytes }],
    },
    around,
  );
  expect(opened.model.config).toEqual({});
  expect(opened.tokenizer).toBeNull();
  expect(opened.sidecars).toEqual([]);
});

it('an .onnx file that is none is said, unless another names it as its data', async () => {
  const bad = { name: 'a.onnx', bytes: new Uint8Array([1, 2, 3]) };
  await expect(openModel({ kind: 'files', files: [bad] }, around)).rejects.toMatchObject({
    kind: 'malformed-onnx',
  });
});
