/** Parameters of one number: what the file names so is trained and merged under PyTorch's name, constants of formulas stay constants. */
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import {
  chooseAdapter,
  initialValues,
  moduleTensors,
  savedParameters,
  sharedOf,
} from '../../src/adapters/plan.ts';
import { METHODS } from '../../src/adapters/registry.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { namesScalar } from '../../src/models/import/names.ts';
import { loadModel } from '../../src/models/load.ts';
import { mergeWeights } from '../../src/models/merge.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { makeTensor, tensorToNumbers } from '../../src/onnx/tensor.ts';
import type { OnnxDType, OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { addN } from '../../src/ops/index.ts';
import { parity } from '../../src/training/parity.ts';
import { withGraph } from './adapters-layers.ts';

const [B, S, D] = [2, 3, 4];
const random = rng(71);
const numbers = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.normal());
const x = numbers(B * S * D);

/** Scalars by PyTorch's name: shape and number. */
const SCALARS = new Map<string, readonly [readonly number[], number]>([
  ['logit_scale', [[], 0.5]],
  ['vision.temperature', [[1], 1.5]],
  ['blocks.0.ls1.gamma', [[1], 0.25]],
  ['blocks.1.ls1.gamma', [[], 0.75]],
  ['blocks.1.ls2.gamma', [[], 0.75]],
  ['blocks.1.act.weight', [[1], 0.125]],
]);

/** A tower with scaled layers, and two sorts of scores that one learned scale multiplies. */
function tower(dtype: OnnxDType = 'float32'): OnnxModel {
  const g = graphBuilder({ opset: 17 });
  const put = (name: string, dims: readonly number[], data: ArrayLike<number>): string =>
    g.initializer(makeTensor(name, dtype, dims, data));
  const scalar = (name: string): string => {
    const [dims, value] = SCALARS.get(name)!;
    return put(name, dims, [value]);
  };
  const at = (name: string) => ({ name });
  const matrix = (name: string): string => put(name, [D, D], numbers(D * D));
  let h = g.input('x', 'float32', ['batch', S, D]);
  if (dtype !== 'float32') h = g.op('Cast', [h], { to: 10 });
  // x / √(mean(x²) + eps), and factors of no name that a module would have.
  const square = g.op('Pow', [h, g.constant(makeTensor('body.power', dtype, [], [2]))], {}, at('/norm/Pow'));
  const mean = g.op('ReduceMean', [square], { axes: [-1], keepdims: 1 }, at('/norm/ReduceMean'));
  const root = g.op('Sqrt', [g.op('Add', [mean, put('norm.eps', [], [1e-3])], {}, at('/norm/Add'))]);
  h = g.op('Div', [h, root], {}, at('/norm/Div'));
  h = g.op('Mul', [h, put('onnx::Mul_31', [], [1.25])], {}, at('/Mul'));
  h = g.op('Mul', [h, put('val_7', [1], [0.875])]);
  h = g.op('Mul', [h, put('scalar_tensor_default_2', [], [1.125])]);
  const branch = g.op('MatMul', [h, matrix('onnx::MatMul_40')], {}, at('/blocks.0/fc/MatMul'));
  h = g.op('Add', [h, g.op('Mul', [branch, scalar('blocks.0.ls1.gamma')], {}, at('/blocks.0/ls1/Mul'))]);
  const [up, down] = ['onnx::MatMul_41', 'onnx::MatMul_42'].map(matrix) as [string, string];
  const first = scalar('blocks.1.ls1.gamma');
  // What is equal is stored once, and an Identity gives it its name back.
  const second = g.op('Identity', [first], {}, { name: 'Identity_3', outputs: ['blocks.1.ls2.gamma'] });
  const a = g.op('MatMul', [h, up], {}, at('/blocks.1/up/MatMul'));
  const scaled = g.op('Mul', [first, a], {}, at('/blocks.1/ls1/Mul'));
  const act = g.op('Sub', [scaled, scalar('blocks.1.act.weight')], {}, at('/blocks.1/act/Sub'));
  const b = g.op('MatMul', [act, down], {}, at('/blocks.1/down/MatMul'));
  h = g.op('Add', [h, g.op('Mul', [b, second], {}, at('/blocks.1/ls2/Mul'))], {}, at('/blocks.1/Add'));
  h = g.op('Div', [h, scalar('vision.temperature')], {}, at('/vision/Div'));
  const learned = scalar('logit_scale');
  const scores = [0, 1].map((i) => {
    const rows = g.op('Transpose', [h], { perm: [0, 2, 1] });
    const dots = g.op('MatMul', i === 0 ? [h, rows] : [h, g.op('Tanh', [rows])]);
    return g.op('Mul', [dots, g.op('Exp', [learned], {}, at(`/Exp_${i}`))], {}, at(`/Mul_${i}`));
  });
  let out = g.op('Add', scores as [string, string]);
  if (dtype !== 'float32') out = g.op('Cast', [out], { to: 1 });
  g.output(out, 'float32', ['batch', S, S], 'logits');
  return g.build();
}

