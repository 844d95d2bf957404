/** Small decoders of today's families - Qwen3, Gemma, Phi and their kin - spelled as torch's exporters spell them. */

import { f32Tensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Blocks } from '../../tools/pretrain/architectures/blocks.ts';
import { EPS, HEADS, LAYERS, start, VOCABULARY, WIDTH } from './graphs.ts';

const HEAD_DIM = WIDTH / HEADS;
const HIDDEN = 48;
const MASKED = -3.4028234663852886e38;
const tokens = ['batch_size', 'sequence_length'];

export interface DecoderOptions {
  readonly kvHeads?: number;
  /** RMSNorm's weight counts from 1 (Gemma), or LayerNorm (Phi). */
  readonly norm?: 'rms' | 'rms from 1' | 'layer';
  /** Numbers of a head that turn. */
  readonly rotary?: number;
  readonly qkNorm?: boolean;
  /** Gated by SiLU or tanh GELU; plain tanh GELU between fc1 and fc2 with biases; one projection for gate and up. */
  readonly mlp?: 'silu' | 'geglu' | 'plain' | 'packed';
  readonly packedQkv?: boolean;
  /** Attention and MLP read the same normalised input. */
  readonly parallel?: boolean;
  /** Gemma 2: norms after attention and MLP too. */
  readonly sandwich?: boolean;
  readonly embeddingScale?: number;
  readonly softcap?: number;
  /** How scaled_dot_product_attention comes out: eager, or both factors scaled and the keys turned in three dimensions (dynamo). */
  readonly attention?: 'eager' | 'scaled factors';
  /** The head is the table of the embedding, transposed in the graph. */
  readonly tied?: boolean;
  /** An input that says how many of the last positions get logits; 0 for all. */
  readonly keep?: boolean;
}

function rmsNorm(b: Blocks, module: string, x: string, width: number, fromOne: boolean): string {
  if (!fromOne) return b.rmsNorm(module, x, width, EPS);
  const { op, g } = b;
  const mean = op(module, 'ReduceMean', [op(module, 'Pow', [x, g.scalar(2)])], { axes: [-1], keepdims: 1 });
  const root = op(module, 'Sqrt', [op(module, 'Add', [mean, g.scalar(EPS)])]);
  const weight = op(module, 'Add', [b.weight('linear', `${module}.weight`, [width]), g.scalar(1)]);
  return op(module, 'Mul', [op(module, 'Mul', [x, op(module, 'Reciprocal', [root])]), weight]);
}

export function geluTanh(b: Blocks, module: string, x: string): string {
  const { op, g } = b;
  const cube = op(module, 'Mul', [op(module, 'Pow', [x, g.scalar(3)]), g.scalar(0.044715)]);
  const inner = op(module, 'Mul', [op(module, 'Add', [x, cube]), g.scalar(Math.sqrt(2 / Math.PI))]);
  return op(module, 'Mul', [
    op(module, 'Mul', [g.scalar(0.5), x]),
    op(module, 'Add', [g.scalar(1), op(module, 'Tanh', [inner])]),
  ]);
}

/** `x[..., from : to]`. */
function cut(b: Blocks, module: string, x: string, from: number, to: number, axis = -1): string {
  const { g } = b;
  return b.op(module, 'Slice', [x, g.ints([from]), g.ints([to]), g.ints([axis]), g.ints([1])]);
}

function rotate(b: Blocks, module: string, x: string, cos: string, sin: string, turned: number): string {
  const { op } = b;
  const y = turned === HEAD_DIM ? x : cut(b, module, x, 0, turned);
  const half = op(
    module,
    'Concat',
    [op(module, 'Neg', [cut(b, module, y, turned / 2, 2 ** 31 - 1)]), cut(b, module, y, 0, turned / 2)],
    { axis: -1 },
  );
  const z = op(module, 'Add', [op(module, 'Mul', [y, cos]), op(module, 'Mul', [half, sin])]);
  return turned === HEAD_DIM
    ? z
    : op(module, 'Concat', [z, cut(b, module, x, turned, 2 ** 31 - 1)], { axis: -1 });
}

function repeated(b: Blocks, module: string, x: string, kvHeads: number): string {
  if (kvHeads === HEADS) return x;
  const { g, op } = b;
  const shape = op(module, 'Shape', [x]);
  const [batch, length] = [0, 2].map((i) => op(module, 'Slice', [shape, g.ints([i]), g.ints([i + 1])])) as [
    string,
    string,
  ];
  const wide = op(module, 'Concat', [batch, g.ints([kvHeads, HEADS / kvHeads]), length, g.ints([HEAD_DIM])], {
    axis: 0,
  });
  const flat = op(module, 'Concat', [batch, g.ints([HEADS]), length, g.ints([HEAD_DIM])], { axis: 0 });
  return op(module, 'Reshape', [op(module, 'Expand', [b.unsqueeze(module, x, [2]), wide]), flat]);
}

