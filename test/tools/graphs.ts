/** Small encoders and GPT-2 as torch's exporter writes them, with random weights: what the import suites read. */

import { graphBuilder } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { Blocks, normalInit } from '../../tools/pretrain/architectures/blocks.ts';
import { llamaDecoder, talesGptDefaults } from '../../tools/pretrain/architectures/talesGpt.ts';

export const WIDTH = 32;
export const HEADS = 4;
/** Two, unless inside {@link withLayers}. */
export let LAYERS = 2;
export const VOCABULARY = 50;
export const EPS = 1e-5;
const MASKED = -3.4028234663852886e38;

/** Spread-out weights: zeros and ones would hide mistakes. */
const init = normalInit(7, 0.15, true);

/**
 * What `make` builds, with so many layers.
 * @public tools/models/styles.mjs uses it
 */
export function withLayers<T>(count: number, make: () => T): T {
  const before = LAYERS;
  LAYERS = count;
  try {
    return make();
  } finally {
    LAYERS = before;
  }
}

export function start(name: string, opset: number, opsets: Readonly<Record<string, number>> = {}): Blocks {
  return new Blocks(graphBuilder({ opset, name, opsets }), { init, opset });
}

const tokens = ['batch_size', 'sequence_length'];

/** (1 − mask) · smallest number, [B, 1, 1, S]. */
function paddingMask(b: Blocks, module: string, mask: string): string {
  const wide = b.op(module, 'Cast', [b.unsqueeze(module, mask, [1, 2])], { to: 1 });
  return b.op(module, 'Mul', [b.op(module, 'Sub', [b.g.scalar(1), wide]), b.g.scalar(MASKED)]);
}

interface EncoderNames {
  readonly layer: (i: number) => string;
  readonly attention: string;
  readonly qkv: readonly [string, string, string];
  readonly attentionOut: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly outNorm: string;
}

const bertNames = (root: string): EncoderNames => ({
  layer: (i) => `${root}.encoder.layer.${i}`,
  attention: 'attention.self',
  qkv: ['query', 'key', 'value'],
  attentionOut: 'attention.output.dense',
  attentionNorm: 'attention.output.LayerNorm',
  up: 'intermediate.dense',
  down: 'output.dense',
  outNorm: 'output.LayerNorm',
});

const distilbertNames: EncoderNames = {
  layer: (i) => `distilbert.transformer.layer.${i}`,
  attention: 'attention',
  qkv: ['q_lin', 'k_lin', 'v_lin'],
  attentionOut: 'attention.out_lin',
  attentionNorm: 'sa_layer_norm',
  up: 'ffn.lin1',
  down: 'ffn.lin2',
  outNorm: 'output_layer_norm',
};

/** Post-norm encoder layers. */
function encode(b: Blocks, names: EncoderNames, embedded: string, mask: string): string {
  let x = embedded;
  for (let i = 0; i < LAYERS; i++) {
    const layer = names.layer(i);
    const self = `${layer}.${names.attention}`;
    const [q, k, v] = names.qkv.map((n) =>
      b.heads(self, b.linear(`${self}.${n}`, x, WIDTH, WIDTH), HEADS, WIDTH / HEADS),
    ) as [string, string, string];
    const context = b.attend(self, q, k, v, HEADS, WIDTH / HEADS, mask);
    const attended = b.op(layer, 'Add', [
      b.linear(`${layer}.${names.attentionOut}`, context, WIDTH, WIDTH),
      x,
    ]);
    const middle = b.layerNorm(`${layer}.${names.attentionNorm}`, attended, WIDTH, EPS);
    const h = b.gelu(`${layer}.act`, b.linear(`${layer}.${names.up}`, middle, WIDTH, 2 * WIDTH));
    const out = b.op(layer, 'Add', [b.linear(`${layer}.${names.down}`, h, 2 * WIDTH, WIDTH), middle]);
    x = b.layerNorm(`${layer}.${names.outNorm}`, out, WIDTH, EPS);
  }
  return x;
}

/** Position ids as BERT has them: a slice of a buffer. */
function slicedPositions(b: Blocks, module: string, ids: string): string {
  const buffer = b.g.ints(
    Array.from({ length: 40 }, (_, i) => i),
    [1, 40],
  );
  const end = b.unsqueeze(module, b.size(module, ids, 1), [0]);
  return b.op(module, 'Slice', [buffer, b.g.ints([0]), end, b.g.ints([1]), b.g.ints([1])]);
}