function built(onnx: OnnxModel) {
  const imported = importModel(onnx);
  const g = createBuilder();
  const { outputs } = imported.build(g, { batch: B }, { data: ['x'] });
  const feeds = new Map([['x', { dtype: 'f32' as const, shape: [B, S, D], data: Float64Array.from(x) }]]);
  return { imported, g, logits: outputs.logits!, feeds };
}

function answers(onnx: OnnxModel): Float64Array {
  const { g, logits, feeds } = built(onnx);
  return Float64Array.from(interpret(g.finish({ logits }), feeds).get(logits).data);
}

async function inRuntime(onnx: OnnxModel): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(onnx), { providers: ['wasm'] });
  const { logits } = await session.run({ x: { dtype: 'float32', dims: [B, S, D], data: x } }, ['logits']);
  await session.release();
  return logits!.data;
}

/** The model with one parameter moved, through merging. */
const withMoved = (onnx: OnnxModel, name: string, to: number): OnnxModel =>
  mergeWeights(onnx, importModel(onnx).modules, new Map([[name, Float32Array.of(to)]])).onnx;

describe.each(['float32', 'float16'] as const)('parameters of one number, %s', (dtype) => {
  const onnx = tower(dtype);

  test('have PyTorch’s names, and constants are none', () => {
    const parameters = importModel(onnx).modules.flatMap((m) => Object.values(m.parameters));
    const found = parameters.filter(({ tensor }) => tensor.size === 1).map((p) => p.torch ?? p.value);
    expect(found.sort()).toEqual([...SCALARS.keys()].sort());
    const files = [{ name: 'model.onnx', bytes: encodeModel(onnx) }];
    const trainable = loadModel(files).parameters.map(({ name }) => name);
    expect(trainable).toEqual(expect.arrayContaining([...SCALARS.keys()]));
  });

  test('are trained by full, and its file holds them in their shape', () => {
    const model = loadModel([{ name: 'model.onnx', bytes: encodeModel(onnx) }]);
    const method = METHODS.full;
    const { config } = validateConfig(method, {});
    const { plan } = chooseAdapter(withGraph(method), config, model.targets, model.parameters);
    const given = new Map(model.parameters.map((p) => [p.name, p]));
    const packed = initialValues(plan, 1, given).map((v) => v + 0.5);
    const files = writeAdapter({
      ...{ method, config, tensors: moduleTensors(plan, packed) },
      ...{ parameters: savedParameters(plan, packed), shared: sharedOf(plan) },
    });
    const { parameters } = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
    for (const [name, [shape, value]] of SCALARS)
      expect([name, parameters.get(name)?.shape, parameters.get(name)?.data[0]]).toEqual([
        name,
        shape,
        value + 0.5,
      ]);
  });

  test('have gradients: the slopes of the answers', () => {
    const { g, logits, feeds } = built(onnx);
    const parameters = [...new Set(g.nodes.flatMap((n) => n.inputs))].filter((v) => SCALARS.has(v.name));
    expect(parameters.map(({ name, shape }) => [name, shape]).sort()).toEqual(
      [...SCALARS].map(([name, [shape]]) => [name, shape]).sort(),
    );
    const weights = Float32Array.from({ length: B * S * S }, (_, i) => Math.cos(i));
    const seed = g.constant(logits, weights);
    const found = [...differentiate(g, { of: logits, seed, wrt: parameters, sum: addN })];
    const result = interpret(g.finish(Object.fromEntries(found.map(([v, d]) => [v.name, d]))), feeds);
    const loss = (m: OnnxModel): number => answers(m).reduce((sum, v, i) => sum + v * weights[i]!, 0);
    for (const [v, d] of found) {
      const [, value] = SCALARS.get(v.name)!;
      const h = 2 ** -8;
      const slope =
        (loss(withMoved(onnx, v.name, value + h)) - loss(withMoved(onnx, v.name, value - h))) / (2 * h);
      expect(result.get(d).data[0]! / slope, v.name).toBeCloseTo(1, 3);
    }
  });

  test.each([...SCALARS.keys()])('merging writes %s and nothing else', async (name) => {
    const merged = withMoved(onnx, name, 1.75);
    const again = importModel(merged).modules.flatMap((m) => Object.values(m.parameters));
    for (const p of again.filter(({ tensor }) => tensor.size === 1)) {
      // What leaves a tensor that the file stores once has a new name there: the old one is taken.
      const own = p.value.replace(/gamma_\d+$/, 'gamma');
      const [shape, value] = SCALARS.get(own)!;
      expect(p.tensor.dims, p.value).toEqual(shape);
      expect(p.tensor.dtype).toBe(dtype);
      expect([...tensorToNumbers(p.tensor)], p.value).toEqual([own === name ? 1.75 : value]);
    }
    expect(parity(answers(merged), answers(onnx)).maxRel).toBeGreaterThan(1e-3);
    const bound = dtype === 'float32' ? 1e-5 : 2e-2;
    expect(parity(await inRuntime(merged), answers(merged)).maxRel).toBeLessThan(bound);
  });
});

