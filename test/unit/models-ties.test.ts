/**
 * Parameters as PyTorch has them: what the file stores once for several modules is trained, saved and merged for the one that was chosen,
 * and the merged file computes what was trained.
 */
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { emitTrainables, inject } from '../../src/adapters/inject.ts';
import { readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  chooseAdapter,
  initialValues,
  moduleTensors,
  savedParameters,
  sharedOf,
} from '../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { writeSafetensors } from '../../src/adapters/safetensors.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { mergeWeights, requireWritable } from '../../src/models/merge.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { readersOf } from '../../src/onnx/readers.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { mergeAdapters, mergedWeights } from '../../src/training/merging.ts';
import { parity } from '../../src/training/parity.ts';
import { fromTorch, toTorch } from '../../src/training/setup.ts';
import { constantWeights, mergedDecoder } from '../tools/graphForms.ts';
import { builderLlama } from '../tools/graphsBuilder.ts';
import { optimisedBert } from '../tools/graphsContrib.ts';
import { decoder } from '../tools/graphsDecoders.ts';
import { quantiseFile } from '../tools/quantiseFile.ts';
import { ROWS, SIZE, type TiedOptions, tiedModel } from '../tools/tiedGraphs.ts';
import { interpreted } from './adapters-interpreted.ts';
import { withGraph } from './adapters-layers.ts';

const [BATCH, LENGTH] = [2, 5];
const fed = Int32Array.from({ length: BATCH * LENGTH }, (_, i) => (i * 5 + 2) % ROWS);

const opened = (onnx: OnnxModel, config: object = {}): LoadedModel =>
  loadModel([
    { name: 'model.onnx', bytes: encodeModel(onnx) },
    {
      name: 'config.json',
      bytes: new TextEncoder().encode(JSON.stringify({ model_type: 'tiny', ...config })),
    },
  ]);

const byName = (model: LoadedModel): Map<string, BaseParameter> =>
  new Map(model.parameters.map((p) => [p.name, p]));

/** The logits of the model with the adapter in place, in float64. */
function trainedLogits(model: LoadedModel, plan: AdapterPlan, packed: Float32Array): Float64Array {
  const { graph: base, logits } = model.build(BATCH, LENGTH);
  const g = createBuilder();
  const trainables = emitTrainables(g, plan, { training: false, initial: () => packed, base });
  const out = inject(base, g, trainables)(logits);
  const feeds = new Map<string, Tensor>([
    ['input_ids', { dtype: 'i32', shape: [BATCH, LENGTH], data: Float64Array.from(fed) }],
  ]);
  return interpret(g.finish({ out }), feeds).get(out).data;
}

async function inRuntime(onnx: OnnxModel): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(onnx), { providers: ['wasm'] });
  const feeds = { input_ids: { dtype: 'int64', dims: [BATCH, LENGTH], data: [...fed] } } as const;
  const { logits } = await session.run(feeds, ['logits']);
  await session.release();
  return logits!.data;
}

interface Outcome {
  /** Largest difference of the merged file in onnxruntime from what was trained, relative. */
  readonly parity: number;
  /** Parameters whose numbers in the merged file are others than before. */
  readonly changed: readonly string[];
}

