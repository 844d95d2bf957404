/** Small vision transformers as torch's exporter writes them. */
import { glyphsVit } from '../../src/models/architectures/glyphsVit.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
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

/** ViT: class token, position table, pre-norm layers, classifier on the class token. */
export function vit(opset = 14): OnnxModel {
  const b = start('vit', opset);
  const { g, op } = b;
  const patches = 16;
  const pixels = g.input('pixel_values', 'float32', ['batch_size', 3, 16, 16]);
  const projection = 'vit.embeddings.patch_embeddings.projection';
  const kernel = b.weight('linear', `${projection}.weight`, [WIDTH, 3, 4, 4]);
  const grid = op(projection, 'Conv', [pixels, kernel, b.weight('bias', `${projection}.bias`, [WIDTH])], {
    kernel_shape: [4, 4],
    strides: [4, 4],
    pads: [0, 0, 0, 0],
  });
  const flat = op('vit.embeddings', 'Transpose', [b.reshape('vit.embeddings', grid, [0, 0, -1])], {
    perm: [0, 2, 1],
  });
  const batch = b.unsqueeze('vit.embeddings', b.size('vit.embeddings', pixels, 0), [0]);
  const shape = op('vit.embeddings', 'Concat', [batch, g.ints([-1]), g.ints([-1])], { axis: 0 });
  const ones = op('vit.embeddings', 'ConstantOfShape', [op('vit.embeddings', 'Shape', [shape])]);
  const minus = op('vit.embeddings', 'Sub', [
    op('vit.embeddings', 'Cast', [ones], { to: 7 }),
    g.ints([1], []),
  ]);
  const wide = op('vit.embeddings', 'Where', [
    op('vit.embeddings', 'Equal', [shape, minus]),
    g.ints([1, 1, 1]),
    shape,
  ]);
  const cls = op('vit.embeddings', 'Expand', [
    b.weight('embedding', 'vit.embeddings.cls_token', [1, 1, WIDTH]),
    wide,
  ]);
  const positions = b.weight('embedding', 'vit.embeddings.position_embeddings', [1, patches + 1, WIDTH]);
  let x = op('vit.embeddings', 'Add', [op('vit.embeddings', 'Concat', [cls, flat], { axis: 1 }), positions]);
  for (let i = 0; i < LAYERS; i++) {
    const layer = `vit.encoder.layer.${i}`;
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
  const y = op('', 'Gather', [b.layerNorm('vit.layernorm', x, WIDTH, EPS), g.ints([0], [])], { axis: 1 });
  g.output(b.gemm('classifier', y, WIDTH, 5), 'float32', ['batch_size', 5], 'logits');
  return g.build();
}