test('the scale of codes is no parameter', () => {
  const g = graphBuilder({ opset: 17 });
  const h = g.input('x', 'float32', ['batch', S, D]);
  const codes = makeTensor(
    'encoder.fc.weight_quantized',
    'int8',
    [D, D],
    Array.from({ length: D * D }, (_, i) => ((i * 37) % 200) - 100),
  );
  const product = g.ops(3, 'DynamicQuantizeLinear', [h]) as [string, string, string];
  const sums = g.op('MatMulInteger', [
    product[0],
    g.initializer(codes),
    product[2],
    g.initializer(makeTensor('encoder.fc.weight_zero_point', 'int8', [], [0])),
  ]);
  const scale = g.weight('encoder.fc.weight_scale', [], [0.01]);
  const y = g.op('Mul', [g.op('Cast', [sums], { to: 1 }), g.op('Mul', [product[1], scale])]);
  const static8 = g.op('DequantizeLinear', [
    g.op('QuantizeLinear', [
      y,
      g.weight('encoder.act_step', [], [0.05]),
      g.initializer(makeTensor('encoder.act_zero', 'uint8', [], [128])),
    ]),
    'encoder.act_step',
    'encoder.act_zero',
  ]);
  g.output(static8, 'float32', ['batch', S, D], 'logits');
  const names = importModel(g.build()).modules.flatMap((m) =>
    Object.values(m.parameters).map((p) => p.value),
  );
  expect(names).toEqual(['encoder.fc.weight']);
});

test.each([
  ...['logit_scale', 'temperature', 'clip.logit_scale', 'model.layers.3.alpha', 'log_temperature', 'beta'],
  ...['logit_bias', 'gamma1', 'head.weight', 'tau', 'scale', 'layers.0.mixer.skip', 'residual_scale'],
])('%s names a parameter', (name) => {
  expect(namesScalar(name, 0.3)).toBe(true);
});

test.each([
  ...[
    'onnx::Mul_12',
    'val_3',
    '1432',
    'eps',
    'norm.eps',
    'layer_norm_eps',
    'scalar_tensor_default',
    'full_like',
  ],
  ...[
    '/model/Constant_output_0',
    'Constant_12',
    'const_fold_opt__12',
    'mul_3',
    '_to_copy',
    'lift_fresh_copy_1',
  ],
  ...['mask_filter_value', 'neg_inf', 'one', 'rsqrt_2', 'scalar', '_tensor_constant0', 'pow_1', 'yes', 'no'],
])('%s names a constant', (name) => {
  expect(namesScalar(name, 0.3)).toBe(false);
});

test('the factor of attention scores is a constant', () => {
  for (const n of [8, 12, 64]) {
    expect(namesScalar('scale', Math.fround(1 / Math.sqrt(n)))).toBe(false);
    expect(namesScalar('attn_scale', Math.fround(Math.sqrt(n)))).toBe(false);
    expect(namesScalar('logit_scale', Math.fround(Math.sqrt(n)))).toBe(true);
  }
});