/** Trains by moving every number, writes the adapter, reads it again, merges that. */
async function outcome(model: LoadedModel, id: MethodId, given: object): Promise<Outcome> {
  const method = METHODS[id];
  const { config } = validateConfig(method, given);
  const parameters = byName(model);
  const { plan } = chooseAdapter(withGraph(method), config, model.targets, model.parameters);
  const random = rng(3, 9);
  const packed = initialValues(plan, 1, parameters).map((v) => v + 0.2 * random.normal());
  const files = writeAdapter(
    toTorch(
      {
        ...{ method, config, tensors: moduleTensors(plan, packed) },
        ...{ parameters: savedParameters(plan, packed), shared: sharedOf(plan) },
      },
      model.modules,
    ),
  );
  const read = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
  const adapter = { ...read, ...fromTorch(read, model.modules) };
  const fit = fitAdapter(adapter, model.targets, new Map(model.parameters.map((p) => [p.name, p.shape])));
  expect(fit.brought).toEqual([]);
  const again = chooseAdapter(
    withGraph(method),
    read.config,
    model.targets,
    model.parameters,
    read.shared,
  ).plan;
  const loaded = initialValues(again, 0, parameters, adapter);
  const weights = await mergedWeights(again, parameters, interpreted, loaded);
  const { onnx } = mergeWeights(model.onnx, model.modules, weights);
  const merged = byName(opened(onnx));
  return {
    parity: parity(await inRuntime(onnx), trainedLogits(model, plan, packed)).maxRel,
    changed: [...parameters.values()]
      .filter(({ name, load }) => !sameNumbers(load(), merged.get(name)!.load()))
      .map(({ name }) => name)
      .sort(),
  };
}

const sameNumbers = (a: Float32Array, b: Float32Array): boolean => a.every((v, i) => v === b[i]);

const files: Readonly<Record<string, TiedOptions>> = {
  'a head through Transpose': { head: 'transpose' },
  'a head by Gemm': { head: 'gemm' },
  'a head through Identity, Cast and Transpose': { head: 'cast' },
  'two heads behind one Transpose': { head: 'shared transpose' },
  'a turned copy': { head: 'copy' },
  'biases written once': { head: 'own', bias: true },
  'norms written once': { head: 'own', norm: true },
  'a matrix written once': { head: 'own', matrix: true },
  'a block called twice': { head: 'transpose', twice: true },
  'all of it': { head: 'transpose', bias: true, norm: true, matrix: true, twice: true },
};

const isTied = (o: TiedOptions): boolean => o.head !== 'copy' && o.head !== 'own';

const weightOf = (...modules: string[]): string[] => modules.map((m) => `${m}.weight`);
const LINEAR = [0, 1].flatMap((i) => ['gate', 'up', 'down'].map((n) => `model.layers.${i}.${n}`));

/** What to train, and which parameters that changes. */
const targets: Readonly<
  Record<string, { config: object; changes: readonly string[]; layers: 'head' | 'table' | 'inner' }>
> = {
  'the head': { config: { target_modules: ['lm_head'] }, changes: weightOf('lm_head'), layers: 'head' },
  'the table': { config: { target_modules: ['wte'] }, changes: weightOf('model.wte'), layers: 'table' },
  both: {
    config: { target_modules: ['wte', 'lm_head'] },
    changes: weightOf('model.wte', 'lm_head'),
    layers: 'table',
  },
  'an inner layer': {
    config: { target_modules: ['layers.0.gate'] },
    changes: weightOf('model.layers.0.gate'),
    layers: 'inner',
  },
  'a saved head': {
    config: { target_modules: ['layers.1.up'], modules_to_save: ['lm_head'] },
    changes: [...weightOf('lm_head', 'model.layers.1.up')],
    layers: 'inner',
  },
  'a saved table': {
    config: { target_modules: ['down'], modules_to_save: ['wte'] },
    changes: weightOf('model.layers.0.down', 'model.layers.1.down', 'model.wte'),
    layers: 'inner',
  },
  'a saved norm': {
    config: { target_modules: ['layers.1.down'], modules_to_save: ['ln_f'] },
    changes: ['model.ln_f.bias', ...weightOf('model.ln_f', 'model.layers.1.down')],
    layers: 'inner',
  },
};

const methods: Readonly<Partial<Record<MethodId, object>>> = {
  lora: { r: 2 },
  oft: { oft_block_size: 3, use_cayley_neumann: false },
  boft: { boft_block_size: 3 },
  fourierft: { n_frequency: 7, scaling: 30 },
  ia3: { feedforward_modules: [] },
  vera: { r: 2 },
  loha: { r: 2 },
  lokr: { r: 2 },
  full: {},
};

