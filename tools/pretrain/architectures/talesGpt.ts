/**
 * The architecture of the embedded language model: Hugging Face's LlamaForCausalLM in small, exported as optimum does, with its
 * key-value cache; the tests' decoders may leave the cache out.
 */
import { graphBuilder } from '../../../src/onnx/build.ts';
import { f32Tensor } from '../../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { Blocks, normalInit } from './blocks.ts';

export interface TalesGptOptions {
  readonly seed: number;
  readonly vocabulary: number;
  /** Longest sequence it is trained for; the graph itself takes any length. */
  readonly context: number;
  readonly width: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly ropeTheta: number;
}

export const talesGptDefaults: TalesGptOptions = {
  seed: 1,
  vocabulary: 1024,
  context: 128,
  width: 128,
  feedForward: 256,
  layers: 4,
  heads: 4,
  kvHeads: 4,
  ropeTheta: 10000,
};

const EPS = 1e-5;
const MASKED = -3.4028234663852886e38;

/** config.json in Hugging Face's layout. */
export function talesGptConfig(
  options: TalesGptOptions,
  tokens: { bos?: number; eos?: number } = {},
): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: options.vocabulary,
    max_position_embeddings: options.context,
    hidden_size: options.width,
    intermediate_size: options.feedForward,
    num_hidden_layers: options.layers,
    num_attention_heads: options.heads,
    num_key_value_heads: options.kvHeads,
    hidden_act: 'silu',
    rms_norm_eps: EPS,
    rope_theta: options.ropeTheta,
    attention_bias: false,
    tie_word_embeddings: false,
    ...(tokens.bos === undefined ? {} : { bos_token_id: tokens.bos }),
    ...(tokens.eos === undefined ? {} : { eos_token_id: tokens.eos }),
  };
}

/** Additive mask [B, 1, S, P + S] after P cached positions: later positions and padding get the smallest float32. */
function causalMask(b: Blocks, ids: string, attentionMask: string, past: string | null): string {
  const { g, op, unsqueeze } = b;
  const length = b.size('model', ids, 1);
  const first = past === null ? g.ints([0], []) : b.size('model', past, 2);
  const end = past === null ? length : op('model', 'Add', [first, length]);
  const queries = op('model', 'Range', [first, end, g.ints([1], [])]);
  const keys = past === null ? queries : op('model', 'Range', [g.ints([0], []), end, g.ints([1], [])]);
  const later = op('model', 'Greater', [unsqueeze('model', keys, [0]), unsqueeze('model', queries, [1])]);
  const padding = unsqueeze('model', op('model', 'Equal', [attentionMask, g.ints([0], [])]), [1, 2]);
  return op('model', 'Where', [op('model', 'Or', [later, padding]), g.scalar(MASKED), g.scalar(0)]);
}

/** Cosine and sine [B, 1, S, D] of the rotary embedding. */
function rotaryTables(
  b: Blocks,
  positions: string,
  headDim: number,
  theta: number,
): { cos: string; sin: string } {
  const { g, op, unsqueeze } = b;
  const module = 'model.rotary_emb';
  const inverse = Float32Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const frequency = g.initializer(f32Tensor('model.rotary_emb.inv_freq', [headDim / 2], inverse));
  const position = unsqueeze(module, op(module, 'Cast', [positions], { to: 1 }), [-1]);
  const half = op(module, 'Mul', [position, frequency]);
  const angle = op(module, 'Concat', [half, half], { axis: -1 });
  return {
    cos: unsqueeze(module, op(module, 'Cos', [angle]), [1]),
    sin: unsqueeze(module, op(module, 'Sin', [angle]), [1]),
  };
}

/** x cos + rotate_half(x) sin on [B, H, S, D]. */
function rotate(b: Blocks, module: string, x: string, cos: string, sin: string, headDim: number): string {
  const { g, op } = b;
  const end = 2 ** 31 - 1;
  const first = op(module, 'Slice', [x, g.ints([0]), g.ints([headDim / 2]), g.ints([3]), g.ints([1])]);
  const second = op(module, 'Slice', [x, g.ints([headDim / 2]), g.ints([end]), g.ints([3]), g.ints([1])]);
  const turned = op(module, 'Concat', [op(module, 'Neg', [second]), first], { axis: -1 });
  return op(module, 'Add', [op(module, 'Mul', [x, cos]), op(module, 'Mul', [turned, sin])]);
}

