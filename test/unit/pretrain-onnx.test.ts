/** The training graphs of the embedded models, and of every method, as ONNX: onnxruntime's loss and gradients against the float64 interpreter. */
import { describe, expect, it } from 'vitest';
import { validateForRun } from '../../src/adapters/config.ts';
import { chooseAdapter, initialValues } from '../../src/adapters/plan.ts';
import { METHODS, methodById } from '../../src/adapters/registry.ts';
import { startConfig } from '../../src/adapters/start.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { checkOf } from '../../src/graph/interpret.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor, Value } from '../../src/graph/types.ts';
import type { FeedTensor } from '../../src/inference/session.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { toOnnx } from '../../src/onnxruntime/toOnnx.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/elementwise.ts';
import { adamwOp } from '../../src/ops/optimizers.ts';
import { type ScalarName, scalarFunctions } from '../../src/ops/scalar.ts';
import { sumSquares } from '../../src/ops/sumSquares.ts';
import { unary } from '../../src/ops/unary.ts';
import { applyAdamw } from '../../src/training/onnxruntimeUpdate.ts';
import { parity } from '../../src/training/parity.ts';
import { lossAndGradients } from '../../src/training/stepGraph.ts';
import {
  glyphsVit,
  glyphsVitConfig,
  glyphsVitDefaults,
} from '../../tools/pretrain/architectures/glyphsVit.ts';
import { talesGpt, talesGptConfig, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';
import { withGraph } from './adapters-layers.ts';

const BATCH = 3;
const SEQUENCE = 7;

interface Trained {
  readonly id: string;
  readonly config: Readonly<Record<string, unknown>>;
}
const everything: Trained = { id: 'full', config: {} };

function trainingOf(onnx: OnnxModel, config: Record<string, unknown>, { id, config: own }: Trained) {
  const bytes = new TextEncoder().encode(JSON.stringify(config));
  const model = loadModel([
    { name: 'model.onnx', bytes: encodeModel(onnx) },
    { name: 'config.json', bytes },
  ]);
  const method = methodById(id);
  const start = { ...model.targets, head: model.head };
  const { config: given } = startConfig(method, own, start, 'image-classification');
  const valid = validateForRun(method, given, 10).config;
  const { plan } = chooseAdapter(withGraph(method), valid, model.targets, model.parameters);
  const parameters = new Map(model.parameters.map((p) => [p.name, p]));
  const random = rng(5);
  const initial = initialValues(plan, 1, parameters).map((x) => x + 0.3 * random.normal());
  const g = createBuilder();
  const { loss, gradients } = lossAndGradients(g, model.build(BATCH, SEQUENCE), plan, 1, () => initial);
  return { graph: g.finish({ loss, gradients }), loss, gradients, initial };
}

type Data = Readonly<Record<string, readonly number[]>>;

async function compare(
  onnx: OnnxModel,
  config: Record<string, unknown>,
  data: Data,
  trained: Trained = everything,
) {
  const { graph, loss, gradients, initial } = trainingOf(onnx, config, trained);
  const tensors = new Map<string, Tensor>(
    graph.inputs.map((v) => [v.name, { ...v, data: Float64Array.from(data[v.name]!) }]),
  );
  const exact = interpret(graph, tensors);
  const { model, inputs } = toOnnx(graph);
  const session = await openSession(encodeModel(model), { providers: ['wasm'] });
  const given = ({ role, name, source }: Value) =>
    role === 'state' ? initial : role === 'parameter' ? (source!() as Float32Array) : data[name]!;
  const feeds: Record<string, FeedTensor> = {};
  for (const [name, v] of inputs) {
    const dtype = v.dtype === 'i32' ? 'int32' : 'float32';
    feeds[name] = { dtype, dims: v.shape, data: given(v) };
  }
  const ran = await session.run(feeds);
  await session.release();

  const expected = exact.get(gradients).data;
  const largest = expected.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  expect(largest).toBeGreaterThan(1e-3);
  const got = ran.gradients!.data;
  expect(got.length).toBe(expected.length);
  const worst = expected.reduce((m, x, i) => Math.max(m, Math.abs(x - got[i]!)), 0);
  expect(worst / largest).toBeLessThan(1e-4);
  const exactLoss = exact.get(loss).data[0]!;
  expect(Math.abs(ran.loss!.data[0]! - exactLoss) / exactLoss).toBeLessThan(1e-4);
}

const draw = (count: number, value: (i: number) => number) =>
  Array.from({ length: count }, (_, i) => value(i));

describe('training graphs as ONNX', { timeout: 60_000 }, () => {
  const picture = {
    ...glyphsVitDefaults,
    classes: 4,
    imageSize: 8,
    patchSize: 4,
    width: 24,
    layers: 2,
    heads: 3,
    mlpRatio: 2,
  };
  const pixels = rng(3);
  const seen = {
    pixel_values: draw(sizeOf([BATCH, 1, 8, 8]), () => pixels.normal()),
    labels: [2, -100, 0],
    lossScale: [0.5],
  };
  const told = glyphsVitConfig(picture, ['a', 'b', 'c', 'd']);

  it('give the loss and the gradients of the picture model', () => compare(glyphsVit(picture), told, seen));

  const adapting = Object.values(METHODS).filter((m) => m.targets === 'required');
  it.each(adapting.map((m) => [m.id, m] as const))('give those of %s', (id) =>
    compare(glyphsVit(picture), told, seen, {
      id,
      config: {
        target_modules: ['query', 'fc1'],
        modules_to_save: ['classifier'],
        ...(id === 'ia3' ? { feedforward_modules: ['fc1'] } : {}),
      },
    }),
  );

  it('give the loss and the gradients of the language model, with heads that share keys', async () => {
    const options = {
      ...talesGptDefaults,
      vocabulary: 11,
      width: 16,
      feedForward: 20,
      layers: 2,
      heads: 4,
      kvHeads: 2,
    };
    const random = rng(4);
    const ids = draw(BATCH * SEQUENCE, () => random.int(11));
    await compare(talesGpt(options), talesGptConfig(options), {
      input_ids: ids,
      labels: ids.map((_, i) => (i % SEQUENCE === SEQUENCE - 1 ? -100 : ids[i + 1]!)),
      lossScale: [1 / 18],
    });
  });

  it('name the op that has no translation', () => {
    const g = createBuilder();
    const y = sumSquares(g, g.input('x', { dtype: 'f32', shape: [3] }));
    expect(() => toOnnx(g.finish({ y }))).toThrow(/op sumSquares has no translation/);
  });

  it('say every scalar function and its slope', async () => {
    for (const [fn, { range, slope }] of Object.entries(scalarFunctions)) {
      if (fn === 'none') continue;
      const g = createBuilder();
      const x = g.input('x', { dtype: 'f32', shape: [9] });
      const y = unary(g, x, { fn: fn as Exclude<ScalarName, 'none'> });
      const seed = g.constant(y, new Float32Array(9).fill(1));
      const d = slope && differentiate(g, { of: y, seed, wrt: [x], sum: addN }).get(x);
      const graph = g.finish(d && d !== seed ? { y, d } : { y });
      const [low, high] = range;
      const data = Float32Array.from({ length: 9 }, (_, i) => low + ((high - low) * (i + 0.4)) / 9);
      const expected = interpret(
        graph,
        new Map([['x', { dtype: 'f32', shape: [9], data: Float64Array.from(data) }]]),
      );
      const { model, inputs } = toOnnx(graph);
      const ort = await openSession(encodeModel(model), { providers: ['wasm'] });
      const feeds = [...inputs.keys()].map((name) => [name, { dtype: 'float32', dims: [9], data }] as const);
      const got = await ort.run(Object.fromEntries(feeds));
      await ort.release();
      for (const [name, v] of Object.entries(graph.outputs))
        expect(parity(got[name]!.data, expected.get(v).data).maxRel, `${fn} ${name}`).toBeLessThan(1e-5);
    }
  });
});

describe('AdamW on the CPU', () => {
  const size = 50;
  const random = rng(9);
  const drawn = (value: () => number) => Float32Array.from({ length: size }, value);
  const scalars = Float32Array.of(0.01, 0.271, 0.002997, 0.9, 0.999, 1e-8, 0.1, 0.5, ...new Array(8).fill(0));
  const tensor = (data: Float32Array): Tensor => ({
    dtype: 'f32',
    shape: [data.length],
    data: Float64Array.from(data),
  });
  const buffers = (grads: Float32Array) => ({
    params: drawn(() => random.normal()),
    grads,
    m: drawn(() => random.normal()),
    v: drawn(() => random.uniform()),
  });

  it('is the update of the op adamw, with clipping and weight decay', () => {
    const b = buffers(drawn(() => random.normal()));
    const normSquared = b.grads.reduce((s, x) => s + x * x, 0);
    const operands = [b.params, b.grads, b.m, b.v, scalars, Float32Array.of(normSquared)];
    const [norm, ...expected] = checkOf(adamwOp).reference(operands.map(tensor), {});
    expect(norm!.data[0]! / normSquared).toBeCloseTo(1, 5);
    expect(applyAdamw(b, scalars) / normSquared).toBeCloseTo(1, 5);
    [b.params, b.m, b.v].forEach((got, k) => {
      got.forEach((x, i) => {
        expect(x).toBeCloseTo(expected[k]!.data[i]!, 5);
      });
    });
  });

  it('changes nothing when a gradient is not a number', () => {
    const b = buffers(new Float32Array(size).fill(Number.NaN));
    const before = b.params.slice();
    expect(applyAdamw(b, scalars)).toBeNaN();
    expect(b.params).toEqual(before);
  });
});
