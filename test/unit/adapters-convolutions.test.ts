/**
 * Convolutions: the tensors' shapes as PEFT stores them, and adapted kernels against PEFT's formulas written out over channels and the
 * kernel's rows and columns. Which layers are refused, and that a loaded model tells its kernels.
 * Seen to fail: a channel's factor spread in the other order, LoKr splitting channels·kh·kw, BOFT's weight transposed, LoRA's B without
 * the two axes of size one, a kernel that the model does not tell.
 */
import { describe, expect, it } from 'vitest';
import { validateConfig } from '../../src/adapters/config.ts';
import { adaptGraph, emitTrainables, TRAINABLE } from '../../src/adapters/inject.ts';
import { type AdapterPlan, moduleTensors, planAdapter } from '../../src/adapters/plan.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import type { Layer } from '../../src/adapters/types.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { loadModel } from '../../src/models/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { interpret } from '../../src/ops/checks.ts';
import {
  glyphsVit,
  glyphsVitConfig,
  glyphsVitDefaults,
} from '../../tools/pretrain/architectures/glyphsVit.ts';
import { distance, draw, randomState, tensor, withGraph } from './adapters-layers.ts';

const [OUT, CHANNELS, KH, KW] = [6, 4, 3, 2] as const;
const AREA = KH * KW;
const IN = CHANNELS * AREA;
const conv = (kernel: readonly [number, number], channels: number): Layer => ({
  name: 'patch',
  kind: 'conv2d',
  in: channels * kernel[0] * kernel[1],
  out: OUT,
  hasBias: true,
  kernel,
});
const patch = conv([KH, KW], CHANNELS);
const square = conv([2, 2], CHANNELS);

function opened(id: MethodId, settings: Record<string, unknown>, layer: Layer = patch) {
  const method = METHODS[id];
  const { config } = validateConfig(method, { target_modules: ['patch'], ...settings });
  expect(method.check(layer, config)).toBeNull();
  const plan = planAdapter(withGraph(method), config, [layer], []);
  const state = randomState(plan, 8);
  const W = Float32Array.from(draw(1, OUT * layer.in));
  const bias = Float32Array.from(draw(2, OUT));
  const parameters = new Map([
    ['patch.weight', { name: 'patch.weight', shape: [OUT, layer.in], load: () => W }],
    ['patch.bias', { name: 'patch.bias', shape: [OUT], load: () => bias }],
  ]);
  const graph = adaptGraph(plan, parameters, () => Float32Array.from(state));
  const run = interpret(graph, new Map([[TRAINABLE, tensor([plan.size], state)]]));
  const got = (name: string) => {
    const value = graph.outputs[`patch.${name}`];
    return value ? run.get(value).data : null;
  };
  return {
    plan,
    state,
    W,
    bias,
    weight: got('weight')!,
    changedBias: got('bias'),
    tensors: own(plan, state),
  };
}

/** What the file would hold, in float64. */
function own(plan: AdapterPlan, state: Float64Array) {
  const named = moduleTensors(plan, Float32Array.from(state)).get('patch')!;
  return (name: string) => ({ shape: named.get(name)!.shape, data: named.get(name)!.data });
}

/** A kernel entry by entry: `at(o, c, q)`, q counting the kernel's points by rows. */
function kernelOf(at: (o: number, c: number, q: number) => number): Float64Array {
  const data = new Float64Array(OUT * IN);
  for (let o = 0; o < OUT; o++)
    for (let c = 0; c < CHANNELS; c++)
      for (let q = 0; q < AREA; q++) data[(o * CHANNELS + c) * AREA + q] = at(o, c, q);
  return data;
}

