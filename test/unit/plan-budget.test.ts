/**
 * How many dispatches a training step makes on a GPU, and how much memory its temporaries take, counted from real plans without a GPU:
 * GPT-2's shape at 4 × 128 tokens and the embedded vision model at 16 pictures, each with four methods.
 *
 * BOUND holds what the plans need today and may only go down. AIM is where it shall go; OPEN names the aims that are not met yet, and
 * the test turns red once one of them is. Two depths are planned, and a layer is their difference.
 */
import { beforeAll, describe, expect, it } from 'vitest';
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

const METHODS = ['lora', 'boft', 'oft', 'fourierft'] as const;
type Method = (typeof METHODS)[number];

/** Depths that are planned. */
const DEPTHS = [2, 3] as const;
const GPT2_LAYERS = 12;

/** Dispatches per layer of GPT-2 with all the rest spread over its layers; of the vision model a layer, and the rest. */
interface Counts {
  readonly gpt2: number;
  readonly visionLayer: number;
  readonly visionRest: number;
}

const AIM = { gpt2: 30, visionLayer: 28, visionRest: 28, temporaries: 1.2 };

const BOUND: Readonly<Record<Method, Counts>> = {
  lora: { gpt2: 48.7, visionLayer: 59, visionRest: 22 },
  boft: { gpt2: 29.9, visionLayer: 35, visionRest: 39 },
  oft: { gpt2: 32.4, visionLayer: 38, visionRest: 31 },
  fourierft: { gpt2: 28, visionLayer: 33, visionRest: 36 },
};

/** Not met yet. */
const OPEN: ReadonlySet<string> = new Set([
  ...METHODS.map((method) => `vision ${method}`),
  ...['gpt2 lora', 'gpt2 oft'],
]);

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

const MODELS = {
  gpt2: {
    make: gpt2,
    configs: configs(['c_attn', 'c_proj', 'c_fc']),
    size: [4, 128] as const,
  },
  vision: {
    make: vision,
    configs: configs(['query', 'value', 'key', 'output.dense', 'mlp.fc1', 'mlp.fc2'], 'classifier'),
    size: [16, 1] as const,
  },
};
type Name = keyof typeof MODELS;

async function planned(name: Name, model: LoadedModel, method: Method): Promise<Plan> {
  const { size, configs } = MODELS[name];
  const page = METHODS_BY_ID[method];
  const { config } = validateConfig(page, configs[method]);
  const adapter = chooseAdapter(await loadMethod(page), config, model.targets, model.parameters).plan;
  const step = trainingGraph(
    model.build(size[0], size[1]),
    adapter,
    trainingSchema.parse({}),
    () => new Float32Array(0),
  );
  return schedule(fuse(step.graph), gpu);
}

interface Budget {
  readonly layer: number;
  readonly rest: number;
  /** Bytes of the pool of temporaries over the most that live at once. */
  readonly temporaries: number;
}

const dispatches = (plan: Plan): number => plan.steps.filter((s) => s.kind === 'dispatch').length;

const budgets = new Map<string, Budget>();

beforeAll(async () => {
  for (const name of Object.keys(MODELS) as Name[]) {
    const models = DEPTHS.map(MODELS[name].make);
    for (const method of METHODS) {
      const [short, long] = [
        await planned(name, models[0]!, method),
        await planned(name, models[1]!, method),
      ];
      const layer = dispatches(long) - dispatches(short);
      budgets.set(`${name} ${method}`, {
        layer,
        rest: dispatches(short) - DEPTHS[0] * layer,
        temporaries: long.temporaryBytes / long.liveBytes,
      });
    }
  }
  if (import.meta.env.VITE_SHOW_BUDGETS) console.table(Object.fromEntries(budgets));
}, 120_000);

const budget = (name: Name, method: Method): Budget => budgets.get(`${name} ${method}`)!;

describe.each(METHODS)('a training step with %s', (method) => {
  const counts = (): Counts => {
    const [gpt, vit] = [budget('gpt2', method), budget('vision', method)];
    return { gpt2: gpt.layer + gpt.rest / GPT2_LAYERS, visionLayer: vit.layer, visionRest: vit.rest };
  };
  const aim = (what: string) => (OPEN.has(what) ? it.fails : it);

  it('makes no more dispatches than before', () => {
    const { gpt2, visionLayer, visionRest } = counts();
    const bound = BOUND[method];
    expect(gpt2).toBeLessThanOrEqual(bound.gpt2);
    expect(visionLayer).toBeLessThanOrEqual(bound.visionLayer);
    expect(visionRest).toBeLessThanOrEqual(bound.visionRest);
  });

  aim(`gpt2 ${method}`)('makes as few dispatches as it shall on GPT-2', () => {
    expect(counts().gpt2).toBeLessThanOrEqual(AIM.gpt2);
  });

  aim(`vision ${method}`)('makes as few dispatches as it shall on the vision model', () => {
    expect(counts().visionLayer).toBeLessThanOrEqual(AIM.visionLayer);
    expect(counts().visionRest).toBeLessThanOrEqual(AIM.visionRest);
  });

  for (const name of ['gpt2', 'vision'] as const)
    aim(`temporaries ${name} ${method}`)(
      `has little more memory for temporaries than live at once: ${name}`,
      () => {
        expect(budget(name, method).temporaries).toBeLessThanOrEqual(AIM.temporaries);
      },
    );
});
