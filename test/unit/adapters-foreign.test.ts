/** What PEFT does on loading, row by row, and what is said of files that other tools wrote. */
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { filesFromZip, readFolder } from '../../src/adapters/folder.ts';
import { readAdapter } from '../../src/adapters/peft.ts';
import { writeSafetensors } from '../../src/adapters/safetensors.ts';
import type { AdapterTensor } from '../../src/adapters/types.ts';
import { folder, layer } from './adapters-fixtures.ts';

const CONFIG = 'adapter_config.json';
const model = { layers: [layer('fc1', 12, 16), layer('fc2', 16, 6)], pretrained: false };
const text = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const zeros = (...shape: number[]): AdapterTensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
});
const tensors = (named: Record<string, AdapterTensor>) => writeSafetensors(new Map(Object.entries(named)));

describe('what PEFT does on loading', () => {
  const oft = { peft_type: 'OFT', peft_version: '0.18.0', target_modules: ['fc1', 'fc2'], oft_block_size: 4 };
  const own = {
    'base_model.model.fc1.oft_R.weight': zeros(3, 6),
    'base_model.model.fc2.oft_R.weight': zeros(4, 6),
  };
  const load = (config: object, named: Record<string, AdapterTensor> = own) => {
    const read = readAdapter(JSON.stringify(config), tensors(named));
    return [...read.warnings, ...fitAdapter(read, model).warnings];
  };
  const { 'base_model.model.fc2.oft_R.weight': _, ...first } = own;

  it.each<[string, () => string[], string | RegExp | null]>([
    ['the essentials alone: defaults', () => load(oft), null],
    ['an unknown key: a warning', () => load({ ...oft, colour: 1 }), /"colour"; it is ignored/],
    ['an old version: a warning', () => load({ ...oft, peft_version: '0.17.1' }), /before 0\.18/],
    [
      'a tensor missing: a warning',
      () => load(oft, first),
      /Missing adapter tensors stay at their start, 1 of 2: fc2/,
    ],
    [
      'a tensor of no target: left out',
      () => load({ ...oft, target_modules: ['fc1'] }),
      /^Only part of the adapter fits: 1 of the 2 tensors .* ignored, .*: fc2/,
    ],
    [
      'exact series off, no version',
      () => load({ ...oft, peft_version: null, use_cayley_neumann: false }),
      null,
    ],
    [
      'BOFT says two factors, the tensors hold one',
      () =>
        load(
          { peft_type: 'BOFT', target_modules: ['fc1'], boft_n_butterfly_factor: 2 },
          { 'base_model.model.fc1.boft_R': zeros(1, 3, 4, 4), 'base_model.model.fc1.boft_s': zeros(16, 1) },
        ),
      /the tensors count/,
    ],
    [
      'F16 tensors',
      () => load(oft, { ...own, 'base_model.model.fc1.oft_R.weight': { ...zeros(3, 6), dtype: 'F16' } }),
      null,
    ],
    [
      'the permutations of PEFT up to 0.12',
      () =>
        load(
          { peft_type: 'BOFT', target_modules: ['fc1'] },
          {
            'base_model.model.fc1.boft_R': zeros(1, 3, 4, 4),
            'base_model.model.fc1.boft_s': zeros(16, 1),
            'base_model.model.fc1.boft_P': zeros(1, 12, 12),
          },
        ),
      null,
    ],
  ])('loads: %s', (_, attempt, warning) => {
    const warnings = attempt();
    expect(warnings).toHaveLength(warning === null ? 0 : 1);
    if (warning !== null) expect(warnings[0]).toMatch(warning);
  });

  const { oft_block_size: __, ...unsized } = oft;
  const saved = { ...oft, target_modules: ['fc1'], modules_to_save: ['fc2'] };
  it.each<[string, () => unknown, RegExp]>([
    ['OFT without oft_block_size', () => load(unsized), /no oft_block_size.*before 0\.14/],
    [
      'both of an exclusive pair',
      () => load({ ...oft, r: 3 }),
      /either r \(3\) or oft_block_size \(4\), but not both/,
    ],
    ['an expression that never ends', () => load({ ...oft, target_modules: '(.*)*x' }), /can take forever/],
    [
      'neither of it',
      () => load({ ...oft, oft_block_size: 0 }),
      /Either `r` or `oft_block_size` must be non-zero/,
    ],
    [
      'a block size that does not divide',
      () => load({ peft_type: 'BOFT', target_modules: ['fc1'], boft_block_size: 5 }, {}),
      /in_features \(12\) must be divisible by boft_block_size \(5\)/,
    ],
    [
      'another shape',
      () => load(oft, { ...own, 'base_model.model.fc2.oft_R.weight': zeros(4, 10) }),
      /fc2\.oft_R\.weight has shape \[4, 10\], but this model needs \[4, 6\]/,
    ],
    [
      'a saved module’s weight missing',
      () => load(saved, first),
      /modules_to_save covers fc2, but the file has no fc2\.weight/,
    ],
    [
      'its bias missing',
      () => load(saved, { ...first, 'base_model.model.fc2.weight': zeros(6, 16) }),
      /the file has no fc2\.bias/,
    ],
    [
      'names before 0.16',
      () => load(oft, { 'base_model.model.fc1.oft_r.default': zeros(3, 4, 4) }),
      /as PEFT stored it before 0\.16.*train the adapter anew/,
    ],
    [
      'names without the prefix',
      () => load(oft, { 'fc1.oft_R.weight': zeros(3, 6) }),
      /PEFT would load nothing/,
    ],
    [
      'a method there is not',
      () => load({ peft_type: 'PREFIX_TUNING' }),
      /"PREFIX_TUNING"; Papilio reads OFT/,
    ],
    [
      'a feature there is not',
      () => load({ peft_type: 'LORA', target_modules: ['fc1'], use_qalora: true }),
      /use_qalora/,
    ],
  ])('refuses: %s', (_, attempt, sentence) => {
    expect(attempt).toThrow(sentence);
  });

  it('refuses integers', () => {
    const bytes = tensors(own);
    const at = new TextDecoder('latin1').decode(bytes).indexOf('F32');
    bytes.set(text('I32'), at);
    expect(() => readAdapter(JSON.stringify(oft), bytes)).toThrow(
      /is stored as I32; adapters hold F32, F16 or BF16/,
    );
  });
});