/** Position ids as RoBERTa has them: counted over the tokens that are no padding (id 1). */
function countedPositions(b: Blocks, module: string, ids: string): string {
  const real = b.op(module, 'Not', [b.op(module, 'Equal', [ids, b.g.ints([1], [])])]);
  const counts = b.op(module, 'Cast', [real], { to: 6 });
  const summed = b.op(module, 'Mul', [b.op(module, 'CumSum', [counts, b.g.ints([1], [])]), counts]);
  return b.op(module, 'Add', [b.op(module, 'Cast', [summed], { to: 7 }), b.g.ints([1], [])]);
}

export type EncoderFamily = 'bert' | 'roberta' | 'distilbert';

export interface EncoderOptions {
  readonly family: EncoderFamily;
  readonly opset?: number;
  readonly head?: 'classifier' | 'sum' | 'masked-lm' | 'tagger';
}

/**
 * input_ids, attention_mask (and token_type_ids for BERT) → logits [B, 3] (`sum`: of all tokens' states instead of the first's), [B, S, 3] for a tagger, or [B, S, vocabulary] for a masked-LM head tied
 * to the table.
 */
export function encoder({ family, opset = 14, head = 'classifier' }: EncoderOptions): OnnxModel {
  const b = start(family, opset);
  const { g } = b;
  const names = family === 'distilbert' ? distilbertNames : bertNames(family);
  const module = `${family}.embeddings`;
  const ids = g.input('input_ids', 'int64', tokens);
  const maskInput = g.input('attention_mask', 'int64', tokens);
  const words = b.embedding(`${module}.word_embeddings`, ids, VOCABULARY, WIDTH);
  let x = words;
  if (family === 'bert') {
    const types = g.input('token_type_ids', 'int64', tokens);
    x = b.op(module, 'Add', [x, b.embedding(`${module}.token_type_embeddings`, types, 2, WIDTH)]);
  }
  const positions = family === 'roberta' ? countedPositions(b, module, ids) : slicedPositions(b, module, ids);
  x = b.op(module, 'Add', [x, b.embedding(`${module}.position_embeddings`, positions, 42, WIDTH)]);
  x = b.layerNorm(`${module}.LayerNorm`, x, WIDTH, EPS);
  const y = encode(b, names, x, paddingMask(b, family, maskInput));

  if (head === 'masked-lm') {
    const dense = b.gelu(
      'cls.predictions.transform.act',
      b.linear('cls.predictions.transform.dense', y, WIDTH, WIDTH),
    );
    const normed = b.layerNorm('cls.predictions.transform.LayerNorm', dense, WIDTH, EPS);
    // The decoder is the word table itself, transposed in the graph.
    const table = b.op('cls.predictions.decoder', 'Transpose', [`${module}.word_embeddings.weight`], {
      perm: [1, 0],
    });
    const scores = b.op('cls.predictions.decoder', 'MatMul', [normed, table]);
    const bias = b.weight('bias', 'cls.predictions.bias', [VOCABULARY]);
    g.output(
      b.op('cls.predictions.decoder', 'Add', [scores, bias]),
      'float32',
      [...tokens, VOCABULARY],
      'logits',
    );
    return g.build();
  }
  if (head === 'tagger') {
    g.output(b.linear('classifier', y, WIDTH, 3), 'float32', [...tokens, 3], 'logits');
    return g.build();
  }
  if (head === 'sum') {
    const real = b.op(family, 'Cast', [b.unsqueeze(family, maskInput, [2])], { to: 1 });
    const axes = opset >= 13 ? [g.ints([1])] : [];
    const sum = b.op(family, 'ReduceSum', [b.op(family, 'Mul', [y, real]), ...axes], { keepdims: 0 });
    g.output(b.gemm('classifier', sum, WIDTH, 3), 'float32', ['batch_size', 3], 'logits');
    return g.build();
  }
  const first = b.op(family, 'Gather', [y, g.ints([0], [])], { axis: 1 });
  const activation = family === 'distilbert' ? 'Relu' : 'Tanh';
  const dense =
    family === 'roberta' ? 'classifier.dense' : family === 'bert' ? 'bert.pooler.dense' : 'pre_classifier';
  const pooled = b.op(family, activation, [b.gemm(dense, first, WIDTH, WIDTH)]);
  const last = family === 'roberta' ? 'classifier.out_proj' : 'classifier';
  g.output(b.gemm(last, pooled, WIDTH, 3), 'float32', ['batch_size', 3], 'logits');
  return g.build();
}

