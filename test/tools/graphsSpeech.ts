/** Encoder-decoders in one file: Whisper (convolutions over time, cross attention) and T5 (learned bias over distances, no scaling). */

import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Blocks } from '../../tools/pretrain/architectures/blocks.ts';
import { EPS, HEADS, LAYERS, start, VOCABULARY, WIDTH } from './graphs.ts';
import { geluTanh } from './graphsDecoders.ts';

const HEAD_DIM = WIDTH / HEADS;
const MASKED = -3.4028234663852886e38;
const decoderTokens = ['batch_size', 'decoder_length'];
const MEL = 6;
const FRAMES = 14;

/** [1, 1, S, S]: very negative where a position lies ahead. */
function ahead(b: Blocks, module: string, ids: string): string {
  const { g, op } = b;
  const range = op(module, 'Range', [g.ints([0], []), b.size(module, ids, 1), g.ints([1], [])]);
  const later = op(module, 'Greater', [b.unsqueeze(module, range, [0]), b.unsqueeze(module, range, [1])]);
  return b.unsqueeze(module, op(module, 'Where', [later, g.scalar(MASKED), g.scalar(0)]), [0, 1]);
}

/** Whisper's attention: the key has no bias, the query is scaled after its projection. */
function whisperAttention(b: Blocks, module: string, x: string, memory: string, mask: string | null): string {
  const { g, op } = b;
  const q = op(module, 'Mul', [b.linear(`${module}.q_proj`, x, WIDTH, WIDTH), g.scalar(HEAD_DIM ** -0.5)]);
  const k = b.linear(`${module}.k_proj`, memory, WIDTH, WIDTH, false);
  const v = b.linear(`${module}.v_proj`, memory, WIDTH, WIDTH);
  const [hq, hk, hv] = [q, k, v].map((t) => b.heads(module, t, HEADS, HEAD_DIM)) as [string, string, string];
  const raw = op(module, 'MatMul', [hq, op(module, 'Transpose', [hk], { perm: [0, 1, 3, 2] })]);
  const scores = mask ? op(module, 'Add', [raw, mask]) : raw;
  const y = op(module, 'MatMul', [op(module, 'Softmax', [scores], { axis: -1 }), hv]);
  const joined = b.reshape(module, op(module, 'Transpose', [y], { perm: [0, 2, 1, 3] }), [0, 0, WIDTH]);
  return b.linear(`${module}.out_proj`, joined, WIDTH, WIDTH);
}

function whisperMlp(b: Blocks, layer: string, x: string): string {
  const y = b.layerNorm(`${layer}.final_layer_norm`, x, WIDTH, EPS);
  const h = b.gelu(`${layer}.activation_fn`, b.linear(`${layer}.fc1`, y, WIDTH, 2 * WIDTH));
  return b.op(layer, 'Add', [x, b.linear(`${layer}.fc2`, h, 2 * WIDTH, WIDTH)]);
}

/** Sound [B, mel, frames] → the encoder's rows [B, frames/2, W]. */
function whisperEncoder(b: Blocks, root: string): string {
  const { g, op } = b;
  let sound = g.input('input_features', 'float32', ['batch_size', MEL, FRAMES]);
  for (const [name, channels, stride] of [
    ['conv1', MEL, 1],
    ['conv2', WIDTH, 2],
  ] as const) {
    const kernel = b.weight('linear', `${root}.${name}.weight`, [WIDTH, channels, 3]);
    const bias = b.weight('bias', `${root}.${name}.bias`, [WIDTH]);
    const y = op(`${root}.${name}`, 'Conv', [sound, kernel, bias], {
      kernel_shape: [3],
      strides: [stride],
      pads: [1, 1],
      dilations: [1],
      group: 1,
    });
    sound = b.gelu(root, y);
  }
  let x = op(root, 'Transpose', [sound], { perm: [0, 2, 1] });
  x = op(root, 'Add', [x, b.weight('embedding', `${root}.embed_positions.weight`, [FRAMES / 2, WIDTH])]);
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.layers.${i}`;
    const y = b.layerNorm(`${layer}.self_attn_layer_norm`, x, WIDTH, EPS);
    x = whisperMlp(b, layer, op(layer, 'Add', [x, whisperAttention(b, `${layer}.self_attn`, y, y, null)]));
  }
  return b.layerNorm(`${root}.layer_norm`, x, WIDTH, EPS);
}

function whisperDecoder(b: Blocks, root: string, idsName: string, memory: string): void {
  const { g, op } = b;
  const ids = g.input(idsName, 'int64', decoderTokens);
  const mask = ahead(b, root, ids);
  const length = b.unsqueeze(root, b.size(root, ids, 1), [0]);
  const table = b.weight('embedding', `${root}.embed_positions.weight`, [12, WIDTH]);
  const positions = op(root, 'Slice', [table, g.ints([0]), length, g.ints([0]), g.ints([1])]);
  let x = op(root, 'Add', [b.embedding(`${root}.embed_tokens`, ids, VOCABULARY, WIDTH), positions]);
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.layers.${i}`;
    const y = b.layerNorm(`${layer}.self_attn_layer_norm`, x, WIDTH, EPS);
    x = op(layer, 'Add', [x, whisperAttention(b, `${layer}.self_attn`, y, y, mask)]);
    const z = b.layerNorm(`${layer}.encoder_attn_layer_norm`, x, WIDTH, EPS);
    x = op(layer, 'Add', [x, whisperAttention(b, `${layer}.encoder_attn`, z, memory, null)]);
    x = whisperMlp(b, layer, x);
  }
  const last = b.layerNorm(`${root}.layer_norm`, x, WIDTH, EPS);
  g.output(
    b.linear('proj_out', last, WIDTH, VOCABULARY, false),
    'float32',
    [...decoderTokens, VOCABULARY],
    'logits',
  );
}