/** Methods that PEFT has for embeddings. */
const ON_TABLES: readonly string[] = ['lora', 'oft', 'full'];

describe.each(Object.entries(files))('%s', (_, options) => {
  const model = opened(tiedModel(options));
  const tie = model.ties.flat();

  /** IA3 scales the bias too; full trains all that a module has, and what is tied to it. */
  const expected = (method: string, { config, changes }: (typeof targets)[string]): string[] => {
    const names = new Set(changes);
    const { modules_to_save: saved = [] } = config as { modules_to_save?: string[] };
    const hasBias = (name: string): boolean => LINEAR.includes(name.replace(/\.weight$/, ''));
    for (const name of changes) {
      const isSaved = saved.some((entry) => name.endsWith(`${entry}.weight`));
      if ((method === 'ia3' || method === 'full' || isSaved) && hasBias(name))
        names.add(name.replace(/weight$/, 'bias'));
      if (method === 'full' && !isSaved && tie.includes(name)) for (const one of tie) names.add(one);
    }
    return [...names].sort();
  };

  test('is tied where the head is the table', () => {
    expect(tie.includes('lm_head.weight')).toBe(isTied(options));
  });

  test.each(Object.entries(methods))('%s', async (method, sizes) => {
    for (const [what, target] of Object.entries(targets)) {
      const config = { ...sizes, ...target.config };
      if (target.layers === 'table' && !ON_TABLES.includes(method)) {
        expect(() =>
          chooseAdapter(
            withGraph(METHODS[method as MethodId]),
            validateConfig(METHODS[method as MethodId], config).config,
            model.targets,
            model.parameters,
          ),
        ).toThrow(/not supported|only/);
        continue;
      }
      const found = await outcome(model, method as MethodId, config);
      expect(found.changed, `${method}, ${what}`).toEqual(expected(method, target));
      expect(found.parity, `${method}, ${what}`).toBeLessThan(2e-6);
    }
  });

  test.each(['all', 'lora_only'])('bias: %s', async (bias) => {
    const found = await outcome(model, 'lora', { r: 2, target_modules: ['layers.0.gate'], bias });
    const biases = model.parameters.map(({ name }) => name).filter((name) => name.endsWith('.bias'));
    const own = bias === 'all' ? biases : ['model.layers.0.gate.bias'];
    expect(found.changed).toEqual([...own, 'model.layers.0.gate.weight'].sort());
    expect(found.parity).toBeLessThan(2e-6);
  });

  test('everything trains, a tied weight once', async () => {
    const found = await outcome(model, 'full', {});
    expect(found.changed).toEqual(model.parameters.map(({ name }) => name).sort());
    expect(found.parity).toBeLessThan(2e-6);
    const { plan } = chooseAdapter(
      withGraph(METHODS.full),
      validateConfig(METHODS.full, {}).config,
      model.targets,
      model.parameters,
    );
    expect(plan.saved).toHaveLength(model.parameters.length - (isTied(options) ? tie.length - 1 : 0));
  });

  test('the head alone', async () => {
    const found = await outcome(model, 'head', { modules_to_save: ['lm_head'] });
    expect(found.changed).toEqual(['lm_head.weight']);
    expect(found.parity).toBeLessThan(2e-6);
  });
});