/** [B, KV, S, D] → [B, H, S, D], each key and value head serving H/KV query heads. */
function repeatKv(
  b: Blocks,
  module: string,
  x: string,
  kvHeads: number,
  heads: number,
  headDim: number,
): string {
  if (heads === kvHeads) return x;
  const { g, op } = b;
  const shape = op(module, 'Shape', [x]);
  const batch = op(module, 'Slice', [shape, g.ints([0]), g.ints([1])]);
  const length = op(module, 'Slice', [shape, g.ints([2]), g.ints([3])]);
  const repeats = heads / kvHeads;
  const wide = op(
    module,
    'Concat',
    [batch, g.ints([kvHeads]), g.ints([repeats]), length, g.ints([headDim])],
    { axis: 0 },
  );
  const expanded = op(module, 'Expand', [b.unsqueeze(module, x, [2]), wide]);
  return op(module, 'Reshape', [
    expanded,
    op(module, 'Concat', [batch, g.ints([heads]), length, g.ints([headDim])], { axis: 0 }),
  ]);
}

/** Writes the decoder into `b`; `bias` puts biases on q, k and v (Qwen2), `cached` gives it inputs and outputs for a key-value cache. */
export function llamaDecoder(b: Blocks, o: TalesGptOptions, bias = false, cached = false): void {
  const { g, op } = b;
  const d = o.width;
  const headDim = d / o.heads;
  const dims = ['batch_size', 'sequence_length'];
  const ids = g.input('input_ids', 'int64', dims);
  const attentionMask = g.input(
    'attention_mask',
    'int64',
    cached ? ['batch_size', 'total_sequence_length'] : dims,
  );
  const positions = g.input('position_ids', 'int64', dims);
  const cacheDims = (length: string) => ['batch_size', o.kvHeads, length, headDim];
  const pasts = Array.from({ length: cached ? o.layers : 0 }, (_, i) =>
    (['key', 'value'] as const).map((kind) =>
      g.input(`past_key_values.${i}.${kind}`, 'float32', cacheDims('past_sequence_length')),
    ),
  );
  let x = b.embedding('model.embed_tokens', ids, o.vocabulary, d);
  const mask = causalMask(b, ids, attentionMask, pasts[0]?.[0] ?? null);
  const { cos, sin } = rotaryTables(b, positions, headDim, o.ropeTheta);

  for (let i = 0; i < o.layers; i++) {
    const layer = `model.layers.${i}`;
    const attention = `${layer}.self_attn`;
    const n1 = b.rmsNorm(`${layer}.input_layernorm`, x, d, EPS);
    const project = (name: string, heads: number): string =>
      b.heads(attention, b.linear(`${attention}.${name}`, n1, d, heads * headDim, bias), heads, headDim);
    const q = rotate(b, attention, project('q_proj', o.heads), cos, sin, headDim);
    const known = (kind: 'key' | 'value', now: string): string => {
      const past = pasts[i]?.[kind === 'key' ? 0 : 1];
      if (past === undefined) return now;
      const present = `present.${i}.${kind}`;
      const all = op(attention, 'Concat', [past, now], { axis: 2 });
      g.output(all, 'float32', cacheDims('total_sequence_length'), present);
      return all;
    };
    const k = known('key', rotate(b, attention, project('k_proj', o.kvHeads), cos, sin, headDim));
    const v = known('value', project('v_proj', o.kvHeads));
    const wide = (y: string): string => repeatKv(b, attention, y, o.kvHeads, o.heads, headDim);
    const context = b.attend(attention, q, wide(k), wide(v), o.heads, headDim, mask);
    x = op(layer, 'Add', [x, b.linear(`${attention}.o_proj`, context, d, d, false)]);
    const n2 = b.rmsNorm(`${layer}.post_attention_layernorm`, x, d, EPS);
    const gate = b.silu(
      `${layer}.mlp.act_fn`,
      b.linear(`${layer}.mlp.gate_proj`, n2, d, o.feedForward, false),
    );
    const up = b.linear(`${layer}.mlp.up_proj`, n2, d, o.feedForward, false);
    const down = b.linear(
      `${layer}.mlp.down_proj`,
      op(`${layer}.mlp`, 'Mul', [gate, up]),
      o.feedForward,
      d,
      false,
    );
    x = op(layer, 'Add', [x, down]);
  }

  const logits = b.linear('lm_head', b.rmsNorm('model.norm', x, d, EPS), d, o.vocabulary, false);
  g.output(logits, 'float32', [...dims, o.vocabulary], 'logits');
}

/** input_ids, attention_mask, position_ids [batch, sequence] and the cache → logits [batch, sequence, vocabulary]; freshly drawn weights. Opset 17. */
export function talesGpt(partial: Partial<TalesGptOptions> = {}): OnnxModel {
  const o = { ...talesGptDefaults, ...partial };
  const g = graphBuilder({ opset: 17, name: 'tales-gpt', producer: { name: 'papilio' } });
  llamaDecoder(new Blocks(g, { init: normalInit(o.seed), opset: 17 }), o, false, true);
  return g.build();
}
