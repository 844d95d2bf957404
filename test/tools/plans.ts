/**
 * Plans of real training steps for a large GPU, made without one: GPT-2's shape and the embedded vision model, each with four methods.
 */
import { validateConfig } from '../../src/adapters/config.ts';
import { chooseAdapter, loadMethod } from '../../src/adapters/plan.ts';
import { METHODS as METHODS_BY_ID } from '../../src/adapters/registry.ts';
import type { Plan } from '../../src/graph/plan.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { baseCaps, type Caps } from '../../src/graph/types.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { trainingGraph } from '../../src/training/stepGraph.ts';
import { gpt2Model } from '../../tools/bench/gpt2.ts';
import { glyphsVit } from '../../tools/pretrain/architectures/glyphsVit.ts';

/** A large GPU's limits. */
const gpu: Caps = {
  ...baseCaps,
  maxWorkgroupStorageBytes: 32768,
  maxInvocationsPerWorkgroup: 1024,
  maxStorageBindingBytes: 2147483644,
  maxStorageBuffersPerStage: 10,
};

export const METHODS = ['lora', 'boft', 'oft', 'fourierft'] as const;
export type Method = (typeof METHODS)[number];

const configs = (
  target_modules: readonly string[],
  head?: string,
): Record<Method, Record<string, unknown>> => ({
  lora: { target_modules, r: 8, lora_alpha: 16 },
  boft: {
    ...{ target_modules, boft_block_size: 4, boft_n_butterfly_factor: 2, boft_dropout: 0.1 },
    ...(head === undefined ? {} : { bias: 'boft_only', modules_to_save: [head] }),
  },
  oft: { target_modules, oft_block_size: 32 },
  fourierft: { target_modules, n_frequency: 1000 },
});

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** Weights are all zero: plans do not depend on them. */
function gpt2(layers: number): LoadedModel {
  const shape = { layers, width: 768, heads: 12, vocabulary: 50257, context: 1024 };
  const zeros = (_kind: unknown, _name: string, dims: readonly number[]) =>
    new Float32Array(dims.reduce((n, d) => n * d, 1));
  return loadModel([
    { name: 'model.onnx', bytes: encodeModel(gpt2Model(shape, zeros)) },
    { name: 'config.json', bytes: text({ model_type: 'gpt2', n_head: 12, n_embd: 768 }) },
  ]);
}

const vision = (layers: number): LoadedModel =>
  loadModel([{ name: 'model.onnx', bytes: encodeModel(glyphsVit({ layers })) }]);

/** Models by name: how one of so many layers is made, the methods' settings, and the usual batch and length. */
export const MODELS = {
  gpt2: { make: gpt2, configs: configs(['c_attn', 'c_proj', 'c_fc']), size: [4, 128] },
  vision: {
    make: vision,
    configs: configs(['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'], 'classifier'),
    size: [16, 1],
  },
} as const;
export type ModelName = keyof typeof MODELS;

/** The plan of a step. @param size examples, and tokens of each */
export async function plannedStep(
  name: ModelName,
  model: LoadedModel,
  method: Method,
  size: readonly [number, number] = MODELS[name].size,
): Promise<Plan> {
  const page = METHODS_BY_ID[method];
  const { config } = validateConfig(page, MODELS[name].configs[method]);
  const adapter = chooseAdapter(await loadMethod(page), config, model.targets, model.parameters).plan;
  const step = trainingGraph(
    model.build(...size),
    adapter,
    trainingSchema.parse({}),
    () => new Float32Array(0),
  );
  return schedule(fuse(step.graph), gpu);
}