describe('names of the file', () => {
  test('an Identity gives a parameter back that was stored once', async () => {
    const model = opened(tiedModel({ head: 'own', norm: true, unnamed: true, identity: true }));
    const norms = ['model.layers.0.norm_in', 'model.layers.1.norm_in', 'model.ln_f'];
    const names = model.parameters.map(({ name }) => name);
    for (const norm of norms)
      expect(names).toEqual(expect.arrayContaining([`${norm}.weight`, `${norm}.bias`]));
    const found = await outcome(model, 'head', { modules_to_save: ['ln_f'] });
    expect(found.changed).toEqual(['model.ln_f.bias', 'model.ln_f.weight']);
    expect(found.parity).toBeLessThan(2e-6);
  });

  test('a head without a name of its own is called as the family calls it', () => {
    const named = (model_type: string): readonly string[] =>
      opened(tiedModel({ unnamed: true }), { model_type }).ties.flat();
    expect(named('llama')).toEqual(['model.wte.weight', 'lm_head.weight']);
    expect(named('bert')).toEqual(['model.wte.weight', 'cls.predictions.decoder.weight']);
  });

  test('config.json may say that the head is no tie', async () => {
    const model = opened(tiedModel(), { tie_word_embeddings: false });
    expect(model.ties).toEqual([]);
    const found = await outcome(model, 'full', { target_modules: ['lm_head'] });
    expect(found.changed).toEqual(['lm_head.weight']);
  });
});

describe('a merged decoder, both branches of which read the table twice', () => {
  const model = opened(mergedDecoder(decoder({ tied: true })));

  test.each(['lm_head', 'embed_tokens'])('LoRA on %s changes it in both', (target) => {
    const name = target === 'lm_head' ? 'lm_head.weight' : 'model.embed_tokens.weight';
    const data = byName(model)
      .get(name)!
      .load()
      .map((x) => 2 * x);
    const { onnx } = mergeWeights(model.onnx, model.modules, new Map([[name, data]]));
    const { of } = readersOf(onnx.graph);
    const places = [...of].flatMap(([tensor, all]) => all.map((place) => ({ tensor, ...place })));
    const isHead = (name: string): boolean => name.startsWith('/lm_head');
    const heads = new Set(places.filter(({ node }) => isHead(node.name)).map(({ tensor }) => tensor));
    const tables = new Set(
      places.filter(({ node }) => node.name.startsWith('/model/embed_tokens')).map(({ tensor }) => tensor),
    );
    expect([heads.size, tables.size]).toEqual([1, 1]);
    expect([...heads][0]).not.toBe([...tables][0]);
    expect(places.filter(({ node }) => isHead(node.name))).toHaveLength(2);
  });
});

describe('base weights in an adapter file', () => {
  const model = opened(tiedModel({ head: 'own', bias: true }));
  const shapes = new Map(model.parameters.map((p) => [p.name, p.shape]));
  const random = rng(8, 2);
  const drawn = (...shape: number[]): { shape: number[]; data: Float32Array } => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => random.normal()),
  });
  const folder = (config: object, tensors: Record<string, { shape: number[]; data: Float32Array }>) =>
    readAdapter(
      JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 4, ...config }),
      writeSafetensors(new Map(Object.entries(tensors).map(([k, v]) => [`base_model.model.${k}`, v]))),
    );
  const lora = (module: string): Record<string, { shape: number[]; data: Float32Array }> => ({
    [`${module}.lora_A.weight`]: drawn(2, SIZE),
    [`${module}.lora_B.weight`]: drawn(SIZE, 2),
  });

  test('take the place of the model’s own, and wrapped ones carry the adapter', async () => {
    const table = drawn(ROWS, SIZE);
    const [A, B] = [drawn(2, ROWS), drawn(SIZE, 2)];
    const read = folder(
      { target_modules: ['wte', 'layers.0.up'] },
      {
        'model.wte.base_layer.weight': table,
        'model.wte.lora_embedding_A': A,
        'model.wte.lora_embedding_B': B,
        'model.ln_f.weight': drawn(SIZE),
        ...lora('model.layers.0.up'),
      },
    );
    const fit = fitAdapter(read, model.targets, shapes);
    expect([...fit.brought].sort()).toEqual(['model.ln_f.weight', 'model.wte.weight']);
    const { weights } = await mergeAdapters(model, [read], interpreted);
    expect([...weights.keys()].sort()).toEqual([
      'model.layers.0.up.weight',
      'model.ln_f.weight',
      'model.wte.weight',
    ]);
    const wanted = table.data.map((x, i) => {
      const [row, column] = [Math.floor(i / SIZE), i % SIZE];
      return x + 2 * [0, 1].reduce((n, k) => n + B.data[column * 2 + k]! * A.data[k * ROWS + row]!, 0);
    });
    expect(parity(weights.get('model.wte.weight')!, wanted).maxRel).toBeLessThan(1e-6);
  });

  test('are ignored under a name that PEFT would not load, which is said', () => {
    const read = folder(
      { target_modules: ['layers.0.up'] },
      {
        'model.layers.0.up.weight': drawn(SIZE, SIZE),
        'model.gone.weight': drawn(3),
        ...lora('model.layers.0.up'),
      },
    );
    const { brought, warnings } = fitAdapter(read, model.targets, shapes);
    expect(brought).toEqual([]);
    expect(warnings.join(' ')).toMatch(/model\.layers\.0\.up\.weight/);
    expect(warnings.join(' ')).toMatch(/model\.gone\.weight/);
  });

  test('of another vocabulary are refused', () => {
    const read = folder(
      { target_modules: ['layers.0.up'] },
      { 'model.wte.weight': drawn(ROWS + 2, SIZE), ...lora('model.layers.0.up') },
    );
    expect(() => fitAdapter(read, model.targets, shapes)).toThrow(
      /Size mismatch.*model\.wte\.weight.*\[15, 6\].*\[13, 6\]/,
    );
  });
});