/** GPT-2: Conv1D as Gemm on flattened rows, Split, a causal Where over a boolean buffer, tanh GELU by powers, untied copy of the table as head. */
export function gpt2(opset = 14): OnnxModel {
  const b = start('gpt2', opset);
  const { g, op } = b;
  const headDim = WIDTH / HEADS;
  const root = 'transformer';
  const ids = g.input('input_ids', 'int64', tokens);
  const maskInput = g.input('attention_mask', 'int64', tokens);
  const length = b.size(root, ids, 1);
  const range = op(root, 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const positions = b.unsqueeze(root, range, [0]);
  let x = op(root, 'Add', [
    b.embedding(`${root}.wte`, ids, VOCABULARY, WIDTH),
    b.embedding(`${root}.wpe`, positions, 40, WIDTH),
  ]);
  const padding = paddingMask(b, root, maskInput);
  const column = b.unsqueeze(root, range, [1]);
  const seen = op(root, 'LessOrEqual', [b.unsqueeze(root, range, [0]), column]);
  const conv1d = (module: string, y: string, from: number, to: number): string => {
    const shape = op(module, 'Shape', [y]);
    const lead = op(module, 'Slice', [shape, g.ints([0]), g.ints([2])]);
    const flat = b.reshape(module, y, [-1, from]);
    const w = b.weight('linear', `${module}.weight`, [from, to]);
    const one = { kind: 'float', value: 1 } as const;
    const z = op(module, 'Gemm', [flat, w, b.weight('bias', `${module}.bias`, [to])], {
      alpha: one,
      beta: one,
    });
    return op(module, 'Reshape', [z, op(module, 'Concat', [lead, g.ints([to])], { axis: 0 })]);
  };
  const geluTanh = (module: string, y: string): string => {
    const cube = op(module, 'Mul', [op(module, 'Pow', [y, g.scalar(3)]), g.scalar(0.044715)]);
    const inner = op(module, 'Mul', [op(module, 'Add', [y, cube]), g.scalar(Math.sqrt(2 / Math.PI))]);
    const outer = op(module, 'Add', [op(module, 'Tanh', [inner]), g.scalar(1)]);
    return op(module, 'Mul', [op(module, 'Mul', [y, g.scalar(0.5)]), outer]);
  };
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.h.${i}`;
    const attn = `${layer}.attn`;
    const qkv = conv1d(`${attn}.c_attn`, b.layerNorm(`${layer}.ln_1`, x, WIDTH, EPS), WIDTH, 3 * WIDTH);
    const parts = b.ops(3, attn, 'Split', [qkv, g.ints([WIDTH, WIDTH, WIDTH])], { axis: 2 });
    const [q, k, v] = parts.map((p) => b.heads(attn, p, HEADS, headDim)) as [string, string, string];
    const kT = op(attn, 'Transpose', [k], { perm: [0, 1, 3, 2] });
    const scores = op(attn, 'Div', [op(attn, 'MatMul', [q, kT]), g.scalar(Math.sqrt(headDim))]);
    const causal = op(attn, 'Where', [seen, scores, g.scalar(MASKED)]);
    const p = op(attn, 'Softmax', [op(attn, 'Add', [causal, padding])], { axis: -1 });
    const context = op(attn, 'Transpose', [op(attn, 'MatMul', [p, v])], { perm: [0, 2, 1, 3] });
    const joined = b.reshape(attn, context, [0, 0, WIDTH]);
    x = op(layer, 'Add', [conv1d(`${attn}.c_proj`, joined, WIDTH, WIDTH), x]);
    const h = conv1d(`${layer}.mlp.c_fc`, b.layerNorm(`${layer}.ln_2`, x, WIDTH, EPS), WIDTH, 4 * WIDTH);
    x = op(layer, 'Add', [
      x,
      conv1d(`${layer}.mlp.c_proj`, geluTanh(`${layer}.mlp.act`, h), 4 * WIDTH, WIDTH),
    ]);
  }
  const logits = b.linear('lm_head', b.layerNorm(`${root}.ln_f`, x, WIDTH, EPS), WIDTH, VOCABULARY, false);
  g.output(logits, 'float32', [...tokens, VOCABULARY], 'logits');
  return g.build();
}

const decoderSizes = {
  ...talesGptDefaults,
  vocabulary: VOCABULARY,
  width: WIDTH,
  feedForward: 48,
  layers: LAYERS,
  heads: HEADS,
};

/** Llama with grouped keys and values, or Qwen2 (biases on q, k, v). */
export function llama(
  options: { readonly qwen?: boolean; readonly kvHeads?: number; readonly opset?: number } = {},
): OnnxModel {
  const b = start(options.qwen ? 'qwen2' : 'llama', options.opset ?? 14);
  llamaDecoder(b, { ...decoderSizes, kvHeads: options.kvHeads ?? 2 }, options.qwen);
  return b.g.build();
}