export function whisper(): OnnxModel {
  const b = start('whisper', 14);
  whisperDecoder(b, 'model.decoder', 'decoder_input_ids', whisperEncoder(b, 'model.encoder'));
  return b.g.build();
}

/** The same two halves in two files, named as optimum names them: the encoder's modules without their prefix. */
export function whisperHalves(): { encoder: OnnxModel; decoder: OnnxModel } {
  const e = start('whisper_encoder', 14);
  e.g.output(whisperEncoder(e, 'encoder'), 'float32', ['batch_size', FRAMES / 2, WIDTH], 'last_hidden_state');
  const d = start('whisper_decoder', 14);
  const memory = d.g.input('encoder_hidden_states', 'float32', ['batch_size', FRAMES / 2, WIDTH]);
  whisperDecoder(d, 'model.decoder', 'input_ids', memory);
  return { encoder: e.g.build(), decoder: d.g.build() };
}

const BUCKETS = 8;

/** Learned bias per head and distance, the distances in [from, to] clipped: [1, H, Sq, Sq]. */
function distanceBias(b: Blocks, module: string, ids: string, from: number, to: number): string {
  const { g, op } = b;
  const range = op(module, 'Range', [g.ints([0], []), b.size(module, ids, 1), g.ints([1], [])]);
  const distance = op(module, 'Sub', [b.unsqueeze(module, range, [0]), b.unsqueeze(module, range, [1])]);
  const clipped = op(module, 'Clip', [distance, g.ints([from], []), g.ints([to], [])]);
  const bucket = op(module, 'Sub', [clipped, g.ints([from], [])]);
  const rows = b.embedding(`${module}.relative_attention_bias`, bucket, BUCKETS, HEADS);
  return b.unsqueeze(module, op(module, 'Transpose', [rows], { perm: [2, 0, 1] }), [0]);
}

function t5Attention(b: Blocks, module: string, x: string, memory: string, bias: string | null): string {
  const { op } = b;
  const [q, k, v] = [
    ['q', x],
    ['k', memory],
    ['v', memory],
  ].map(([name, from]) =>
    b.heads(module, b.linear(`${module}.${name}`, from!, WIDTH, WIDTH, false), HEADS, HEAD_DIM),
  ) as [string, string, string];
  const raw = op(module, 'MatMul', [q, op(module, 'Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const p = op(module, 'Softmax', [bias ? op(module, 'Add', [raw, bias]) : raw], { axis: -1 });
  const y = op(module, 'Transpose', [op(module, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
  return b.linear(`${module}.o`, b.reshape(module, y, [0, 0, WIDTH]), WIDTH, WIDTH, false);
}

/** T5 v1.1: gated tanh GELU, RMSNorm, bias over distances in the first layer of each half and used by the others. */
export function t5(): OnnxModel {
  const b = start('t5', 14);
  const { g, op } = b;
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'sequence_length']);
  const decoderIds = g.input('decoder_input_ids', 'int64', decoderTokens);
  const wide = op('encoder', 'Cast', [b.unsqueeze('encoder', mask, [1, 2])], { to: 1 });
  const padding = op('encoder', 'Mul', [op('encoder', 'Sub', [g.scalar(1), wide]), g.scalar(MASKED)]);
  const table = b.weight('embedding', 'shared.weight', [VOCABULARY, WIDTH]);
  const feedForward = (layer: string, x: string): string => {
    const y = b.rmsNorm(`${layer}.layer_norm`, x, WIDTH, EPS);
    const dense = `${layer}.DenseReluDense`;
    const gate = geluTanh(b, `${dense}.act`, b.linear(`${dense}.wi_0`, y, WIDTH, 2 * WIDTH, false));
    const h = op(dense, 'Mul', [gate, b.linear(`${dense}.wi_1`, y, WIDTH, 2 * WIDTH, false)]);
    return op(layer, 'Add', [x, b.linear(`${dense}.wo`, h, 2 * WIDTH, WIDTH, false)]);
  };
  const half = (root: string, tokens: string, memory: string | null): string => {
    let x = op(root, 'Gather', [table, tokens]);
    const first = `${root}.block.0.layer.0.SelfAttention`;
    const learned = memory ? distanceBias(b, first, tokens, -7, 0) : distanceBias(b, first, tokens, -4, 3);
    const bias = op(first, 'Add', [learned, memory ? ahead(b, root, tokens) : padding]);
    for (let i = 0; i < LAYERS; i++) {
      const block = `${root}.block.${i}`;
      const y = b.rmsNorm(`${block}.layer.0.layer_norm`, x, WIDTH, EPS);
      x = op(block, 'Add', [x, t5Attention(b, `${block}.layer.0.SelfAttention`, y, y, bias)]);
      if (memory) {
        const z = b.rmsNorm(`${block}.layer.1.layer_norm`, x, WIDTH, EPS);
        x = op(block, 'Add', [x, t5Attention(b, `${block}.layer.1.EncDecAttention`, z, memory, padding)]);
      }
      x = feedForward(`${block}.layer.${memory ? 2 : 1}`, x);
    }
    return b.rmsNorm(`${root}.final_layer_norm`, x, WIDTH, EPS);
  };
  const y = half('decoder', decoderIds, half('encoder', ids, null));
  g.output(
    b.linear('lm_head', y, WIDTH, VOCABULARY, false),
    'float32',
    [...decoderTokens, VOCABULARY],
    'logits',
  );
  return g.build();
}
