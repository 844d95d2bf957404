/** What people write to name a model, and what the names of a repository's files say. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { splitsOf, usualSplit, variantsOf } from '../../src/hub/layout.ts';
import { folderOf, HUB_ADDRESS, hubAddress, nameOf, parseSource } from '../../src/hub/names.ts';
import { createSha256 } from '../../src/lib/bytes.ts';

const files = (...paths: readonly string[]) =>
  paths.map((path) => ({ path, size: path.length, sha256: null, oid: '' }));

describe('names', () => {
  it('are read with revision and file', () => {
    expect(parseSource('hub:a/b', 'model')).toEqual({ kind: 'hub', repo: 'a/b' });
    expect(parseSource(' gpt2 ', 'model')).toEqual({ kind: 'hub', repo: 'gpt2' });
    expect(parseSource('a/b@v1.0/onnx/model_q4.onnx', 'model')).toEqual({
      kind: 'hub',
      repo: 'a/b',
      revision: 'v1.0',
      files: ['onnx/model_q4.onnx'],
    });
    expect(parseSource('a/b@refs/pr/3', 'model')).toEqual({
      kind: 'hub',
      repo: 'a/b',
      revision: 'refs/pr/3',
    });
    expect(parseSource('a/b/onnx/model.onnx', 'model')).toMatchObject({
      repo: 'a/b',
      files: ['onnx/model.onnx'],
    });
  });

  it('are read from the addresses of pages and files', () => {
    expect(parseSource(`${HUB_ADDRESS}/a/b`, 'model')).toEqual({ kind: 'hub', repo: 'a/b' });
    expect(parseSource(`${HUB_ADDRESS}/a/b/blob/main/onnx/model.onnx`, 'model')).toEqual({
      kind: 'hub',
      repo: 'a/b',
      revision: 'main',
      files: ['onnx/model.onnx'],
    });
    expect(parseSource(`${HUB_ADDRESS}/datasets/a/b/tree/refs/convert/parquet`, 'dataset')).toEqual({
      kind: 'hub',
      repo: 'a/b',
      revision: 'refs/convert/parquet',
    });
    expect(parseSource('https://example.org/x/model.onnx?download=1', 'model')).toEqual({
      kind: 'url',
      url: 'https://example.org/x/model.onnx?download=1',
    });
  });

  it('come back as they were written', () => {
    for (const word of ['hub:a/b', 'hub:a/b@v1', 'hub:a/b@v1/onnx/m.onnx', 'https://example.org/m.onnx'])
      expect(nameOf(parseSource(word, 'model'))).toBe(word);
  });

  it('that are none are refused with a sentence', () => {
    for (const word of [
      '',
      'a/../b',
      'a//b',
      '../../x',
      'a b/c',
      'a/b@',
      'http://example.org/m.onnx',
      'https://u:p@x.org/m',
    ])
      expect(() => parseSource(word, 'model'), word).toThrow(/names no repository|not fetched/);
    expect(() => hubAddress('ftp://x')).toThrow(/only https/);
    expect(hubAddress('http://127.0.0.1:80/')).toBe('http://127.0.0.1');
  });

  it('of other Hubs have folders of their own', () => {
    const [a, b] = [HUB_ADDRESS, 'https://mirror.example'].map((hub) => folderOf(hub, 'model', 'a/b'));
    expect(a).toBe('models--a--b');
    expect(b).toBe('mirror.example--models--a--b');
  });
});

describe('files of a model', () => {
  const listing = files(
    'README.md',
    'config.json',
    'tokenizer.json',
    'chat_template.jinja',
    'model.safetensors',
    'onnx/model.onnx',
    'onnx/model.onnx_data',
    'onnx/model.onnx_data_1',
    'onnx/model_fp16.onnx',
    'onnx/model_q4.onnx',
    'onnx/model_q4.onnx_data',
    'onnx/model_q4f16.onnx',
    'onnx/model_quantized.onnx',
    'onnx/model_int8.onnx',
    'onnx/model_uint8.onnx',
    'onnx/model_bnb4.onnx',
  );

  it('are told apart by precision, the most exact first', () => {
    expect(variantsOf(listing).map(({ onnx, precision }) => `${onnx[0]} ${precision}`)).toEqual([
      'onnx/model.onnx f32',
      'onnx/model_fp16.onnx f16',
      'onnx/model_quantized.onnx q8',
      'onnx/model_int8.onnx int8',
      'onnx/model_uint8.onnx uint8',
      'onnx/model_q4.onnx q4',
      'onnx/model_q4f16.onnx q4f16',
      'onnx/model_bnb4.onnx bnb4',
    ]);
  });

  it('bring the nearest pooling of sentence-transformers, not that of another model', () => {
    const many = files(
      ...['a', 'b', 'c'].flatMap((m) => [`${m}/onnx/model.onnx`, `${m}/config.json`]),
      'a/1_Pooling/config.json',
      'b/1_Pooling/config.json',
    );
    const poolings = variantsOf(many).map(({ onnx, files: own }) => [
      onnx[0],
      own.map(({ path }) => path).filter((path) => path.includes('Pooling')),
    ]);
    expect(Object.fromEntries(poolings)).toEqual({
      'a/onnx/model.onnx': ['a/1_Pooling/config.json'],
      'b/onnx/model.onnx': ['b/1_Pooling/config.json'],
      'c/onnx/model.onnx': [],
    });
  });

  it('bring their own external data and the sidecars, and nothing else', () => {
    const of = (path: string) =>
      variantsOf(listing)
        .find(({ onnx }) => onnx[0] === path)!
        .files.map((file) => file.path);
    const sidecars = ['config.json', 'tokenizer.json', 'chat_template.jinja'];
    expect(of('onnx/model.onnx')).toEqual([
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'onnx/model.onnx_data_1',
      ...sidecars,
    ]);
    expect(of('onnx/model_q4.onnx')).toEqual(['onnx/model_q4.onnx', 'onnx/model_q4.onnx_data', ...sidecars]);
    expect(of('onnx/model_fp16.onnx')).toEqual(['onnx/model_fp16.onnx', ...sidecars]);
  });

  it('join encoder and decoder of one precision, and name the parts of others', () => {
    const variants = variantsOf(
      files(
        'onnx/encoder_model.onnx',
        'onnx/decoder_model.onnx',
        'onnx/decoder_model_merged.onnx',
        'onnx/encoder_model_fp16.onnx',
        'onnx/decoder_model_merged_fp16.onnx',
        'onnx/vision_model.onnx',
      ),
    );
    expect(variants.slice(0, 2).map(({ onnx, precision }) => [precision, ...onnx])).toEqual([
      ['f32', 'onnx/encoder_model.onnx', 'onnx/decoder_model.onnx'],
      ['f16', 'onnx/encoder_model_fp16.onnx', 'onnx/decoder_model_merged_fp16.onnx'],
    ]);
    expect(variants.map(({ part }) => part)).toContain('vision_model');
  });

  it('read the precision that the genai builder writes into folders, and the nearest sidecars', () => {
    const [variant] = variantsOf(
      files(
        'config.json',
        'cpu_and_mobile/cpu-int4-rtn-block-32/config.json',
        'cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx',
        'cpu_and_mobile/cpu-int4-rtn-block-32/model.onnx.data',
      ),
    );
    expect(variant).toMatchObject({ precision: 'q4', part: 'cpu_and_mobile/cpu-int4-rtn-block-32/model' });
    expect(variant!.files.map(({ path }) => path.split('/').length)).toEqual([3, 3, 3]);
  });
});

describe('files of a dataset', () => {
  it('are grouped by configuration and split', () => {
    const splits = splitsOf(
      files(
        'README.md',
        'dataset_infos.json',
        'plain_text/train-00000-of-00002.parquet',
        'plain_text/train-00001-of-00002.parquet',
        'plain_text/test-00000-of-00001.parquet',
        'raw/data/validation/rows.csv',
        'raw/data/train/rows.csv',
        'raw/data/train/rows.jsonl',
      ),
    );
    expect(splits.map(({ config, split, files: own }) => [config, split, own.length])).toEqual([
      ['plain_text', 'train', 2],
      ['plain_text', 'test', 1],
      ['raw', 'train', 1],
      ['raw', 'validation', 1],
    ]);
    expect(splits[2]!.files[0]!.path).toBe('raw/data/train/rows.jsonl');
    expect(usualSplit(splits)).toBe(splits[0]);
  });

  it('that name no split are for training', () => {
    expect(splitsOf(files('my_data.csv')).map(({ split }) => split)).toEqual(['train']);
    expect(splitsOf(files('contest.csv')).map(({ split }) => split)).toEqual(['train']);
    expect(splitsOf(files('picture.bin', '.gitattributes'))).toEqual([]);
  });
});

describe('SHA-256 piece by piece', () => {
  it('is that of all bytes together, however they are cut', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 100_003]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 7)) & 255);
      const hash = createSha256();
      for (let at = 0; at < length; at += 37) hash.update(bytes.subarray(at, at + 37));
      expect(hash.hex(), String(length)).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });
});