describe('adapted kernels', () => {
  it('of LoRA: a convolution to r channels, then one of a single point', () => {
    const { W, weight, tensors } = opened('lora', { r: 2, lora_alpha: 6 });
    const A = tensors('lora_A.weight');
    const B = tensors('lora_B.weight');
    expect([A.shape, B.shape]).toEqual([
      [2, CHANNELS, KH, KW],
      [OUT, 2, 1, 1],
    ]);
    const expected = kernelOf((o, c, q) => {
      let sum = W[(o * CHANNELS + c) * AREA + q]!;
      for (let k = 0; k < 2; k++) sum += 3 * B.data[o * 2 + k]! * A.data[(k * CHANNELS + c) * AREA + q]!;
      return sum;
    });
    expect(distance(weight, expected)).toBeLessThan(1e-6);
    expect(opened('lora', { r: 2, use_dora: true }).tensors('lora_magnitude_vector').shape).toEqual([
      ...[1, OUT, 1, 1],
    ]);
  });

  it('of LoHa: over the flattened kernel', () => {
    const { tensors } = opened('loha', { r: 3 });
    expect([tensors('hada_w1_a').shape, tensors('hada_w2_b').shape]).toEqual([
      [OUT, 3],
      [3, IN],
    ]);
  });

  it('of LoKr: channels are split, the kernel stays with the second factor', () => {
    const { W, weight, tensors } = opened('lokr', { r: 4, alpha: 8 });
    const first = tensors('lokr_w1');
    const second = tensors('lokr_w2');
    // 6 is split into 2 and 3, the four channels into 2 and 2.
    expect([first.shape, second.shape]).toEqual([
      [2, 2],
      [3, 2, KH, KW],
    ]);
    const expected = kernelOf((o, c, q) => {
      const [i, k] = [Math.floor(o / 3), o % 3];
      const [j, l] = [Math.floor(c / 2), c % 2];
      const delta = 2 * first.data[i * 2 + j]! * second.data[(k * 2 + l) * AREA + q]!;
      return W[(o * CHANNELS + c) * AREA + q]! + delta;
    });
    expect(distance(weight, expected)).toBeLessThan(1e-6);
    const low = opened('lokr', { r: 1 });
    expect([low.tensors('lokr_w2_a').shape, low.tensors('lokr_w2_b').shape]).toEqual([
      [3, 1],
      [1, 2 * AREA],
    ]);
  });

  it('of IA3: whole channels in, or out with the bias', () => {
    const inwards = opened('ia3', { feedforward_modules: ['patch'] });
    const l = inwards.tensors('ia3_l');
    expect(l.shape).toEqual([1, CHANNELS, 1, 1]);
    const expected = kernelOf((o, c, q) => inwards.W[(o * CHANNELS + c) * AREA + q]! * l.data[c]!);
    expect(distance(inwards.weight, expected)).toBeLessThan(1e-6);
    expect(inwards.changedBias).toBeNull();

    const outwards = opened('ia3', { feedforward_modules: [] });
    const factor = outwards.tensors('ia3_l');
    expect(factor.shape).toEqual([1, OUT, 1, 1]);
    const scaled = kernelOf((o, c, q) => outwards.W[(o * CHANNELS + c) * AREA + q]! * factor.data[o]!);
    expect(distance(outwards.weight, scaled)).toBeLessThan(1e-6);
    const bias = outwards.bias.map((v, o) => v * factor.data[o]!);
    expect(distance(outwards.changedBias!, bias)).toBeLessThan(1e-6);
  });

  it('of BOFT: the numbers as they lie taken for a matrix [in, out]', () => {
    const settings = { boft_block_size: 4, boft_n_butterfly_factor: 2 };
    const { plan, state, W, weight, tensors } = opened('boft', settings, square);
    const d = square.in;
    const s = tensors('boft_s');
    expect(s.shape).toEqual([1, OUT]);
    const g = createBuilder();
    const { adapters } = emitTrainables(g, plan, {
      training: false,
      initial: () => Float32Array.from(state),
    });
    const eye = Float32Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0));
    const M = adapters.get('patch')!.rotate!(g.constant({ dtype: 'f32', shape: [d, d] }, eye));
    const rotation = interpret(g.finish({ M }), new Map([[TRAINABLE, tensor([plan.size], state)]])).get(
      M,
    ).data;
    const expected = new Float64Array(d * OUT);
    for (let row = 0; row < d; row++) {
      for (let o = 0; o < OUT; o++) {
        let sum = 0;
        for (let k = 0; k < d; k++) sum += rotation[row * d + k]! * W[k * OUT + o]!;
        expected[row * OUT + o] = sum * s.data[o]!;
      }
    }
    expect(distance(weight, expected)).toBeLessThan(1e-6);
  });
});

describe('refused', () => {
  const reason = (id: MethodId, layer: Layer, settings: Record<string, unknown> = {}) => {
    const method = METHODS[id];
    return method.check(layer, validateConfig(method, { target_modules: ['patch'], ...settings }).config);
  };

  it('are patches by OFT, which would sum them where they overlap; single points are taken', () => {
    expect(reason('oft', patch)).toMatch(/sums them where they overlap/);
    expect(reason('oft', conv([1, 1], 8))).toBeNull();
  });

  it('are oblong kernels by BOFT, split kernels by LoHa and LoKr, convolutions by FourierFT and VeRA', () => {
    expect(reason('boft', patch)).toMatch(/kernel of a convolution to be square/);
    expect(reason('boft', square, { boft_block_size: 3 })).toBe(
      'Convolutional kernel dimension (16) must be divisible by boft_block_size (3)!',
    );
    expect(reason('loha', patch, { use_effective_conv2d: true })).toMatch(/set it to false/);
    expect(reason('lokr', conv([1, 1], 4), { use_effective_conv2d: true })).toBeNull();
    for (const id of ['fourierft', 'vera'] as const) expect(reason(id, patch), id).toMatch(/not supported/);
  });
});

it('a loaded model tells its kernels', () => {
  const options = {
    ...glyphsVitDefaults,
    classes: 3,
    imageSize: 8,
    patchSize: 4,
    width: 12,
    layers: 1,
    heads: 3,
  };
  const config = new TextEncoder().encode(JSON.stringify(glyphsVitConfig(options, ['a', 'b', 'c'])));
  const { targets } = loadModel([
    { name: 'model.onnx', bytes: encodeModel(glyphsVit(options)) },
    { name: 'config.json', bytes: config },
  ]);
  const layers = targets.layers.filter((l) => l.kind === 'conv2d');
  expect(layers).toHaveLength(1);
  const [kh, kw] = layers[0]!.kernel!;
  expect([kh, kw, layers[0]!.in % (kh * kw)]).toEqual([options.patchSize, options.patchSize, 0]);
  expect(targets.layers.filter((l) => l.kind !== 'conv2d' && l.kernel !== undefined)).toEqual([]);
});
