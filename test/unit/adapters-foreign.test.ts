/** What PEFT does on loading, row by row, and what is said of files that other tools wrote. */
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { validateForRun } from '../../src/adapters/config.ts';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { filesFromZip, readFolder } from '../../src/adapters/folder.ts';
import { readAdapter } from '../../src/adapters/peft.ts';
import { METHODS } from '../../src/adapters/registry.ts';
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

describe('an adapter of which nothing fits', () => {
  const lora = { peft_type: 'LORA', r: 2, target_modules: ['fc1'] };
  const named = (rename: (name: string) => string) => {
    const names = ['base_model.model.fc1.lora_A.weight', 'base_model.model.fc1.lora_B.weight'];
    const [a, b] = names.map(rename) as [string, string];
    const read = readAdapter(JSON.stringify(lora), tensors({ [a]: zeros(2, 12), [b]: zeros(16, 2) }));
    return () => fitAdapter(read, model);
  };

  it.each<[string, (name: string) => string, RegExp]>([
    [
      'names of state_dict()',
      (n) => n.replace('.weight', '.default.weight'),
      /adapter's own name .*state_dict\(\)/,
    ],
    ['of an adapter with a name', (n) => n.replace('.weight', '.night.weight'), /adapter's own name/],
    [
      'of a compiled model',
      (n) => n.replace('fc1', '_orig_mod.fc1'),
      /_orig_mod, as those of a model under torch\.compile/,
    ],
    ['of a model in parallel', (n) => n.replace('fc1', 'module.fc1'), /DistributedDataParallel/],
    ['of another model', (n) => n.replace('fc1', 'layers.3.up_proj'), /a model with other modules/],
  ])('%s', (_what, rename, why) => {
    expect(named(rename)).toThrow(
      expect.objectContaining({
        kind: 'malformed-adapter',
        message: expect.stringMatching(
          /^No tensor of the adapter fits, so nothing would change: its file has base_model\.model\..*, and this model expects base_model\.model\.fc1\.lora_A\.weight, base_model\.model\.fc1\.lora_B\.weight\. Reason: /,
        ),
      }),
    );
    expect(named(rename)).toThrow(why);
  });

  it('and one that fits has nothing to say', () => {
    expect(named((name) => name)().warnings).toEqual([]);
  });
});

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
      /^Only part of the adapter fits: 1 of the 2 tensors .* ignored, .*: base_model\.model\.fc2/,
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
    [
      'an expression of repetitions that fits nothing',
      () => load({ ...oft, target_modules: '(.*)*x' }),
      /Target modules "\(\.\*\)\*x" not found/,
    ],
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
      /is stored as I32; adapters hold F32, F16, BF16 or F64/,
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

/** A LoRA of rank 2 on fc1 (12 in, 16 out), its numbers told apart by their places. */
describe('a LoRA as other tools write it', () => {
  const numbers = (n: number, step: number) =>
    Float32Array.from({ length: n }, (_, i) => (i % 7) * step - 0.3);
  const A = { shape: [2, 12], data: numbers(24, 0.11) };
  const B = { shape: [16, 2], data: numbers(32, 0.07) };
  const lengths = { shape: [16], data: numbers(16, 0.5) };
  const own = { 'base_model.model.fc1.lora_A.weight': A, 'base_model.model.fc1.lora_B.weight': B };
  const config = { peft_type: 'LORA', target_modules: ['fc1'], r: 2, lora_alpha: 3 };
  const read = (changes: object, named: Record<string, AdapterTensor> = own) =>
    readAdapter(JSON.stringify({ ...config, ...changes }), tensors(named));

  it.each([
    { init_lora_weights: 'eva', eva_config: { rho: 1.5, tau: 0.9, whiten: true } },
    { init_lora_weights: 'eva' },
    { init_lora_weights: 'eva', eva_config: null },
    { init_lora_weights: 'orthogonal' },
    { init_lora_weights: 'mica' },
    { init_lora_weights: 'gaussian', loftq_config: null, megatron_core: null, layer_replication: null },
    { rank_pattern: null, alpha_pattern: null, bias: null, use_dora: null, fan_in_fan_out: null },
    { use_qalora: null, qalora_group_size: null, ensure_weight_tying: null, corda_config: null },
  ])('%j is a plain LoRA', (changes) => {
    const adapter = read(changes);
    expect(adapter.tensors.get('fc1')!.get('lora_A.weight')).toEqual(A);
    expect(adapter.warnings).toEqual([]);
    expect(adapter.config).toMatchObject({ r: 2, bias: 'none', rank_pattern: {}, use_dora: false });
    expect(fitAdapter(adapter, model).warnings).toEqual([]);
    // What only a beginning needs goes back into the file as it came.
    const { eva_config = null } = changes as { eva_config?: object | null };
    expect(adapter.config).toMatchObject({ eva_config });
  });

  it.each([
    ['pissa', /path_initial_model_for_weight_conversion/],
    ['pissa_niter_4', /path_initial_model_for_weight_conversion/],
    ['olora', /path_initial_model_for_weight_conversion/],
    ['corda', /merge_and_unload/],
    ['lora_ga', /merge_and_unload/],
  ])('%s is refused with what is right', (init_lora_weights, advice) => {
    const attempt = () => read({ init_lora_weights });
    expect(attempt).toThrow(advice);
    expect(attempt).not.toThrow(/use true/);
    expect(attempt).toThrow(/would only hide it/);
  });

  it('LoftQ is refused with what is right', () => {
    const attempt = () => read({ init_lora_weights: 'loftq', loftq_config: { loftq_bits: 4 } });
    expect(attempt).toThrow(/rounded.*merge_and_unload/);
  });

  it('a new adapter does not begin with what needs data', () => {
    for (const init_lora_weights of ['eva', 'orthogonal', 'pissa'])
      expect(() => validateForRun(METHODS.lora, { init_lora_weights }, 10)).toThrow(
        /a new adapter cannot begin with/,
      );
  });

  it.each(['lora_magnitude_vector', 'lora_magnitude_vector.weight'])(
    'DoRA’s lengths are read from %s',
    (name) => {
      const adapter = read({ use_dora: true }, { ...own, [`base_model.model.fc1.${name}`]: lengths });
      expect(adapter.tensors.get('fc1')!.get('lora_magnitude_vector')).toEqual(lengths);
      expect([...adapter.warnings, ...fitAdapter(adapter, model).warnings]).toEqual([]);
    },
  );

  it('tensors may be stored as F64', () => {
    const exact = Float64Array.from({ length: 24 }, (_, i) => Math.sqrt(i + 2) - 2);
    const header = JSON.stringify({
      'base_model.model.fc1.lora_A.weight': { dtype: 'F64', shape: [2, 12], data_offsets: [0, 192] },
    }).padEnd(104);
    const file = new Uint8Array(8 + header.length + 192);
    new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
    file.set(new TextEncoder().encode(header), 8);
    file.set(new Uint8Array(exact.buffer), 8 + header.length);
    const { data } = readAdapter(JSON.stringify(config), file).tensors.get('fc1')!.get('lora_A.weight')!;
    expect(data).toEqual(Float32Array.from(exact));
  });
});
