/**
 * Queries, keys and values of one input are computed as one: the same loss and the same gradients as each by itself, whatever adapts them and
 * whichever of them, from weights that lie on the device once. Seen to fail with: scales or biases of another sibling, columns in
 * another order, a second parameter beside the joint one.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { adaptGraph, emitTrainables, inject } from '../../src/adapters/inject.ts';
import { type AdapterPlan, chooseAdapter, initialValues } from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { readJoined, siblingsOf } from '../../src/adapters/siblings.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { schedule } from '../../src/graph/schedule.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import { baseCaps, type Graph, type Tensor, type Value } from '../../src/graph/types.ts';
import { rng, streamOf } from '../../src/lib/rng.ts';
import { loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import '../../src/ops/checks.ts';
import { fuse } from '../../src/ops/fuse.ts';
import { evaluationGraph, lossAndGradients } from '../../src/training/stepGraph.ts';
import { glyphsVit, glyphsVitDefaults } from '../../tools/pretrain/architectures/glyphsVit.ts';
import { withGraph } from './adapters-layers.ts';

const shape = {
  ...glyphsVitDefaults,
  imageSize: 8,
  patchSize: 4,
  width: 16,
  layers: 2,
  heads: 2,
  mlpRatio: 2,
};
const model = loadModel([{ name: 'model.onnx', bytes: encodeModel(glyphsVit({ ...shape, width: 64 })) }]);
const BATCH = 2;
const baseOf = (batch: number) => {
  const base = { ...model.build(batch, 1), loss: 'cross-entropy' as const };
  return { base, siblings: siblingsOf(base.graph) };
};
const few = baseOf(BATCH);
/** So many that FourierFT's spectra are cheaper as weights. */
const many = baseOf(8 * BATCH);
const { base, siblings } = few;
const parameters = new Map(model.parameters.map((p) => [p.name, p]));

const all = ['query', 'key', 'value', 'output.dense'];
type Case = readonly [name: string, method: keyof typeof METHODS, config: Record<string, unknown>];
/** With those whose siblings go together first. */
const TOGETHER: readonly Case[] = [
  ['lora', 'lora', { target_modules: all, r: 4 }],
  [
    'boft',
    'boft',
    { target_modules: all, boft_block_size: 4, boft_n_butterfly_factor: 2, boft_dropout: 0.2 },
  ],
  ['boft with biases', 'boft', { target_modules: all, boft_block_size: 4, bias: 'boft_only' }],
  ['oft', 'oft', { target_modules: all, oft_block_size: 16 }],
  ['oft, small blocks', 'oft', { target_modules: all, oft_block_size: 4 }],
  ['fourierft', 'fourierft', { target_modules: all, n_frequency: 1500 }],
  ['lora elsewhere', 'lora', { target_modules: ['mlp.fc1'], r: 4 }],
];
const APART: readonly Case[] = [
  ['lora on two of three', 'lora', { target_modules: ['query', 'value'], r: 4 }],
  ['lora with dropout', 'lora', { target_modules: all, r: 4, lora_dropout: 0.3 }],
  ['dora', 'lora', { target_modules: all, r: 4, use_dora: true }],
  ['one trained whole', 'lora', { target_modules: ['fc1'], r: 4, modules_to_save: ['key'] }],
  ['a bias trained by itself', 'boft', { target_modules: ['key'], boft_block_size: 4, bias: 'boft_only' }],
  ['vera', 'vera', { target_modules: ['query', 'key', 'value'], r: 8 }],
  ['loha', 'loha', { target_modules: all, r: 4 }],
];

function planOf([, method, config]: Case): AdapterPlan {
  const page = METHODS[method];
  return chooseAdapter(withGraph(page), validateConfig(page, config).config, model.targets, [
    ...parameters.values(),
  ]).plan;
}

/** Adapters that do something: at the identity a transpose would not show. */
function numbersOf(plan: AdapterPlan): Float32Array {
  const random = rng(5);
  return initialValues(plan, 1, parameters).map((v) => v + 0.1 * random.normal());
}

function feeds({ inputs }: Graph): Map<string, Tensor> {
  return new Map(
    inputs.map((v) => {
      const random = rng(2, streamOf(v.name));
      const draw = () => (v.dtype === 'i32' ? random.int(3) : random.uniform());
      return [v.name, { ...v, data: Float64Array.from({ length: sizeOf(v.shape) }, draw) }];
    }),
  );
}

const at = (plan: AdapterPlan) => (plan.method.id === 'fourierft' ? many : few);