describe('query, key and value that an optimiser packed', () => {
  const model = opened(optimisedBert({ mask: 'counted' }));

  test('are three layers under PyTorch’s names', () => {
    const names = model.modules.map(({ name }) => name);
    for (const part of ['query', 'key', 'value'])
      expect(names).toContain(`bert.encoder.layer.0.attention.self.${part}`);
    expect(names.filter((name) => /qkv/.test(name))).toEqual([]);
  });

  test('are merged into their own third, and the others stay', () => {
    const name = 'bert.encoder.layer.1.attention.self.key';
    const weights = new Map(
      [`${name}.weight`, `${name}.bias`].map((p) => [
        p,
        byName(model)
          .get(p)!
          .load()
          .map((x) => x + 1),
      ]),
    );
    const before = byName(model);
    const { onnx, changed } = mergeWeights(model.onnx, model.modules, weights);
    expect(changed).toHaveLength(2);
    const after = byName(opened(onnx));
    for (const [parameter, { load }] of before) {
      const by = parameter.startsWith(`${name}.`) ? 1 : 0;
      const now = after.get(parameter)!.load();
      expect(
        parity(
          now,
          load().map((x) => x + by),
        ).maxAbs,
        parameter,
      ).toBeLessThan(1e-6);
    }
  });
});

test.each([
  ['initialisers', (onnx: OnnxModel) => onnx],
  ['Constant nodes', constantWeights],
] as const)('q in codes that are packed in %s is rounded again alone', (_, spelled) => {
  const file = spelled(quantiseFile(builderLlama({ attention: 'group-query', packed: true })));
  const model = opened(file, { model_type: 'llama' });
  const before = byName(model);
  const name = 'model.layers.0.self_attn.q_proj.weight';
  const wanted = before
    .get(name)!
    .load()
    .map((x) => 3 * x);
  const { onnx, written } = mergeWeights(model.onnx, model.modules, new Map([[name, wanted.slice()]]));
  expect(written).toEqual([expect.objectContaining({ name, how: 'requantised' })]);
  const after = byName(opened(onnx, { model_type: 'llama' }));
  expect(parity(after.get(name)!.load(), wanted).maxRel).toBeLessThan(0.1);
  for (const [other, { load }] of before)
    if (other !== name) expect(after.get(other)!.load(), other).toEqual(load());
});

