/**
 * Parameters as PyTorch has them: what the file stores once for several modules is trained, saved and merged for the one that was chosen,
 * and the merged file computes what was trained.
 */
import { describe, expect, test } from 'vitest';
import { chooseAdapter } from '../../src/adapters/choose.ts';
import { validateConfig } from '../../src/adapters/config.ts';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { emitTrainables, inject } from '../../src/adapters/inject.ts';
import { readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import {
  type AdapterPlan,
  type BaseParameter,
  initialValues,
  moduleTensors,
  savedParameters,
  sharedOf,
} from '../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { parity } from '../../src/inference/parity.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { mergedWeights } from '../../src/training/mergedWeights.ts';
import { fromTorch, toTorch } from '../../src/training/torchLayout.ts';
import { ROWS, type TiedOptions, tiedModel } from '../tools/tiedGraphs.ts';
import { interpreted } from './adapters-interpreted.ts';

const [BATCH, LENGTH] = [2, 5];
const ids = Int32Array.from({ length: BATCH * LENGTH }, (_, i) => (i * 5 + 2) % ROWS);

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
    ['input_ids', { dtype: 'i32', shape: [BATCH, LENGTH], data: Float64Array.from(ids) }],
  ]);
  return interpret(g.finish({ out }), feeds).get(out).data;
}

async function inRuntime(onnx: OnnxModel): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(onnx), { providers: ['wasm'] });
  const feeds = { input_ids: { dtype: 'int64', dims: [BATCH, LENGTH], data: [...ids] } } as const;
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
  const { plan } = chooseAdapter(method, config, model.targets, model.parameters);
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
  const again = chooseAdapter(method, read.config, model.targets, model.parameters, read.shared).plan;
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
            METHODS[method as MethodId],
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
      METHODS.full,
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
