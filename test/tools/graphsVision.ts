/** Small vision transformers as torch's exporter writes them. */

import type { OnnxModel } from '../../src/onnx/types.ts';
import { glyphsVit } from '../../tools/pretrain/architectures/glyphsVit.ts';
import { EPS, HEADS, LAYERS, start, WIDTH } from './graphs.ts';

/** The embedded classifier's architecture in small, on 3-channel pictures of 16×16. */
export const dinov2 = (): OnnxModel =>
  glyphsVit({
    width: WIDTH,
    layers: LAYERS,
    heads: HEADS,
    imageSize: 16,
    channels: 3,
    patchSize: 4,
    mlpRatio: 2,
    classes: 5,
  });

/** ViT: class token, position table, pre-norm layers, classifier on the class token. DeiT has a second token, for distillation. */
export function vit(opset = 14, family: 'vit' | 'deit' = 'vit'): OnnxModel {
  const b = start(family, opset);
  const { g, op } = b;
  const at = `${family}.embeddings`;
  const tokens = family === 'deit' ? ['cls_token', 'distillation_token'] : ['cls_token'];
  const pixels = g.input('pixel_values', 'float32', ['batch_size', 3, 16, 16]);
  const projection = `${family}.embeddings.patch_embeddings.projection`;
  const kernel = b.weight('linear', `${projection}.weight`, [WIDTH, 3, 4, 4]);
  const grid = op(projection, 'Conv', [pixels, kernel, b.weight('bias', `${projection}.bias`, [WIDTH])], {
    kernel_shape: [4, 4],
    strides: [4, 4],
    pads: [0, 0, 0, 0],
  });
  const flat = op(at, 'Transpose', [b.reshape(at, grid, [0, 0, -1])], {
    perm: [0, 2, 1],
  });
  const batch = b.unsqueeze(at, b.size(at, pixels, 0), [0]);
  const shape = op(at, 'Concat', [batch, g.ints([-1]), g.ints([-1])], { axis: 0 });
  const ones = op(at, 'ConstantOfShape', [op(at, 'Shape', [shape])]);
  const minus = op(at, 'Sub', [op(at, 'Cast', [ones], { to: 7 }), g.ints([1], [])]);
  const wide = op(at, 'Where', [op(at, 'Equal', [shape, minus]), g.ints([1, 1, 1]), shape]);
  const leading = tokens.map((name) =>
    op(at, 'Expand', [b.weight('embedding', `${at}.${name}`, [1, 1, WIDTH]), wide]),
  );
  const positions = b.weight('embedding', `${family}.embeddings.position_embeddings`, [
    1,
    16 + tokens.length,
    WIDTH,
  ]);
  let x = op(at, 'Add', [op(at, 'Concat', [...leading, flat], { axis: 1 }), positions]);
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${family}.encoder.layer.${i}`;
    const self = `${layer}.attention.attention`;
    const n1 = b.layerNorm(`${layer}.layernorm_before`, x, WIDTH, EPS);
    const [q, k, v] = ['query', 'key', 'value'].map((n) =>
      b.heads(self, b.linear(`${self}.${n}`, n1, WIDTH, WIDTH), HEADS, WIDTH / HEADS),
    ) as [string, string, string];
    const context = b.attend(self, q, k, v, HEADS, WIDTH / HEADS);
    x = op(layer, 'Add', [b.linear(`${layer}.attention.output.dense`, context, WIDTH, WIDTH), x]);
    const n2 = b.layerNorm(`${layer}.layernorm_after`, x, WIDTH, EPS);
    const h = b.gelu(
      `${layer}.intermediate.intermediate_act_fn`,
      b.linear(`${layer}.intermediate.dense`, n2, WIDTH, 2 * WIDTH),
    );
    x = op(layer, 'Add', [b.linear(`${layer}.output.dense`, h, 2 * WIDTH, WIDTH), x]);
  }
  const y = op('', 'Gather', [b.layerNorm(`${family}.layernorm`, x, WIDTH, EPS), g.ints([0], [])], {
    axis: 1,
  });
  g.output(b.gemm('classifier', y, WIDTH, 5), 'float32', ['batch_size', 5], 'logits');
  return g.build();
}
