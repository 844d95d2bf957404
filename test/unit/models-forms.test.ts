/** Forms of single fused operators that whole models rarely show: packed heads, caches that are not empty, masks of every rank. */
import { expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor } from '../../src/graph/types.ts';
import type { FeedTensor } from '../../src/inference/session.ts';
import { openSession } from '../../src/inference/session.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { rng } from '../../src/lib/rng.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { type AttributeInput, graphBuilder } from '../../src/onnx/build.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { makeTensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { interpret } from '../../src/ops/checks.ts';
import { parity } from '../../src/training/parity.ts';

const [B, S, T, H, D] = [2, 4, 6, 2, 16];
const W = H * D;

type Given = readonly [shape: readonly number[], data?: readonly number[]] | null;

interface Form {
  readonly opType: string;
  readonly standard?: boolean;
  readonly opset?: number;
  /** Floats at random unless numbers are given: integers where they are whole. */
  readonly inputs: readonly Given[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly outputs?: number;
}

const ranks = { raw: Array.from({ length: B * S }, (_, i) => Number(i < S + 2)) };
const real = (value: number): AttributeInput => ({ kind: 'float', value });
const angles = (fn: (x: number) => number): number[] =>
  Array.from({ length: 12 * (D / 2) }, (_, i) =>
    fn(Math.floor(i / (D / 2)) * 10000 ** (-(i % (D / 2)) / (D / 2))),
  );

const forms: Readonly<Record<string, Form>> = {
  'Attention, one mask per query': {
    opType: 'Attention',
    inputs: [
      [[B, S, W]],
      [[W, 3 * W]],
      [[3 * W]],
      [[B, S, S], Array.from({ length: B * S * S }, (_, i) => Number(i % 5 !== 1))],
    ],
    attributes: { num_heads: H },
  },
  'Attention, a cache that is not empty': {
    opType: 'Attention',
    inputs: [[[B, S, W]], [[W, 3 * W]], [[3 * W]], null, [[2, B, H, 3, D]]],
    attributes: { num_heads: H, unidirectional: 1 },
    outputs: 2,
  },
  'Attention, sizes of its own for q, k and v, scale, bias on the scores': {
    opType: 'Attention',
    inputs: [[[B, S, W]], [[W, 2 * W + 12]], [[2 * W + 12]], null, null, [[1, H, S, S]]],
    attributes: { num_heads: H, qkv_hidden_sizes: [W, W, 12], scale: real(0.3) },
  },
  'MultiHeadAttention, keys of another sequence as heads': {
    opType: 'MultiHeadAttention',
    inputs: [[[B, S, W]], [[B, H, T, D]], [[B, H, T, D]]],
    attributes: { num_heads: H, scale: real(0.1) },
  },
  'MultiHeadAttention, biases, a cache, causal': {
    opType: 'MultiHeadAttention',
    inputs: [[[B, S, W]], [[B, S, W]], [[B, S, W]], [[3 * W]], null, null, [[B, H, 2, D]], [[B, H, 2, D]]],
    attributes: { num_heads: H, unidirectional: 1 },
    outputs: 3,
  },
  'MultiHeadAttention, a mask of padding': {
    opType: 'MultiHeadAttention',
    inputs: [[[B, S, W]], [[B, S, W]], [[B, S, W]], null, [[B, S], ranks.raw]],
    attributes: { num_heads: H, mask_filter_value: real(-1000) },
  },
  'GroupQueryAttention, a cache and rotary positions after it': {
    opType: 'GroupQueryAttention',
    inputs: [
      [[B, 1, 2 * W]],
      [[B, 1, W]],
      [[B, 1, W]],
      [[B, H, 3, D]],
      [[B, H, 3, D]],
      [[B], [3, 3]],
      [[1], [4]],
      [[12, D / 2], angles(Math.cos)],
      [[12, D / 2], angles(Math.sin)],
    ],
    attributes: { num_heads: 2 * H, kv_num_heads: H, do_rotary: 1, rotary_interleaved: 1 },
    outputs: 3,
  },
  'RotaryEmbedding, from a place on': {
    opType: 'RotaryEmbedding',
    inputs: [[[B, S, W]], [[1], [5]], [[12, D / 2], angles(Math.cos)], [[12, D / 2], angles(Math.sin)]],
  },
  'RotaryEmbedding on heads': {
    opType: 'RotaryEmbedding',
    inputs: [
      [[B, H, S, D]],
      [
        [B, S],
        [0, 1, 2, 3, 4, 5, 6, 7],
      ],
      [[12, D / 2], angles(Math.cos)],
      [[12, D / 2], angles(Math.sin)],
    ],
    attributes: { interleaved: 1 },
  },
  'SkipLayerNormalization, one row for all examples': {
    opType: 'SkipLayerNormalization',
    inputs: [[[B, S, W]], [[1, S, W]], [[W]], [[W]], [[W]]],
    attributes: { epsilon: real(1e-4) },
  },
  'FusedMatMul, both turned': {
    opType: 'FusedMatMul',
    inputs: [[[B, 5, S]], [[B, 3, 5]]],
    attributes: { transA: 1, transB: 1, alpha: real(0.7) },
  },
  'QuickGelu of another slope': { opType: 'QuickGelu', inputs: [[[B, S]]], attributes: { alpha: real(0.9) } },
  'FusedGemm with Relu': {
    opType: 'FusedGemm',
    inputs: [[[B, W]], [[5, W]], [[5]]],
    attributes: { transB: 1, activation: 'Relu', alpha: real(0.5), beta: real(2) },
  },
  'standard Attention, a short mask, after a cache': {
    opType: 'Attention',
    standard: true,
    opset: 23,
    inputs: [[[B, H, S, D]], [[B, H, S, D]], [[B, H, S, D]], null, [[B, H, 2, D]], [[B, H, 2, D]]],
    attributes: { is_causal: 1 },
    outputs: 3,
  },
  'standard Attention, more keys than queries, causal from the upper left, capped': {
    opType: 'Attention',
    standard: true,
    opset: 23,
    inputs: [[[B, S, 2 * W]], [[B, T, W]], [[B, T, W]], [[S, T]]],
    attributes: { is_causal: 1, q_num_heads: 2 * H, kv_num_heads: H, softcap: real(0.8) },
  },
};

/** Positions are int64, everything else that is whole int32. */
const typeOf = (data: readonly number[] | undefined, opType: string) =>
  !data?.every(Number.isInteger) ? 'float32' : opType === 'RotaryEmbedding' ? 'int64' : 'int32';

/** Given numbers, or random ones. */
function numbersOf({ inputs }: Form): readonly (readonly number[])[] {
  const random = rng(9);
  return inputs.map((given) =>
    given ? (given[1] ?? Array.from({ length: sizeOf(given[0]) }, () => Math.fround(random.normal()))) : [],
  );
}

/** What has no examples along its first axis is an initialiser, and so are whole numbers and tables that are given. */
const isOpen = (given: Given): boolean => given !== null && given[0][0] === B && given[1] === undefined;

function build(form: Form, data = numbersOf(form)): OnnxModel {
  const { opType, standard, opset = 17, inputs, attributes = {}, outputs = 1 } = form;
  const g = graphBuilder({ opset, ...(standard ? {} : { opsets: { 'com.microsoft': 1 } }) });
  const names = inputs.map((given, i) => {
    if (!given) return '';
    if (isOpen(given)) return g.input(`x${i}`, 'float32', given[0]);
    return g.initializer(makeTensor(`x${i}`, typeOf(given[1], opType), given[0], data[i]!));
  });
  const options = { outputs: Array.from({ length: outputs }, (_, i) => `y${i}`) };
  const made = g.ops(
    outputs,
    opType,
    names,
    attributes,
    standard ? options : { ...options, domain: 'com.microsoft' },
  );
  for (const name of made) g.output(name, 'float32', null);
  return g.build();
}

function interpreted(form: Form, data = numbersOf(form)): Record<string, Tensor> {
  const model = build(form, data);
  const g = createBuilder();
  const outputs = model.graph.outputs.map((o) => o.name);
  const built = importModel(model).build(
    g,
    { batch: B },
    { data: model.graph.inputs.map((i) => i.name), outputs },
  );
  const feeds = new Map<string, Tensor>(
    Object.entries(built.inputs).map(([name, v]) => [
      name,
      { ...v, data: Float64Array.from(data[Number(name.slice(1))]!) },
    ]),
  );
  const result = interpret(g.finish(built.outputs), feeds);
  return Object.fromEntries(Object.entries(built.outputs).map(([name, v]) => [name, result.get(v)]));
}

test.each(Object.entries(forms))('%s', async (_name, form) => {
  const data = numbersOf(form);
  const session = await openSession(encodeModel(build(form)), { providers: ['wasm'] });
  const feeds = form.inputs.flatMap((given, i): [string, FeedTensor][] =>
    given && isOpen(given)
      ? [[`x${i}`, { dtype: 'float32', dims: given[0], data: Float32Array.from(data[i]!) }]]
      : [],
  );
  const ran = await session.run(Object.fromEntries(feeds));
  await session.release();
  for (const [name, t] of Object.entries(interpreted(form))) {
    expect(t.shape).toEqual(ran[name]!.dims);
    expect(parity(t.data, ran[name]!.data).maxRel, name).toBeLessThan(1e-5);
  }
});

// The runtime's CPU provider does not take packed heads; they are the same numbers in another order.
test.each([
  ['queries, keys and values', 3],
  ['keys and values', 2],
] as const)('MultiHeadAttention takes %s packed per head', (_what, n) => {
  const attributes = { num_heads: H };
  const apart: Form = {
    opType: 'MultiHeadAttention',
    inputs: [[[B, S, W]], [[B, S, W]], [[B, S, W]]],
    attributes,
  };
  const parts = numbersOf(apart);
  const packed = parts.slice(3 - n);
  // [B, S, H, n, D] from n times [B, S, H·D].
  const together = Array.from({ length: B * S * H * n * D }, (_, i) => {
    const head = Math.floor(i / (n * D));
    return packed[Math.floor(i / D) % n]![head * D + (i % D)]!;
  });
  const form: Form = {
    ...apart,
    inputs: n === 3 ? [[[B, S, H, 3, D]]] : [[[B, S, W]], [[B, S, H, 2, D]]],
  };
  const data = n === 3 ? [together] : [parts[0]!, together];
  expect(interpreted(form, data).y0!.data).toEqual(interpreted(apart).y0!.data);
});

test.each([
  ['GroupQueryAttention', { smooth_softmax: 1, num_heads: H, kv_num_heads: H }, /attention sinks/],
  ['Attention', { do_rotary: 1, num_heads: H }, /rotates inside/],
  ['FusedGemm', { activation: 'Softplus' }, /activation Softplus/],
] as const)('%s refuses what it cannot do, in words', (opType, attributes, words) => {
  const shapes: readonly Given[] =
    opType === 'FusedGemm'
      ? [[[B, W]], [[W, 5]]]
      : opType === 'Attention'
        ? [[[B, S, W]], [[W, 3 * W]]]
        : [[[B, S, W]], [[B, S, W]], [[B, S, W]]];
  const model = build({ opType, inputs: shapes, attributes });
  expect(() => importModel(model)).toThrow(PapilioError);
  expect(() => importModel(model)).toThrow(words);
});