function stepOf(plan: AdapterPlan, together: boolean): Graph {
  const g = createBuilder();
  const packed = numbersOf(plan);
  const { base, siblings } = at(plan);
  const { loss, gradients } = lossAndGradients(g, base, plan, 1, () => packed, together ? siblings : []);
  return g.finish({ loss, gradients });
}

const numbers = (graph: Graph): Record<string, readonly number[]> => {
  const values = interpret(graph, feeds(graph));
  return Object.fromEntries(Object.entries(graph.outputs).map(([k, v]) => [k, [...values.get(v).data]]));
};

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  const largest = Math.max(1e-6, ...expected.map(Math.abs));
  const off = actual.map((v, i) => Math.abs(v - expected[i]!) / largest);
  expect(actual).toHaveLength(expected.length);
  expect(Math.max(...off)).toBeLessThan(1e-9);
}

const parametersOf = (graph: Graph): readonly Value[] =>
  schedule(fuse(graph), baseCaps).buffers.flatMap(({ persistent: v }) =>
    (v as Value | undefined)?.role === 'parameter' ? [v as Value] : [],
  );
const namesOf = (graph: Graph) => parametersOf(graph).map(({ name }) => name);
const bytesOf = (graph: Graph) => parametersOf(graph).reduce((sum, v) => sum + 4 * sizeOf(v.shape), 0);
const dispatchesOf = (graph: Graph) =>
  schedule(fuse(graph), baseCaps).steps.filter(({ kind }) => kind === 'dispatch').length;

it('finds what the attentions of a vision model read', () => {
  const layer = (i: number) => `dinov2.encoder.layer.${i}.attention.attention`;
  expect(siblings.map(({ modules }) => modules)).toEqual(
    [0, 1].map((i) => ['query', 'key', 'value'].map((name) => `${layer(i)}.${name}`)),
  );
});

it('leaves alone what could not be bound by itself', () => {
  const small = loadModel([{ name: 'model.onnx', bytes: encodeModel(glyphsVit(shape)) }]);
  expect(siblingsOf(small.build(BATCH, 1).graph)).toEqual([]);
});

describe.each([...TOGETHER, ...APART])('%s', (...given) => {
  const plan = planOf(given);

  it('gives the loss and the gradients of layers by themselves', () => {
    const [apart, together] = [numbers(stepOf(plan, false)), numbers(stepOf(plan, true))];
    expectClose(together.loss!, apart.loss!);
    expectClose(together.gradients!, apart.gradients!);
    expectClose(numbers(fuse(stepOf(plan, true))).gradients!, apart.gradients!);
  });

  it('holds each weight once, in training and in both evaluations', () => {
    const graphs = [
      stepOf(plan, true),
      evaluationGraph(base, plan, () => numbersOf(plan), true),
      evaluationGraph(base, null, () => new Float32Array(), true),
    ];
    const names = new Set(graphs.flatMap(namesOf));
    const parts = siblings.flatMap(({ weight, bias }) => [weight, ...(bias ? [bias] : [])]);
    for (const { parts: own } of parts) for (const { name } of own) expect(names.has(name)).toBe(false);
    const alone = evaluationGraph(base, null, () => new Float32Array(), true, true);
    expect(bytesOf(graphs[2]!)).toBe(bytesOf(alone));
    expectClose(numbers(graphs[2]!).logits!, numbers(alone).logits!);
  });
});

it.each(TOGETHER)('takes fewer dispatches with %s', (...given) => {
  const plan = planOf(given);
  expect(dispatchesOf(stepOf(plan, true))).toBeLessThan(dispatchesOf(stepOf(plan, false)) - 4);
});

it('is read by what looks at a single layer', () => {
  const plan = planOf(TOGETHER[1]!);
  const packed = numbersOf(plan);
  const graph = adaptGraph(plan, parameters, () => packed, [siblings[1]!.modules[2]!]);
  const read = readJoined(graph, siblings);
  expect(numbers(read)).toEqual(numbers(graph));
  expect(namesOf(read)).not.toEqual(namesOf(graph));
  expect(namesOf(read)).toEqual(expect.arrayContaining([siblings[1]!.weight.name]));
});

it('is asked for by whoever injects: adapters emitted for it go into layers by themselves too', () => {
  const plan = planOf(TOGETHER[2]!);
  const packed = numbersOf(plan);
  const g = createBuilder();
  const options = { training: false, initial: () => packed, base: base.graph, siblings };
  const value = inject(base.graph, g, emitTrainables(g, plan, options));
  const apart = g.finish({ logits: value(base.logits) });
  const together = evaluationGraph(base, plan, () => packed, true);
  expectClose(numbers(apart).logits!, numbers(together).logits!);
});
