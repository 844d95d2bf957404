/**
 * Training against figures that PEFT and torch.optim computed: optimiser steps on y = fc2(tanh(fc1(x))) with the mean squared error, by the
 * engine that runs train with: losses, the adapter afterwards, what it gives and what merging writes.
 */
import { validateConfig } from '../../../src/adapters/config.ts';
import { adaptGraph, TRAINABLE } from '../../../src/adapters/inject.ts';
import {
  type BaseParameter,
  initialValues,
  loadMethod,
  moduleTensors,
  planAdapter,
} from '../../../src/adapters/plan.ts';
import { methodByPeftType } from '../../../src/adapters/registry.ts';
import type { AdapterTensor, Layer } from '../../../src/adapters/types.ts';
import type { Device } from '../../../src/gpu/device.ts';
import { createBuilder } from '../../../src/graph/builder.ts';
import { fail } from '../../../src/lib/errors.ts';
import { linear } from '../../../src/ops/linear.ts';
import { view } from '../../../src/ops/moves.ts';
import { unary } from '../../../src/ops/unary.ts';
import type { FullBatch } from '../../../src/training/batchPlan.ts';
import { createEngine } from '../../../src/training/engine.ts';
import { type TrainingSettings, trainingSchema } from '../../../src/training/settings.ts';
import type { BaseGraph } from '../../../src/training/stepGraph.ts';
import { type CaseTensor, compare, type Deviation } from './case.ts';

interface TrainCase {
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly base: Readonly<Record<string, CaseTensor>>;
  readonly x: CaseTensor;
  readonly target: CaseTensor;
  readonly adapter_init: Readonly<Record<string, CaseTensor>>;
  readonly optimizer: {
    readonly name: string;
    readonly args: {
      readonly lr: number;
      readonly betas?: readonly [number, number];
      readonly eps?: number;
      readonly weight_decay?: number;
      readonly momentum?: number;
    };
  };
  readonly steps: number;
  readonly expected: {
    /** Before each step, and after the last. */
    readonly losses: readonly number[];
    readonly adapter_final: Readonly<Record<string, CaseTensor>>;
    readonly y_final: CaseTensor;
    readonly merged_fc1_weight: CaseTensor;
    readonly merged_fc2_weight: CaseTensor;
  };
}

const MODULES = ['fc1', 'fc2'] as const;
const PREFIX = 'base_model.model.';
const SHARED_PREFIX = 'base_model.';

const dataOf = (t: CaseTensor): Float32Array => Float32Array.from(t.data);

/**
 * Runs one file of figures.
 * @param figures its parsed JSON
 * @throws PapilioError 'bad-data' if it is none; as validating and planning an adapter do
 */
export async function checkPeftTrain(device: Device, figures: unknown): Promise<readonly Deviation[]> {
  const c = requireCase(figures);
  const method =
    methodByPeftType(c.method) ?? fail('unsupported-adapter', `${c.method} is not supported yet.`);
  const { config } = validateConfig(method, c.config);
  const { tensors, shared } = sorted(c.adapter_init);
  const read = method.onRead(config, tensors, null, shared);
  const layers = MODULES.map((name): Layer => {
    const [out, inputs] = c.base[`${name}.weight`]!.shape as [number, number];
    return { name, kind: 'linear', in: inputs, out, hasBias: c.base[`${name}.bias`] !== undefined };
  });
  const parameters = new Map(
    Object.entries(c.base).map(([name, t]): [string, BaseParameter] => [
      name,
      { name, shape: t.shape, load: () => dataOf(t) },
    ]),
  );
  const plan = planAdapter(await loadMethod(method), read.config, layers, [], shared);
  const initial = () => initialValues(plan, 0, parameters, { tensors, parameters: new Map() });
  const base = network(c, layers);
  const settings = settingsOf(c);
  const engine = await createEngine({
    device,
    build: () => base,
    plan,
    settings,
    totalSteps: c.steps,
    initial,
    onCompile: () => {},
  });
  try {
    const losses: number[] = [];
    engine.onResult(({ loss }) => losses.push(loss));
    const batch = wholeBatch(c);
    for (let step = 0; step < c.steps; step++) await engine.train(step, [batch]);
    await engine.settle();
    const last = await engine.evaluate('adapted', batch, true);
    losses.push(last.loss / batch.validLabels);
    const trained = moduleTensors(plan, await engine.readState(TRAINABLE));
    const merged = await engine.once(adaptGraph(plan, parameters, initial));

    const { expected } = c;
    return [
      compare('losses', losses, expected.losses),
      ...Object.entries(expected.adapter_final).map(([name, t]) => {
        const [module, param] = placeOf(name)!;
        return compare(name, trained.get(module)?.get(param)?.data ?? [], t.data);
      }),
      compare('y', last.logits!, expected.y_final.data),
      ...MODULES.map((name) =>
        compare(
          `merged ${name}.weight`,
          merged[`${name}.weight`] ?? [],
          expected[`merged_${name}_weight`].data,
        ),
      ),
    ];
  } finally {
    await engine.close();
  }
}

