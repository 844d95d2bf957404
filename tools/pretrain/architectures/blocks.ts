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

type Attributes = Readonly<Record<string, AttributeInput>>;

/** Adds nodes to a graph; every part may be taken alone (`const { op } = new Blocks(…)`). */
export class Blocks {
  readonly g: GraphBuilder;
  private readonly options: BlockOptions;
  private readonly counts = new Map<string, number>();

  constructor(g: GraphBuilder, options: BlockOptions) {
    this.g = g;
    this.options = options;
  }

  /** The name of a node: the module's path and the op, numbered as torch does. */
  private nameOf(module: string, opType: string): { readonly name: string } {
    const base = `${pathOf(module)}/${opType}`;
    const n = this.counts.get(base) ?? 0;
    this.counts.set(base, n + 1);
    return { name: n === 0 ? base : `${base}_${n}` };
  }

  /** A node inside `module`. */
  readonly op = (
    module: string,
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
  ): string => this.g.op(opType, inputs, attributes, this.nameOf(module, opType));

  readonly ops = (
    count: number,
    module: string,
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
  ): string[] => this.g.ops(count, opType, inputs, attributes, this.nameOf(module, opType));

  readonly weight = (kind: Parameters<Init>[0], name: string, dims: readonly number[]): string => {
    const data = this.options.init(kind, name, dims);
    return this.options.half
      ? this.g.initializer(makeTensor(name, 'float16', dims, data))
      : this.g.weight(name, dims, data);
  };

  private readonly scalar = (value: number): string =>
    this.g.scalar(value, this.options.half ? 'float16' : 'float32');

  readonly reshape = (module: string, x: string, shape: readonly number[]): string =>
    this.op(module, 'Reshape', [x, this.g.ints(shape)]);

  readonly unsqueeze = (module: string, x: string, axes: readonly number[]): string =>
    this.options.opset >= 13
      ? this.op(module, 'Unsqueeze', [x, this.g.ints(axes)])
      : this.op(module, 'Unsqueeze', [x], { axes });

  readonly linear = (
    module: string,
    x: string,
    inFeatures: number,
    outFeatures: number,
    bias = true,
  ): string => {
    const w = this.weight('linear', `${module}.MatMul.weight`, [inFeatures, outFeatures]);
    const y = this.op(module, 'MatMul', [x, w]);
    return bias ? this.op(module, 'Add', [this.weight('bias', `${module}.bias`, [outFeatures]), y]) : y;
  };

  /** Gemm on two-dimensional x with the weight as PyTorch stores it. */
  readonly gemm = (module: string, x: string, inFeatures: number, outFeatures: number): string => {
    const w = this.weight('linear', `${module}.weight`, [outFeatures, inFeatures]);
    const one = { kind: 'float', value: 1 } as const;
    const b = this.weight('bias', `${module}.bias`, [outFeatures]);
    return this.op(module, 'Gemm', [x, w, b], { alpha: one, beta: one, transB: 1 });
  };

  readonly embedding = (module: string, ids: string, rows: number, width: number): string =>
    this.op(module, 'Gather', [this.weight('embedding', `${module}.weight`, [rows, width]), ids]);

  private readonly mean = (module: string, x: string): string =>
    this.options.opset >= 18
      ? this.op(module, 'ReduceMean', [x, this.g.ints([-1])], { keepdims: 1 })
      : this.op(module, 'ReduceMean', [x], { axes: [-1], keepdims: 1 });

  readonly layerNorm = (module: string, x: string, width: number, eps: number): string => {
    const { op, mean, scalar } = this;
    const w = this.weight('one', `${module}.weight`, [width]);
    const b = this.weight('zero', `${module}.bias`, [width]);
    if (this.options.opset >= 17)
      return op(module, 'LayerNormalization', [x, w, b], {
        axis: -1,
        epsilon: { kind: 'float', value: eps },
      });
    const centred = op(module, 'Sub', [x, mean(module, x)]);
    const variance = mean(module, op(module, 'Pow', [centred, scalar(2)]));
    const deviation = op(module, 'Sqrt', [op(module, 'Add', [variance, scalar(eps)])]);
    return op(module, 'Add', [op(module, 'Mul', [op(module, 'Div', [centred, deviation]), w]), b]);
  };

  readonly rmsNorm = (module: string, x: string, width: number, eps: number): string => {
    const { op, mean, scalar } = this;
    const meanSquare = mean(module, op(module, 'Pow', [x, scalar(2)]));
    const root = op(module, 'Sqrt', [op(module, 'Add', [meanSquare, scalar(eps)])]);
    const normal = op(module, 'Mul', [x, op(module, 'Div', [scalar(1), root])]);
    return op(module, 'Mul', [this.weight('one', `${module}.weight`, [width]), normal]);
  };

  readonly gelu = (module: string, x: string): string => {
    const { op, scalar } = this;
    const erf = op(module, 'Erf', [op(module, 'Div', [x, scalar(Math.SQRT2)])]);
    const phi = op(module, 'Add', [erf, scalar(1)]);
    return op(module, 'Mul', [op(module, 'Mul', [x, phi]), scalar(0.5)]);
  };

  readonly silu = (module: string, x: string): string =>
    this.op(module, 'Mul', [x, this.op(module, 'Sigmoid', [x])]);

  /** The size of an axis of `x`, as a scalar. */
  readonly size = (module: string, x: string, axis: number): string =>
    this.op(module, 'Gather', [this.op(module, 'Shape', [x]), this.g.ints([axis], [])], { axis: 0 });

  /** [B, S, H*D] → [B, H, S, D]. */
  readonly heads = (module: string, x: string, heads: number, headDim: number): string =>
    this.op(module, 'Transpose', [this.reshape(module, x, [0, 0, heads, headDim])], { perm: [0, 2, 1, 3] });

  /** softmax(q kᵀ / √D + mask) v on [B, H, S, D] → [B, S, H*D]. */
  readonly attend = (
    module: string,
    q: string,
    k: string,
    v: string,
    heads: number,
    headDim: number,
    mask?: string,
  ): string => {
    const { op } = this;
    const kT = op(module, 'Transpose', [k], { perm: [0, 1, 3, 2] });
    const product = op(module, 'MatMul', [q, kT]);
    const scores = op(module, 'Div', [product, this.scalar(Math.fround(Math.sqrt(headDim)))]);
    const masked = mask === undefined ? scores : op(module, 'Add', [scores, mask]);
    const p = op(module, 'Softmax', [masked], { axis: -1 });
    const context = op(module, 'Transpose', [op(module, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
    return this.reshape(module, context, [0, 0, heads * headDim]);
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
