/**
 * Building blocks that write a transformer into an ONNX graph the way torch's exporter does: nodes are named by module path
 * (`/encoder/layer.0/attention/self/query/MatMul`), Linear is MatMul + Add with an [in, out] initialiser, GELU and RMSNorm are spelled
 * out. The embedded models are made of them, and so are the graphs the tests import.
 */

import { sizeOf } from '../../../src/graph/shape.ts';
import { rng, streamOf } from '../../../src/lib/rng.ts';
import type { AttributeInput, GraphBuilder } from '../../../src/onnx/build.ts';
import { makeTensor } from '../../../src/onnx/tensor.ts';

/** Values for a new weight: what it is for, its PyTorch name and shape as stored. */
export type Init = (
  kind: 'linear' | 'bias' | 'embedding' | 'one' | 'zero',
  name: string,
  dims: readonly number[],
) => Float32Array;

export interface Blocks {
  readonly g: GraphBuilder;
  /** A node inside `module`; named by the module's path and the op, numbered as torch does. */
  op(
    module: string,
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeInput>>,
  ): string;
  ops(
    count: number,
    module: string,
    opType: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeInput>>,
  ): string[];
  weight(kind: Parameters<Init>[0], name: string, dims: readonly number[]): string;
  linear(module: string, x: string, inFeatures: number, outFeatures: number, bias?: boolean): string;
  /** Gemm on two-dimensional x with the weight as PyTorch stores it. */
  gemm(module: string, x: string, inFeatures: number, outFeatures: number): string;
  embedding(module: string, ids: string, rows: number, width: number): string;
  layerNorm(module: string, x: string, width: number, eps: number): string;
  rmsNorm(module: string, x: string, width: number, eps: number): string;
  gelu(module: string, x: string): string;
  silu(module: string, x: string): string;
  reshape(module: string, x: string, shape: readonly number[]): string;
  unsqueeze(module: string, x: string, axes: readonly number[]): string;
  /** The size of an axis of `x`, as a scalar. */
  size(module: string, x: string, axis: number): string;
  /** [B, S, H*D] → [B, H, S, D]. */
  heads(module: string, x: string, heads: number, headDim: number): string;
  /** softmax(q kᵀ / √D + mask) v on [B, H, S, D] → [B, S, H*D]. */
  attend(
    module: string,
    q: string,
    k: string,
    v: string,
    heads: number,
    headDim: number,
    mask?: string,
  ): string;
}

export interface BlockOptions {
  readonly init: Init;
  readonly opset: number;
  /** Stores weights as float16 and computes in it. */
  readonly half?: boolean;
}

/** `encoder.layer.0.query` → `/encoder/layer.0/query`: indices stay with the list they index. */
function pathOf(module: string): string {
  return module === '' ? '' : `/${module.replaceAll('.', '/').replace(/\/(\d+)(?=\/|$)/g, '.$1')}`;
}