test('a new head leaves the tensors that it shared to the others', async () => {
  const g = graphBuilder({ opset: 17, name: 'classifier' });
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const random = rng(4, 4);
  const drawn = (size: number) => Float32Array.from({ length: size }, () => random.normal());
  const zeros = g.weight('dense.bias', [SIZE], drawn(SIZE));
  const rows = g.op(
    'Gather',
    [g.weight('wte.weight', [ROWS, SIZE], drawn(ROWS * SIZE)), ids],
    {},
    { name: '/wte/Gather' },
  );
  const first = g.op('Gather', [rows, g.ints([0], [])], { axis: 1 }, { name: '/Gather' });
  const layer = (name: string, x: string): string =>
    g.op(
      'Gemm',
      [x, g.weight(`${name}.weight`, [SIZE, SIZE], drawn(SIZE * SIZE)), zeros],
      { transB: 1 },
      { name: `/${name}/Gemm` },
    );
  const dense = g.op('Tanh', [layer('dense', first)], {}, { name: '/Tanh' });
  g.output(layer('classifier', dense), 'float32', ['batch', SIZE], 'logits');
  const model = opened(g.build());
  const resized = model.withClasses(['a', 'b', 'c'], 1);
  const numbers = (name: string) => byName(resized).get(name)!.load();
  expect(numbers('dense.bias')).toEqual(byName(model).get('dense.bias')!.load());
  expect(numbers('classifier.bias')).toEqual(new Float32Array(3));
  expect(await inRuntime(resized.onnx)).toHaveLength(BATCH * 3);
});

describe('a table in codes that the head reads too', () => {
  const g = graphBuilder({ opset: 17, name: 'codes' });
  const ids = g.input('input_ids', 'int64', ['batch', 'sequence']);
  const random = rng(6, 6);
  const codes = g.initializer(
    makeTensor(
      'wte.weight_quantized',
      'int8',
      [ROWS, SIZE],
      Array.from({ length: ROWS * SIZE }, () => random.int(200) - 100),
    ),
  );
  const zero = g.initializer(makeTensor('wte.zero', 'int8', [], [0]));
  const table = g.op(
    'DequantizeLinear',
    [codes, g.scalar(0.01), zero],
    {},
    { name: '/wte/DequantizeLinear' },
  );
  const x = g.op('Tanh', [g.op('Gather', [table, ids], {}, { name: '/wte/Gather' })], {}, { name: '/Tanh' });
  const turned = g.op('Transpose', [table], { perm: [1, 0] }, { name: '/lm_head/Transpose' });
  g.output(
    g.op('MatMul', [x, turned], {}, { name: '/lm_head/MatMul' }),
    'float32',
    ['batch', 'sequence', ROWS],
    'logits',
  );
  const model = opened(g.build());
  const table0 = (m: LoadedModel) => m.parameters.find(({ name }) => /wte/.test(name))!.load();
  const head = model.parameters.find(({ name }) => /lm_head/.test(name))!;
  const moved = () => head.load().map((v) => v + 0.3);

  test('stays as it is where the head alone changes, which becomes float', async () => {
    const { onnx, written } = mergeWeights(model.onnx, model.modules, new Map([[head.name, moved()]]));
    expect(written).toEqual([expect.objectContaining({ name: head.name, how: 'float', maxError: 0 })]);
    const again = opened(onnx);
    expect(table0(again)).toEqual(table0(model));
    expect(again.parameters.find(({ name }) => name === head.name)!.load()).toEqual(moved());
    const { graph, logits } = again.build(BATCH, LENGTH);
    const feeds = new Map<string, Tensor>([
      ['input_ids', { dtype: 'i32', shape: [BATCH, LENGTH], data: Float64Array.from(fed) }],
    ]);
    expect(parity(await inRuntime(onnx), interpret(graph, feeds).get(logits).data).maxRel).toBeLessThan(2e-6);
  });

  test('is rounded to codes again where the tie changes', () => {
    const data = moved();
    const both = new Map(model.ties[0]!.map((name) => [name, data]));
    expect(both.size).toBe(2);
    const { onnx, written } = mergeWeights(model.onnx, model.modules, both);
    expect(written.map(({ how }) => how)).toEqual(['requantised', 'requantised']);
    const again = opened(onnx);
    expect(again.ties).toEqual(model.ties);
    expect(parity(table0(again), moved()).maxRel).toBeLessThan(1e-2);
  });
});