function requireCase(figures: unknown): TrainCase {
  const c = figures as Partial<TrainCase> | null;
  const isCase =
    typeof c === 'object' &&
    c !== null &&
    typeof c.method === 'string' &&
    c.base !== undefined &&
    c.adapter_init !== undefined &&
    c.optimizer !== undefined &&
    c.expected?.losses !== undefined;
  return isCase
    ? (c as TrainCase)
    : fail(
        'bad-data',
        'The file holds no training figures: it needs method, config, base, x, target, adapter_init, optimizer, steps and expected.',
      );
}

/** `fc1` and `lora_A.weight` of `base_model.model.fc1.lora_A.weight`; null for what belongs to no module. */
function placeOf(name: string): readonly [module: string, param: string] | null {
  if (!name.startsWith(PREFIX)) return null;
  const path = name.slice(PREFIX.length);
  const dot = path.indexOf('.');
  return [path.slice(0, dot), path.slice(dot + 1)];
}

function sorted(adapter: TrainCase['adapter_init']) {
  const tensors = new Map<string, Map<string, AdapterTensor>>();
  const shared = new Map<string, AdapterTensor>();
  for (const [name, t] of Object.entries(adapter)) {
    const place = placeOf(name);
    const tensor = { shape: t.shape, data: dataOf(t) };
    if (!place) shared.set(name.slice(SHARED_PREFIX.length), tensor);
    else {
      const params = tensors.get(place[0]) ?? new Map<string, AdapterTensor>();
      tensors.set(place[0], params.set(place[1], tensor));
    }
  }
  return { tensors, shared };
}

/** The network with one output per row, as the squared error counts them. */
function network(c: TrainCase, layers: readonly Layer[]): BaseGraph {
  const g = createBuilder();
  let h = g.input('x', { dtype: 'f32', shape: c.x.shape });
  for (const { name: module } of layers) {
    const parameter = (name: string) => {
      const t = c.base[name];
      return t ? g.parameter(name, { dtype: 'f32', shape: t.shape }, () => dataOf(t)) : null;
    };
    const y = linear(g, h, parameter(`${module}.weight`)!, parameter(`${module}.bias`), { module });
    h = module === 'fc1' ? unary(g, y, { fn: 'tanh' }) : y;
  }
  const logits = view(g, h, [c.target.data.length, 1]);
  return { graph: g.finish({ logits }), logits, loss: 'squared-error' };
}

function wholeBatch({ x, target }: TrainCase): FullBatch {
  const count = target.data.length;
  const labels = new Float32Array(2 * count).fill(1);
  labels.set(target.data);
  return {
    inputs: { x: { dtype: 'float32', shape: x.shape, data: dataOf(x) } },
    labels,
    count: x.shape[0]!,
    validLabels: count,
    tokens: count,
  };
}

function settingsOf({ x, optimizer: { name, args }, steps }: TrainCase): TrainingSettings {
  const [beta1, beta2] = args.betas ?? [0.9, 0.999];
  return trainingSchema.parse({
    optimizer: name.toLowerCase(),
    learningRate: args.lr,
    schedule: 'constant',
    warmupSteps: 0,
    beta1,
    beta2,
    epsilon: args.eps ?? 1e-8,
    weightDecay: args.weight_decay ?? 0,
    momentum: args.momentum ?? 0,
    maxGradNorm: 0,
    batchSize: x.shape[0],
    steps,
  });
}