describe('files of other tools', () => {
  const lora = folder('lora').config;
  const single = (name: string) => () =>
    readFolder(new Map([['x.safetensors', tensors({ [name]: zeros(2) })]]));

  it.each([
    [
      'lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight',
      /kohya's sd-scripts or ComfyUI.*base_model\.model\./,
    ],
    ['lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha', /kohya/],
    ['lora_unet_down_blocks_0.hada_w1_a', /LyCORIS/],
    ['lycoris_layers_0.lokr_w1', /LyCORIS/],
    ['lora_unet_mid_block.oft_blocks', /another method than PEFT's/],
    ['unet.mid.oft_diag', /another method than PEFT's/],
    ['diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight', /ComfyUI/],
    ['unet.down_blocks.0.attn1.processor.to_q_lora.down.weight', /diffusers/],
    ['transformer.blocks.0.attn.to_q.lora_A.weight', /diffusers/],
    ['layers.0.hada_w1_a', /PEFT would load nothing/],
  ])('%s', (name, sentence) => {
    expect(single(name)).toThrow(
      expect.objectContaining({ kind: 'malformed-adapter', message: expect.stringMatching(sentence) }),
    );
    expect(() => readAdapter(lora, tensors({ [name]: zeros(2) }))).toThrow(sentence);
  });

  it.each<[string, Uint8Array, RegExp]>([
    [
      'torch.save',
      zipSync({ 'archive/data.pkl': text('x') }),
      /zip archive, as torch\.save.*safe_serialization=True/,
    ],
    [
      'a pickle',
      Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0, 0, 0, 0, 0),
      /Python pickle, which can run code.*safe_serialization=True/,
    ],
    ['GGUF', text('GGUF\x03\0\0\0\0\0\0\0'), /GGUF.*llama\.cpp/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), /gzip; unpack it/],
    [
      'Git LFS',
      text('version https://git-lfs.github.com/spec/v1\noid sha256:0'),
      /Git LFS pointer.*git lfs pull/,
    ],
    ['a web page', text('<!doctype html>'), /web page; download the file itself/],
    ['JSON', text('{"a": 1}'), /belongs in adapter_config\.json/],
    ['nothing', new Uint8Array(0), /0 bytes, fewer than the 8/],
  ])('%s', (_, bytes, sentence) => {
    expect(() => readAdapter(lora, bytes)).toThrow(
      expect.objectContaining({ kind: 'malformed-adapter', message: expect.stringMatching(sentence) }),
    );
  });

  it('a folder that is none says what one is', () => {
    expect(() => readFolder(new Map())).toThrow(expect.objectContaining({ kind: 'not-found' }));
    expect(() => readFolder(new Map([[CONFIG, text(lora)]]))).toThrow(
      /there is no adapter_model\.safetensors/,
    );
    const pickled = new Map([
      [CONFIG, text(lora)],
      ['adapter_model.bin', Uint8Array.of(0x80, 2, 1)],
    ]);
    expect(() => readFolder(pickled)).toThrow(/Python pickle/);
    expect(() => filesFromZip(text('PK\x03\x04 nothing of the kind'))).toThrow(/cannot be unpacked/);
  });
});
