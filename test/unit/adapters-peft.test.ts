/**
 * Adapter folders: PEFT's own fixtures in and out unchanged, files that PEFT refuses, files that belong to another model.
 * Seen to fail: base_layer left out of an adapted layer's bias; keys unsorted; m taken from the configuration; the saved-module check
 * removed; `inference_mode` written as false; the kohya check removed; shapes compared by rank only.
 */
import { describe, expect, it } from 'vitest';
import { defaultConfig, validateConfig } from '../../src/adapters/config.ts';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { type Adapter, readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { readSafetensors, writeSafetensors } from '../../src/adapters/safetensors.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { mt19937 } from '../../src/lib/mt19937.ts';
import { folder, layer } from './adapters-fixtures.ts';

const model = { layers: [layer('fc1', 12, 16), layer('fc2', 16, 6)] };
const FOLDERS = [
  'oft',
  'boft_f1',
  'boft_f2',
  'fourierft',
  'lora',
  'lora_dora',
  'oft_bias_all',
  'boft_bias_only',
  'oft_modules_to_save',
  'ia3',
  'loha',
  'lokr',
];

function floats(values: Record<string, readonly number[]>): Uint8Array {
  return writeSafetensors(
    new Map(
      Object.entries(values).map(([name, shape]) => [
        name,
        { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
      ]),
    ),
  );
}

describe.each(FOLDERS)('%s', (name) => {
  const { config, tensors } = folder(name);
  const adapter = readAdapter(config, tensors);

  it('reads without a word and fits its model', () => {
    expect(adapter.warnings).toEqual([]);
    expect(adapter.tensors.size).toBeGreaterThan(0);
    expect(fitAdapter(adapter, model).warnings).toEqual([]);
  });

  it('writes the same tensors and the same configuration', () => {
    const written = writeAdapter(adapter);
    const before = readSafetensors(tensors);
    const after = readSafetensors(written['adapter_model.safetensors']);
    expect([...after.tensors.keys()]).toEqual([...before.tensors.keys()].sort());
    for (const [key, { dtype, shape, bytes }] of before.tensors) {
      expect(after.tensors.get(key), key).toMatchObject({ dtype, shape });
      expect(Buffer.from(after.tensors.get(key)!.bytes).equals(Buffer.from(bytes)), key).toBe(true);
    }
    expect(after.metadata).toEqual(before.metadata);
    const expected = JSON.parse(config);
    const json = JSON.parse(written['adapter_config.json']);
    expect(json).toEqual(expected);
    expect(Object.keys(json)).toEqual(Object.keys(expected));
    expect(written['adapter_config.json']).toMatch(/^\{\n {2}"/);
    expect(written.warnings).toHaveLength(name === 'boft_f2' ? 1 : 0);
  });
});

describe('what the files mean', () => {
  it('keeps biases and saved modules by their names in the base model', () => {
    expect([...load('oft_bias_all').parameters.keys()].sort()).toEqual(['fc1.bias', 'fc2.bias']);
    expect([...load('boft_bias_only').parameters.keys()]).toEqual(['fc1.bias']);
    expect([...load('oft_modules_to_save').parameters.keys()].sort()).toEqual(['fc2.bias', 'fc2.weight']);
    expect(load('oft').tensors.get('fc2')!.get('oft_R.weight')!.shape).toEqual([4, 6]);
  });

  it('takes the number of butterfly factors from the tensors', () => {
    const { config, tensors } = folder('boft_f2');
    const asked = JSON.stringify({ ...JSON.parse(config), boft_n_butterfly_factor: 1 });
    const adapter = readAdapter(asked, tensors);
    expect(adapter.config).toHaveProperty('boft_n_butterfly_factor', 2);
    expect(adapter.warnings).toEqual([
      expect.stringMatching(/asks for 1 butterfly factors but the tensors hold 2/),
    ]);
    expect(fitAdapter(adapter, model).warnings).toEqual([]);
  });

  it('says when most PEFT installations cannot load the file', () => {
    expect(writeAdapter(load('boft_f2')).warnings[0]).toMatch(
      /2 butterfly factors, which most PEFT installations cannot load yet/,
    );
  });

  it('warns of the older series, unknown keys, foreign and extra tensors', () => {
    const { config, tensors } = folder('oft');
    const { peft_version: _, ...json } = JSON.parse(config);
    expect(readAdapter(JSON.stringify({ ...json, colour: 1 }), tensors).warnings).toEqual([
      'OFT has no setting "colour"; it is ignored.',
      expect.stringMatching(/before 0\.18/),
    ]);
    const odd = floats({
      'base_model.model.fc1.oft_R.weight': [3, 6],
      'base_model.model.fc1.other': [1],
      'fc1.oft_R.weight': [3, 6],
    });
    const read = readAdapter(config, odd);
    expect(read.warnings).toEqual([
      expect.stringMatching(/^fc1\.oft_R\.weight is ignored: PEFT reads only names/),
    ]);
    expect(fitAdapter(read, model).warnings).toContainEqual(
      expect.stringMatching(/Only part of the adapter fits.*fc1\.other/),
    );
  });

  it('writes what the task adds to modules_to_save and what the targets became', () => {
    const { config } = validateConfig(METHODS.oft, { target_modules: 'all-linear', task_type: 'SEQ_CLS' });
    const files = writeAdapter({ method: METHODS.oft, config, tensors: new Map(), parameters: new Map() }, [
      'fc1',
    ]);
    expect(JSON.parse(files['adapter_config.json'])).toMatchObject({
      modules_to_save: ['classifier', 'score'],
      target_modules: ['fc1'],
      inference_mode: true,
    });
  });

  it.each(['head', 'full'] as const)('%s keeps its own files and says so', (id) => {
    const method = METHODS[id];
    const weight = { shape: [6, 16], data: Float32Array.from({ length: 96 }, (_, i) => i) };
    const adapter: Adapter = {
      method,
      config: { ...defaultConfig(method), modules_to_save: ['fc2'] },
      tensors: new Map(),
      parameters: new Map([['fc2.weight', weight]]),
    };
    const files = writeAdapter(adapter);
    expect(files.warnings).toEqual([expect.stringMatching(/PEFT cannot load it/)]);
    const read = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
    expect(read.method).toBe(method);
    expect(read.parameters.get('fc2.weight')).toEqual(weight);
  });
});

describe('files that are refused', () => {
  const { config, tensors } = folder('oft');
  const { oft_block_size: _, ...withoutSize } = JSON.parse(config);

  it.each([
    ['{', tensors, 'malformed-adapter', /not JSON/],
    ['[]', tensors, 'malformed-adapter', /not a JSON object/],
    ['{}', tensors, 'malformed-adapter', /no peft_type/],
    ['{"peft_type": "VBLORA"}', tensors, 'unsupported-adapter', /"VBLORA"; Papilio reads OFT, BOFT/],
    [JSON.stringify(withoutSize), tensors, 'malformed-adapter', /no oft_block_size.*before 0\.14/],
    [
      JSON.stringify({ ...JSON.parse(config), r: 4 }),
      tensors,
      'illegal-config',
      /either r \(4\) or oft_block_size \(4\)/,
    ],
    [
      config,
      floats({ 'base_model.model.fc1.oft_r.default': [2, 4, 4] }),
      'malformed-adapter',
      /before 0\.16/,
    ],
    [config, floats({ 'lora_unet_down_blocks_0.lora_down.weight': [4, 4] }), 'malformed-adapter', /kohya/],
    [config, floats({ 'fc1.oft_R.weight': [3, 6] }), 'malformed-adapter', /PEFT would load nothing/],
  ])('%#: %s', (json, bytes, kind, sentence) => {
    expect(() => readAdapter(json, bytes)).toThrow(
      expect.objectContaining({ kind, message: expect.stringMatching(sentence) }),
    );
  });

  it('belong to another model', () => {
    const wider = { layers: [layer('fc1', 24, 16), layer('fc2', 16, 6)] };
    expect(() => fitAdapter(load('oft'), wider)).toThrow(
      /fc1\.oft_R\.weight has shape \[3, 6\], but this model needs \[6, 6\]/,
    );
    expect(() => fitAdapter(load('oft'), { layers: [layer('dense', 12, 16)] })).toThrow(
      expect.objectContaining({ kind: 'no-target' }),
    );
    const shapes = new Map([['fc2.weight', [7, 16]]]);
    expect(() => fitAdapter(load('oft_modules_to_save'), model, shapes)).toThrow(
      /fc2\.weight has shape \[6, 16\]/,
    );
  });

  it('lack a saved module, as PEFT refuses; lack an adapter tensor, as PEFT warns', () => {
    const saved = folder('oft_modules_to_save').config;
    const bytes = floats({ 'base_model.model.fc1.oft_R.weight': [3, 6] });
    expect(() => fitAdapter(readAdapter(saved, bytes), model)).toThrow(/no fc2\.weight/);
    const few = readAdapter(config, bytes);
    expect(fitAdapter(few, model).warnings).toEqual([
      'Missing adapter tensors stay at their start, 1 of 2: fc2.oft_R.weight.',
    ]);
  });

  it('never crash otherwise: 2,000 mutated configurations', () => {
    const { config: text, tensors: lora } = folder('lora');
    const { draw32 } = mt19937(5);
    for (let round = 0; round < 2_000; round++) {
      const at = draw32() % text.length;
      const mutated =
        text.slice(0, at) + String.fromCharCode(32 + (draw32() % 95)) + text.slice(at + (draw32() % 4));
      try {
        fitAdapter(readAdapter(mutated, lora), model);
      } catch (error) {
        expect(error).toBeInstanceOf(PapilioError);
      }
    }
  });
});

function load(name: string) {
  const { config, tensors } = folder(name);
  return readAdapter(config, tensors);
}
