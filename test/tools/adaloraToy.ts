/** A network of three layers under AdaLoRA, tanh between them: its numbers, and it as a graph. adaloraLoops.ts is the same as plain loops. */
import { validateConfig } from '../../src/adapters/config.ts';
import { type AdapterPlan, planAdapter } from '../../src/adapters/plan.ts';
import { methodById } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { rng } from '../../src/lib/rng.ts';
import { linear, unary, view } from '../../src/ops/index.ts';
import type { FullBatch } from '../../src/training/batchPlan.ts';
import { type TrainingSettings, trainingSchema } from '../../src/training/settings.ts';
import type { BaseGraph } from '../../src/training/stepGraph.ts';
import { withGraph } from '../unit/adapters-layers.ts';

export type Matrix = number[][];

export const SIZES = [9, 9, 9, 5] as const;
export const EXAMPLES = 8;
export const STEPS = 30;
const NAMES = ['fc1', 'fc2', 'fc3'] as const;

export const toyConfig = {
  target_modules: [...NAMES],
  init_r: 4,
  target_r: 2,
  tinit: 4,
  tfinal: 6,
  deltaT: 3,
  total_step: STEPS,
  beta1: 0.7,
  beta2: 0.8,
  lora_alpha: 6,
  orth_reg_weight: 0.2,
};

export const toySettings = (over: Partial<TrainingSettings> = {}): TrainingSettings =>
  trainingSchema.parse({
    learningRate: 0.03,
    schedule: 'constant',
    warmupSteps: 0,
    weightDecay: 0.01,
    maxGradNorm: 0.2,
    batchSize: EXAMPLES,
    steps: STEPS,
    evalEvery: 0,
    ...over,
  });

// ---- numbers ----------------------------------------------------------------------------------------------------------

const random = (seed: number, rows: number, columns: number, size: number): Matrix => {
  const draw = rng(seed, 5);
  return Array.from({ length: rows }, () =>
    Array.from({ length: columns }, () => Math.fround(size * draw.normal())),
  );
};
const flat = (m: Matrix): Float32Array => Float32Array.from(m.flat());

export interface Layer {
  readonly W: Matrix;
  readonly b: number[];
  A: Matrix;
  E: number[];
  B: Matrix;
}

export const start = (): Layer[] =>
  NAMES.map((_, i) => {
    const [inputs, out] = [SIZES[i]!, SIZES[i + 1]!];
    const r = toyConfig.init_r;
    return {
      W: random(10 + i, out, inputs, 0.4),
      b: random(20 + i, 1, out, 0.1)[0]!,
      A: random(30 + i, r, inputs, 0.2),
      E: random(40 + i, 1, r, 0.2)[0]!,
      B: random(50 + i, out, r, 0.2),
    };
  });
export const x = random(60, EXAMPLES, SIZES[0], 1);
export const target = random(61, EXAMPLES, SIZES[3], 1);

// ---- the house's side -------------------------------------------------------------------------------------------------

/** The frozen network for batches of `size` examples. */
export function toyBase(size: number): BaseGraph {
  const g = createBuilder();
  let h = g.input('x', { dtype: 'f32', shape: [size, SIZES[0]] });
  start().forEach(({ W, b }, i) => {
    const name = NAMES[i]!;
    const weight = g.parameter(`${name}.weight`, { dtype: 'f32', shape: [b.length, W[0]!.length] }, () =>
      flat(W),
    );
    const bias = g.parameter(`${name}.bias`, { dtype: 'f32', shape: [b.length] }, () => Float32Array.from(b));
    const y = linear(g, h, weight, bias, { module: name });
    h = i < 2 ? unary(g, y, { fn: 'tanh' }) : y;
  });
  const logits = view(g, h, [size * SIZES[3], 1]);
  return { graph: g.finish({ logits }), logits, loss: 'squared-error' };
}

export function toyPlan(): AdapterPlan {
  const method = methodById('adalora');
  const { config } = validateConfig(method, toyConfig);
  const layers = NAMES.map((name, i) => ({
    name,
    kind: 'linear' as const,
    in: SIZES[i]!,
    out: SIZES[i + 1]!,
    hasBias: true,
  }));
  return planAdapter(withGraph(method), config, layers, []);
}

/** The packed buffer at the start. */
export function toyInitial(plan: AdapterPlan): Float32Array {
  const packed = new Float32Array(plan.size);
  const layers = start();
  for (const group of plan.groups) {
    for (const { spec, offset, shape } of group.tensors) {
      const size = shape.slice(1).reduce((n, d) => n * d, 1);
      group.layers.forEach(({ name }, i) => {
        const own = layers[NAMES.indexOf(name as (typeof NAMES)[number])]!;
        const data = spec.name === 'lora_A' ? own.A.flat() : spec.name === 'lora_B' ? own.B.flat() : own.E;
        packed.set(data, offset + i * size);
      });
    }
  }
  return packed;
}

/** All examples in `parts` batches. */
export function toyBatches(parts: number): FullBatch[] {
  const size = EXAMPLES / parts;
  return Array.from({ length: parts }, (_, p) => {
    const values = flat(target.slice(p * size, (p + 1) * size));
    const labels = new Float32Array(2 * values.length).fill(1);
    labels.set(values);
    return {
      inputs: { x: { shape: [size, SIZES[0]], data: flat(x.slice(p * size, (p + 1) * size)) } },
      labels,
      count: size,
      validLabels: values.length,
    } as unknown as FullBatch;
  });
}