export function blocks(g: GraphBuilder, options: BlockOptions): Blocks {
  const { init, opset } = options;
  const counts = new Map<string, number>();
  const floatType = options.half ? 'float16' : 'float32';

  const nodeName = (module: string, opType: string): string => {
    const base = `${pathOf(module)}/${opType}`;
    const n = counts.get(base) ?? 0;
    counts.set(base, n + 1);
    return n === 0 ? base : `${base}_${n}`;
  };
  const op: Blocks['op'] = (module, opType, inputs, attributes = {}) =>
    g.op(opType, inputs, attributes, { name: nodeName(module, opType) });
  const ops: Blocks['ops'] = (count, module, opType, inputs, attributes = {}) =>
    g.ops(count, opType, inputs, attributes, { name: nodeName(module, opType) });
  const weight: Blocks['weight'] = (kind, name, dims) => {
    const data = init(kind, name, dims);
    return options.half ? g.initializer(makeTensor(name, 'float16', dims, data)) : g.weight(name, dims, data);
  };
  const scalar = (value: number): string => g.scalar(value, floatType);
  const mean = (module: string, x: string): string =>
    opset >= 18
      ? op(module, 'ReduceMean', [x, g.ints([-1])], { keepdims: 1 })
      : op(module, 'ReduceMean', [x], { axes: [-1], keepdims: 1 });
  const reshape: Blocks['reshape'] = (module, x, shape) => op(module, 'Reshape', [x, g.ints(shape)]);
  const unsqueeze: Blocks['unsqueeze'] = (module, x, axes) =>
    opset >= 13 ? op(module, 'Unsqueeze', [x, g.ints(axes)]) : op(module, 'Unsqueeze', [x], { axes });

  return {
    g,
    op,
    ops,
    weight,
    reshape,
    unsqueeze,
    linear(module, x, inFeatures, outFeatures, bias = true) {
      const y = op(module, 'MatMul', [
        x,
        weight('linear', `${module}.MatMul.weight`, [inFeatures, outFeatures]),
      ]);
      return bias ? op(module, 'Add', [weight('bias', `${module}.bias`, [outFeatures]), y]) : y;
    },
    gemm(module, x, inFeatures, outFeatures) {
      const w = weight('linear', `${module}.weight`, [outFeatures, inFeatures]);
      const one = { kind: 'float', value: 1 } as const;
      const b = weight('bias', `${module}.bias`, [outFeatures]);
      return op(module, 'Gemm', [x, w, b], { alpha: one, beta: one, transB: 1 });
    },
    embedding: (module, ids, rows, width) =>
      op(module, 'Gather', [weight('embedding', `${module}.weight`, [rows, width]), ids]),
    layerNorm(module, x, width, eps) {
      const w = weight('one', `${module}.weight`, [width]);
      const b = weight('zero', `${module}.bias`, [width]);
      if (opset >= 17)
        return op(module, 'LayerNormalization', [x, w, b], {
          axis: -1,
          epsilon: { kind: 'float', value: eps },
        });
      const centred = op(module, 'Sub', [x, mean(module, x)]);
      const variance = mean(module, op(module, 'Pow', [centred, scalar(2)]));
      const deviation = op(module, 'Sqrt', [op(module, 'Add', [variance, scalar(eps)])]);
      return op(module, 'Add', [op(module, 'Mul', [op(module, 'Div', [centred, deviation]), w]), b]);
    },
    rmsNorm(module, x, width, eps) {
      const meanSquare = mean(module, op(module, 'Pow', [x, scalar(2)]));
      const root = op(module, 'Sqrt', [op(module, 'Add', [meanSquare, scalar(eps)])]);
      const normal = op(module, 'Mul', [x, op(module, 'Div', [scalar(1), root])]);
      return op(module, 'Mul', [weight('one', `${module}.weight`, [width]), normal]);
    },
    gelu(module, x) {
      const phi = op(module, 'Add', [
        op(module, 'Erf', [op(module, 'Div', [x, scalar(Math.SQRT2)])]),
        scalar(1),
      ]);
      return op(module, 'Mul', [op(module, 'Mul', [x, phi]), scalar(0.5)]);
    },
    silu: (module, x) => op(module, 'Mul', [x, op(module, 'Sigmoid', [x])]),
    size: (module, x, axis) =>
      op(module, 'Gather', [op(module, 'Shape', [x]), g.ints([axis], [])], { axis: 0 }),
    heads: (module, x, heads, headDim) =>
      op(module, 'Transpose', [reshape(module, x, [0, 0, heads, headDim])], { perm: [0, 2, 1, 3] }),
    attend(module, q, k, v, heads, headDim, mask) {
      const kT = op(module, 'Transpose', [k], { perm: [0, 1, 3, 2] });
      const scores = op(module, 'Div', [
        op(module, 'MatMul', [q, kT]),
        scalar(Math.fround(Math.sqrt(headDim))),
      ]);
      const p = op(module, 'Softmax', [mask === undefined ? scores : op(module, 'Add', [scores, mask])], {
        axis: -1,
      });
      const context = op(module, 'Transpose', [op(module, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
      return reshape(module, context, [0, 0, heads * headDim]);
    },
  };
}

// Starting weights as Hugging Face's models draw them: normal with one standard deviation, zeros, ones.

/**
 * Linear weights and embeddings normal(0, std), norms one, biases zero.
 * @param spread also draws biases and norm weights at random, for tests: zeros and ones hide mistakes
 */
export function normalInit(seed: number, std = 0.02, spread = false): Init {
  return (kind, name, dims) => {
    const data = new Float32Array(sizeOf(dims));
    const mean = kind === 'one' ? 1 : 0;
    if (!spread && (kind === 'one' || kind === 'zero' || kind === 'bias')) return data.fill(mean);
    const random = rng(seed, streamOf(name));
    for (let i = 0; i < data.length; i++) data[i] = mean + std * random.normal();
    return data;
  };
}