/** softmax(q kᵀ + mask) v as dynamo's exporter takes scaled_dot_product_attention apart. */
function scaledFactors(b: Blocks, module: string, q: string, k: string, v: string, mask: string): string {
  const { g, op } = b;
  const factor = g.scalar(HEAD_DIM ** -0.25);
  const shape = op(module, 'Shape', [k]);
  const dim = (from: number, to: number): string =>
    op(module, 'Slice', [shape, g.ints([from]), g.ints([to])]);
  const [lead, length, width] = [dim(0, -2), dim(-2, -1), dim(-1, 2 ** 31 - 1)];
  const flat = op(module, 'Reshape', [k, op(module, 'Concat', [g.ints([-1]), length, width], { axis: 0 })]);
  const turned = op(module, 'Transpose', [flat], { perm: [0, 2, 1] });
  const kT = op(module, 'Reshape', [turned, op(module, 'Concat', [lead, width, length], { axis: 0 })]);
  const scores = op(module, 'MatMul', [op(module, 'Mul', [q, factor]), op(module, 'Mul', [kT, factor])]);
  const p = op(module, 'Softmax', [op(module, 'Add', [scores, mask])], { axis: -1 });
  const y = op(module, 'Transpose', [op(module, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
  return b.reshape(module, y, [0, 0, WIDTH]);
}

function cappedAttention(
  b: Blocks,
  module: string,
  q: string,
  k: string,
  v: string,
  mask: string,
  cap: number,
): string {
  const { g, op } = b;
  const raw = op(module, 'MatMul', [q, op(module, 'Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const scores = op(module, 'Mul', [raw, g.scalar(HEAD_DIM ** -0.5)]);
  const p = op(module, 'Softmax', [op(module, 'Add', [capped(b, module, scores, cap), mask])], { axis: -1 });
  const y = op(module, 'Transpose', [op(module, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
  return b.reshape(module, y, [0, 0, WIDTH]);
}

const capped = (b: Blocks, module: string, x: string, cap: number): string =>
  b.op(module, 'Mul', [b.op(module, 'Tanh', [b.op(module, 'Div', [x, b.g.scalar(cap)])]), b.g.scalar(cap)]);

/** input_ids, attention_mask → logits [B, S, vocabulary]. */
export function decoder(o: DecoderOptions = {}): OnnxModel {
  const b = start('decoder', 17);
  const { g, op } = b;
  const kvHeads = o.kvHeads ?? 2;
  const turned = o.rotary ?? HEAD_DIM;
  const ids = g.input('input_ids', 'int64', tokens);
  const attentionMask = g.input('attention_mask', 'int64', tokens);
  const keep = o.keep ? g.input('num_logits_to_keep', 'int64', []) : null;
  let x = b.embedding('model.embed_tokens', ids, VOCABULARY, WIDTH);
  if (o.embeddingScale) x = op('model', 'Mul', [x, g.scalar(o.embeddingScale)]);

  const range = op('model', 'Range', [g.ints([0], []), b.size('model', ids, 1), g.ints([1], [])]);
  const later = op('model', 'Greater', [b.unsqueeze('model', range, [0]), b.unsqueeze('model', range, [1])]);
  const padding = b.unsqueeze('model', op('model', 'Equal', [attentionMask, g.ints([0], [])]), [1, 2]);
  const mask = op('model', 'Where', [op('model', 'Or', [later, padding]), g.scalar(MASKED), g.scalar(0)]);
  const frequency = g.initializer(
    f32Tensor(
      'model.rotary_emb.inv_freq',
      [turned / 2],
      Float32Array.from({ length: turned / 2 }, (_, i) => 10000 ** ((-2 * i) / turned)),
    ),
  );
  const position = b.unsqueeze('model', op('model', 'Cast', [range], { to: 1 }), [1]);
  const halfAngle = op('model', 'Mul', [position, frequency]);
  const angle = op('model', 'Concat', [halfAngle, halfAngle], { axis: -1 });
  const [cos, sin] = ['Cos', 'Sin'].map((fn) => b.unsqueeze('model', op('model', fn, [angle]), [0, 1])) as [
    string,
    string,
  ];
  const norm = (module: string, y: string, width = WIDTH): string =>
    o.norm === 'layer'
      ? b.layerNorm(module, y, width, EPS)
      : rmsNorm(b, module, y, width, o.norm === 'rms from 1');

  for (let i = 0; i < LAYERS; i++) {
    const layer = `model.layers.${i}`;
    const attn = `${layer}.self_attn`;
    const n1 = norm(`${layer}.input_layernorm`, x);
    const sizes = [HEADS, kvHeads, kvHeads].map((n) => n * HEAD_DIM) as [number, number, number];
    const packed = o.packedQkv
      ? b.linear(`${attn}.qkv_proj`, n1, WIDTH, sizes[0] + sizes[1] + sizes[2], false)
      : null;
    const project = (at: number, name: string, heads: number): string => {
      const from = sizes.slice(0, at).reduce((n, s) => n + s, 0);
      const flat = packed
        ? cut(b, attn, packed, from, from + sizes[at]!)
        : b.linear(`${attn}.${name}`, n1, WIDTH, sizes[at]!, o.norm === 'layer');
      const split = b.reshape(attn, flat, [0, 0, heads, HEAD_DIM]);
      const normed = o.qkNorm && at < 2 ? norm(`${attn}.${name[0]}_norm`, split, HEAD_DIM) : split;
      return op(attn, 'Transpose', [normed], { perm: [0, 2, 1, 3] });
    };
    const q = rotate(b, attn, project(0, 'q_proj', HEADS), cos, sin, turned);
    const k = repeated(b, attn, rotate(b, attn, project(1, 'k_proj', kvHeads), cos, sin, turned), kvHeads);
    const v = repeated(b, attn, project(2, 'v_proj', kvHeads), kvHeads);
    const context = o.softcap
      ? cappedAttention(b, attn, q, k, v, mask, o.softcap)
      : o.attention === 'scaled factors'
        ? scaledFactors(b, attn, q, k, v, mask)
        : b.attend(attn, q, k, v, HEADS, HEAD_DIM, mask);
    const plain = o.mlp === 'plain';
    let attended = b.linear(`${attn}.${plain ? 'dense' : 'o_proj'}`, context, WIDTH, WIDTH, plain);
    if (o.sandwich) attended = norm(`${layer}.post_attention_layernorm`, attended);
    const middle = o.parallel ? x : op(layer, 'Add', [x, attended]);
    const second = o.sandwich ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
    const n2 = o.parallel ? n1 : norm(`${layer}.${second}`, middle);
    let h: string;
    if (plain) {
      const up = geluTanh(b, `${layer}.mlp.activation_fn`, b.linear(`${layer}.mlp.fc1`, n2, WIDTH, HIDDEN));
      h = b.linear(`${layer}.mlp.fc2`, up, HIDDEN, WIDTH);
    } else {
      let [gate, up]: [string, string] = ['', ''];
      if (o.mlp === 'packed') {
        const both = b.linear(`${layer}.mlp.gate_up_proj`, n2, WIDTH, 2 * HIDDEN, false);
        [gate, up] = b.ops(2, `${layer}.mlp`, 'Split', [both, g.ints([HIDDEN, HIDDEN])], { axis: -1 }) as [
          string,
          string,
        ];
      } else {
        gate = b.linear(`${layer}.mlp.gate_proj`, n2, WIDTH, HIDDEN, false);
        up = b.linear(`${layer}.mlp.up_proj`, n2, WIDTH, HIDDEN, false);
      }
      const act = `${layer}.mlp.act_fn`;
      const active = o.mlp === 'geglu' ? geluTanh(b, act, gate) : b.silu(act, gate);
      h = b.linear(`${layer}.mlp.down_proj`, op(`${layer}.mlp`, 'Mul', [active, up]), HIDDEN, WIDTH, false);
    }
    if (o.sandwich) h = norm(`${layer}.post_feedforward_layernorm`, h);
    x = op(layer, 'Add', [o.parallel ? op(layer, 'Add', [attended, h]) : h, middle]);
  }

  x = norm(o.norm === 'layer' ? 'model.final_layernorm' : 'model.norm', x);
  if (keep)
    x = op('', 'Slice', [x, b.unsqueeze('', op('', 'Neg', [keep]), [0]), g.ints([2 ** 31 - 1]), g.ints([1])]);
  let logits = o.tied
    ? op('lm_head', 'MatMul', [
        x,
        op('lm_head', 'Transpose', ['model.embed_tokens.weight'], { perm: [1, 0] }),
      ])
    : b.linear('lm_head', x, WIDTH, VOCABULARY, o.norm === 'layer');
  if (o.softcap) logits = capped(b, '', logits, 3);
  g.output(logits, 'float32', [...tokens, VOCABULARY], 'logits');
  return g.build();
}