describe('a weight that the branches of an If read', () => {
  const [X, SIDE] = [Float32Array.from({ length: 2 * SIZE }, (_, i) => Math.sin(i)), SIZE];
  type Kept = 'codes' | 'codes, the main graph too' | 'floats of each branch';

  /** x · W in both branches, the weight in the main graph as codes or in each branch as floats. */
  function branched(kept: Kept): OnnxModel {
    const g = graphBuilder({ opset: 17, name: 'branches' });
    const x = g.input('x', 'float32', [2, SIDE]);
    const flag = g.input('use_cache_branch', 'bool', [1]);
    const random = rng(4, 4);
    const numbers = Array.from({ length: SIDE * SIDE }, () => random.int(200) - 100);
    const steps = [g.scalar(0.01), g.initializer(makeTensor('zero', 'int8', [], [0]))];
    const isOwn = kept === 'floats of each branch';
    if (!isOwn) g.initializer(makeTensor('body.weight_quantized', 'int8', [SIDE, SIDE], numbers));
    const product = (b: typeof g, output: string): string => {
      const w = isOwn
        ? b.weight(
            'body.weight',
            [SIDE, SIDE],
            Float32Array.from(numbers, (n) => n / 100),
          )
        : b.op('DequantizeLinear', ['body.weight_quantized', ...steps], {}, { outputs: [`${output}_w`] });
      return b.op('MatMul', [x, w], {}, { name: '/body/MatMul', outputs: [output] });
    };
    const branch = (output: string) => {
      const b = graphBuilder({ opset: 17 });
      b.output(product(b, output), 'float32', null);
      return { kind: 'graph', value: b.graph() } as const;
    };
    const y = g.op('If', [flag], { then_branch: branch('cached'), else_branch: branch('plain') });
    const also = kept === 'codes, the main graph too' ? [g.op('Add', [y, product(g, 'main')])] : [y];
    g.output(also[0]!, 'float32', [2, SIDE], 'logits');
    return g.build();
  }

  const changed = () => new Float32Array(SIDE * SIDE).fill(0.25);

  test.each(['codes', 'codes, the main graph too'] as const)(
    'as %s is refused before training, and in the same words when merging',
    (kept) => {
      const { onnx, modules } = importModel(branched(kept));
      const said = /^The weight body\.weight_quantized is kept in codes and read inside a subgraph/;
      expect(() => requireWritable(onnx, modules, [['body.weight']])).toThrow(said);
      for (const quantised of ['requantise', 'float'] as const)
        expect(() =>
          mergeWeights(onnx, modules, new Map([['body.weight', changed()]]), { quantised }),
        ).toThrow(said);
    },
  );

  test('as floats of each branch is changed in both', async () => {
    const { onnx, modules } = importModel(branched('floats of each branch'));
    requireWritable(onnx, modules, [['body.weight']]);
    const merged = mergeWeights(onnx, modules, new Map([['body.weight', changed()]])).onnx;
    const session = await openSession(encodeModel(merged), { providers: ['wasm'] });
    for (const flag of [0, 1]) {
      const { logits } = await session.run(
        {
          x: { dtype: 'float32', dims: [2, SIDE], data: X },
          use_cache_branch: { dtype: 'bool', dims: [1], data: Uint8Array.of(flag) },
        },
        ['logits'],
      );
      const sum = 0.25 * X.subarray(0, SIDE).reduce((a, b) => a + b, 0);
      for (const v of [...logits!.data].slice(0, SIDE)) expect(v).toBeCloseTo(sum, 5);
    }
    await session.release();
  });
});
