/**
 * The architecture of the embedded image classifier: Hugging Face's Dinov2ForImageClassification in small, module for module, so that
 * configurations written for that class (PEFT's BOFT guide) fit word for word.
 */
import { graphBuilder } from '../../../src/onnx/build.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { Blocks, normalInit } from './blocks.ts';

export interface GlyphsVitOptions {
  readonly seed: number;
  readonly classes: number;
  /** Height and width in pixels. */
  readonly imageSize: number;
  readonly channels: number;
  readonly patchSize: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlpRatio: number;
}

export const glyphsVitDefaults: GlyphsVitOptions = {
  seed: 1,
  classes: 10,
  imageSize: 32,
  channels: 1,
  patchSize: 8,
  width: 128,
  layers: 4,
  heads: 4,
  mlpRatio: 4,
};

/** config.json in Hugging Face's layout. */
export function glyphsVitConfig(
  options: GlyphsVitOptions,
  labels: readonly string[],
): Record<string, unknown> {
  return {
    architectures: ['Dinov2ForImageClassification'],
    model_type: 'dinov2',
    image_size: options.imageSize,
    num_channels: options.channels,
    patch_size: options.patchSize,
    hidden_size: options.width,
    num_hidden_layers: options.layers,
    num_attention_heads: options.heads,
    mlp_ratio: options.mlpRatio,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-6,
    qkv_bias: true,
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}

/** pixel_values [batch, channels, size, size] → logits [batch, classes]; freshly drawn weights. Opset 17. */
export function glyphsVit(partial: Partial<GlyphsVitOptions> = {}): OnnxModel {
  const o = { ...glyphsVitDefaults, ...partial };
  const g = graphBuilder({ opset: 17, name: 'glyphs-vit', producer: { name: 'papilio' } });
  const b = new Blocks(g, { init: normalInit(o.seed), opset: 17 });
  const d = o.width;
  const patches = (o.imageSize / o.patchSize) ** 2;
  const eps = 1e-6;
  const embeddings = 'dinov2.embeddings';

  const pixels = g.input('pixel_values', 'float32', ['batch_size', o.channels, o.imageSize, o.imageSize]);
  const projection = `${embeddings}.patch_embeddings.projection`;
  const kernel = b.weight('linear', `${projection}.weight`, [d, o.channels, o.patchSize, o.patchSize]);
  const grid = b.op(projection, 'Conv', [pixels, kernel, b.weight('bias', `${projection}.bias`, [d])], {
    kernel_shape: [o.patchSize, o.patchSize],
    strides: [o.patchSize, o.patchSize],
    pads: [0, 0, 0, 0],
    dilations: [1, 1],
    group: 1,
  });
  const flat = b.reshape(`${embeddings}.patch_embeddings`, grid, [0, d, patches]);
  const tokens = b.op(`${embeddings}.patch_embeddings`, 'Transpose', [flat], { perm: [0, 2, 1] });
  const batch = b.unsqueeze(embeddings, b.size(embeddings, pixels, 0), [0]);
  const clsShape = b.op(embeddings, 'Concat', [batch, g.ints([1]), g.ints([d])], { axis: 0 });
  const cls = b.op(embeddings, 'Expand', [
    b.weight('embedding', `${embeddings}.cls_token`, [1, 1, d]),
    clsShape,
  ]);
  const positions = b.weight('embedding', `${embeddings}.position_embeddings`, [1, patches + 1, d]);
  let x = b.op(embeddings, 'Add', [b.op(embeddings, 'Concat', [cls, tokens], { axis: 1 }), positions]);

  for (let i = 0; i < o.layers; i++) {
    const layer = `dinov2.encoder.layer.${i}`;
    const attention = `${layer}.attention.attention`;
    const scaled = (name: string, y: string): string =>
      b.op(`${layer}.${name}`, 'Mul', [y, b.weight('one', `${layer}.${name}.lambda1`, [d])]);
    const n1 = b.layerNorm(`${layer}.norm1`, x, d, eps);
    const [q, k, v] = ['query', 'key', 'value'].map((name) =>
      b.heads(attention, b.linear(`${attention}.${name}`, n1, d, d), o.heads, d / o.heads),
    ) as [string, string, string];
    const context = b.attend(attention, q, k, v, o.heads, d / o.heads);
    x = b.op(layer, 'Add', [
      scaled('layer_scale1', b.linear(`${layer}.attention.output.dense`, context, d, d)),
      x,
    ]);
    const n2 = b.layerNorm(`${layer}.norm2`, x, d, eps);
    const h = b.gelu(`${layer}.mlp.activation`, b.linear(`${layer}.mlp.fc1`, n2, d, d * o.mlpRatio));
    x = b.op(layer, 'Add', [scaled('layer_scale2', b.linear(`${layer}.mlp.fc2`, h, d * o.mlpRatio, d)), x]);
  }

  const y = b.layerNorm('dinov2.layernorm', x, d, eps);
  const clsOut = b.op('', 'Gather', [y, g.ints([0], [])], { axis: 1 });
  const rest = b.op('', 'Slice', [y, g.ints([1]), g.ints([patches + 1]), g.ints([1])]);
  const mean = b.op('', 'ReduceMean', [rest], { axes: [1], keepdims: 0 });
  const logits = b.gemm('classifier', b.op('', 'Concat', [clsOut, mean], { axis: 1 }), 2 * d, o.classes);
  g.output(logits, 'float32', ['batch_size', o.classes], 'logits');
  return g.build();
}
