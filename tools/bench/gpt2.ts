/**
 * A graph of GPT-2's shape with weights drawn on the spot, its modules named as in GPT2LMHeadModel. They are Linear where Hugging Face
 * has Conv1D, which PEFT's OFT and BOFT refuse: every method is to run on it.
 */

import { graphBuilder } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { Blocks, type Init, normalInit } from '../pretrain/architectures/blocks.ts';

export interface Gpt2Shape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly vocabulary: number;
  readonly context: number;
}

const EPS = 1e-5;
const MASKED = -3.4028234663852886e38;

/** 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), spelled out as the exporter does. */
function geluNew(b: Blocks, module: string, x: string): string {
  const cube = b.op(module, 'Pow', [x, b.g.scalar(3)]);
  const inner = b.op(module, 'Add', [x, b.op(module, 'Mul', [cube, b.g.scalar(0.044715)])]);
  const tanh = b.op(module, 'Tanh', [b.op(module, 'Mul', [inner, b.g.scalar(Math.sqrt(2 / Math.PI))])]);
  const half = b.op(module, 'Mul', [x, b.g.scalar(0.5)]);
  return b.op(module, 'Mul', [half, b.op(module, 'Add', [tanh, b.g.scalar(1)])]);
}

/** input_ids [batch, sequence] → logits [batch, sequence, vocabulary], the head tied to the embedding. */
export function gpt2Model(shape: Gpt2Shape, init: Init = normalInit(1)): OnnxModel {
  const { layers, width: d, heads, vocabulary, context } = shape;
  const g = graphBuilder({ opset: 17, name: 'gpt2', producer: { name: 'papilio' } });
  const b = new Blocks(g, { init, opset: 17 });
  const root = 'transformer';
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const table = b.weight('embedding', `${root}.wte.weight`, [vocabulary, d]);
  const length = b.size(root, ids, 1);
  const range = b.op(root, 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const later = b.op(root, 'Greater', [b.unsqueeze(root, range, [0]), b.unsqueeze(root, range, [1])]);
  const mask = b.op(root, 'Where', [later, g.scalar(MASKED), g.scalar(0)]);
  const positions = b.embedding(`${root}.wpe`, b.unsqueeze(root, range, [0]), context, d);
  let x = b.op(root, 'Add', [b.op(`${root}.wte`, 'Gather', [table, ids]), positions]);
  for (let i = 0; i < layers; i++) {
    const layer = `${root}.h.${i}`;
    const attention = `${layer}.attn`;
    const n1 = b.layerNorm(`${layer}.ln_1`, x, d, EPS);
    const qkv = b.linear(`${attention}.c_attn`, n1, d, 3 * d);
    const [q, k, v] = b
      .ops(3, attention, 'Split', [qkv, g.ints([d, d, d])], { axis: 2 })
      .map((part) => b.heads(attention, part, heads, d / heads)) as [string, string, string];
    const context = b.attend(attention, q, k, v, heads, d / heads, mask);
    x = b.op(layer, 'Add', [b.linear(`${attention}.c_proj`, context, d, d), x]);
    const n2 = b.layerNorm(`${layer}.ln_2`, x, d, EPS);
    const hidden = geluNew(b, `${layer}.mlp.act`, b.linear(`${layer}.mlp.c_fc`, n2, d, 4 * d));
    x = b.op(layer, 'Add', [x, b.linear(`${layer}.mlp.c_proj`, hidden, 4 * d, d)]);
  }
  const y = b.layerNorm(`${root}.ln_f`, x, d, EPS);
  const logits = b.op('lm_head', 'MatMul', [y, b.op('lm_head', 'Transpose', [table], { perm: [1, 0] })]);
  g.output(logits, 'float32', ['batch_size', 'sequence_length', vocabulary], 'logits');
  return g.build();
}
