/** CLIP's towers, with attention by bmm on [B·H, S, D] as torch wrote it for years, and DeBERTa's attention over distances. */

import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Blocks } from '../../tools/pretrain/architectures/blocks.ts';
import { EPS, HEADS, LAYERS, start, VOCABULARY, WIDTH } from './graphs.ts';

const HEAD_DIM = WIDTH / HEADS;
const MASKED = -3.4028234663852886e38;
const tokens = ['batch_size', 'sequence_length'];

/** [B, S, W] → [B·H, S, D]. */
function flatHeads(b: Blocks, module: string, x: string): string {
  const heads = b.heads(module, x, HEADS, HEAD_DIM);
  const shape = b.op(module, 'Shape', [x]);
  const length = b.op(module, 'Slice', [shape, b.g.ints([1]), b.g.ints([2])]);
  const wanted = b.op(module, 'Concat', [b.g.ints([-1]), length, b.g.ints([HEAD_DIM])], { axis: 0 });
  return b.op(module, 'Reshape', [heads, wanted]);
}

/** CLIP's layers: pre-norm, quick GELU, scores by bmm, masks added with the heads apart. */
function clipLayers(b: Blocks, root: string, embedded: string, mask: string | null): string {
  const { g, op } = b;
  let x = embedded;
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.encoder.layers.${i}`;
    const attn = `${layer}.self_attn`;
    const y = b.layerNorm(`${layer}.layer_norm1`, x, WIDTH, EPS);
    const shape = op(attn, 'Shape', [y]);
    const size = (from: number): string => op(attn, 'Slice', [shape, g.ints([from]), g.ints([from + 1])]);
    const [batch, length] = [size(0), size(1)];
    const q = op(attn, 'Mul', [b.linear(`${attn}.q_proj`, y, WIDTH, WIDTH), g.scalar(HEAD_DIM ** -0.5)]);
    const [fq, fk, fv] = [
      flatHeads(b, attn, q),
      flatHeads(b, attn, b.linear(`${attn}.k_proj`, y, WIDTH, WIDTH)),
      flatHeads(b, attn, b.linear(`${attn}.v_proj`, y, WIDTH, WIDTH)),
    ];
    let scores = op(attn, 'MatMul', [fq, op(attn, 'Transpose', [fk], { perm: [0, 2, 1] })]);
    if (mask) {
      const apart = op(attn, 'Concat', [batch, g.ints([HEADS]), length, length], { axis: 0 });
      const joined = op(attn, 'Concat', [g.ints([-1]), length, length], { axis: 0 });
      scores = op(attn, 'Reshape', [op(attn, 'Add', [op(attn, 'Reshape', [scores, apart]), mask]), joined]);
    }
    const context = op(attn, 'MatMul', [op(attn, 'Softmax', [scores], { axis: -1 }), fv]);
    const apart = op(attn, 'Concat', [batch, g.ints([HEADS]), length, g.ints([HEAD_DIM])], { axis: 0 });
    const turned = op(attn, 'Transpose', [op(attn, 'Reshape', [context, apart])], { perm: [0, 2, 1, 3] });
    x = op(layer, 'Add', [
      x,
      b.linear(`${attn}.out_proj`, b.reshape(attn, turned, [0, 0, WIDTH]), WIDTH, WIDTH),
    ]);
    const h = b.linear(
      `${layer}.mlp.fc1`,
      b.layerNorm(`${layer}.layer_norm2`, x, WIDTH, EPS),
      WIDTH,
      2 * WIDTH,
    );
    const gate = op(`${layer}.mlp`, 'Sigmoid', [op(`${layer}.mlp`, 'Mul', [h, g.scalar(1.702)])]);
    const active = op(`${layer}.mlp`, 'Mul', [h, gate]);
    x = op(layer, 'Add', [x, b.linear(`${layer}.mlp.fc2`, active, 2 * WIDTH, WIDTH)]);
  }
  return x;
}

/** Text: a causal mask, and the row of the largest token as what the text means; `pick` as TorchScript or dynamo spell it. */
export function clipText(pick: 'flattened' | 'GatherND'): OnnxModel {
  const b = start('clip', 17);
  const { g, op } = b;
  const root = 'text_model';
  const ids = g.input('input_ids', 'int64', tokens);
  const length = b.size(root, ids, 1);
  const range = op(root, 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const words = b.embedding(`${root}.embeddings.token_embedding`, ids, VOCABULARY, WIDTH);
  const positions = b.embedding(
    `${root}.embeddings.position_embedding`,
    b.unsqueeze(root, range, [0]),
    40,
    WIDTH,
  );
  const later = op(root, 'Greater', [b.unsqueeze(root, range, [0]), b.unsqueeze(root, range, [1])]);
  const causal = b.unsqueeze(root, op(root, 'Where', [later, g.scalar(MASKED), g.scalar(0)]), [0, 1]);
  const x = clipLayers(b, root, op(root, 'Add', [words, positions]), causal);
  const y = b.layerNorm(`${root}.final_layer_norm`, x, WIDTH, EPS);
  const end = op(root, 'ArgMax', [op(root, 'Cast', [ids], { to: 6 })], { axis: -1, keepdims: 0 });
  const examples = op(root, 'Range', [g.ints([0], []), b.size(root, ids, 0), g.ints([1], [])]);
  let pooled: string;
  if (pick === 'flattened') {
    const at = op(root, 'Add', [op(root, 'Mul', [examples, length]), end]);
    pooled = op(root, 'Gather', [b.reshape(root, y, [-1, WIDTH]), at]);
  } else {
    const pairs = [examples, end].map((v) => b.unsqueeze(root, v, [-1]));
    pooled = op(root, 'GatherND', [y, op(root, 'Concat', pairs, { axis: -1 })]);
  }
  const embeds = b.linear('text_projection', pooled, WIDTH, WIDTH, false);
  const norm = op('', 'ReduceL2', [embeds], { axes: [-1], keepdims: 1 });
  g.output(op('', 'Div', [embeds, norm]), 'float32', ['batch_size', WIDTH], 'logits');
  return g.build();
}

/** Pictures: patches without bias, a class token, a norm before the layers. */
export function clipVision(): OnnxModel {
  const b = start('clip', 17);
  const { g, op } = b;
  const root = 'vision_model';
  const at = `${root}.embeddings`;
  const pixels = g.input('pixel_values', 'float32', ['batch_size', 3, 16, 16]);
  const kernel = b.weight('linear', `${at}.patch_embedding.weight`, [WIDTH, 3, 4, 4]);
  const grid = op(`${at}.patch_embedding`, 'Conv', [pixels, kernel], {
    kernel_shape: [4, 4],
    strides: [4, 4],
  });
  const patches = op(at, 'Transpose', [b.reshape(at, grid, [0, 0, -1])], { perm: [0, 2, 1] });
  const batch = op(at, 'Slice', [op(at, 'Shape', [pixels]), g.ints([0]), g.ints([1])]);
  const cls = op(at, 'Expand', [
    b.weight('embedding', `${at}.class_embedding`, [WIDTH]),
    op(at, 'Concat', [batch, g.ints([1, WIDTH])], { axis: 0 }),
  ]);
  const positions = g.ints(
    Array.from({ length: 17 }, (_, i) => i),
    [1, 17],
  );
  const table = b.embedding(`${at}.position_embedding`, positions, 17, WIDTH);
  const embedded = op(at, 'Add', [op(at, 'Concat', [cls, patches], { axis: 1 }), table]);
  const x = clipLayers(b, root, b.layerNorm(`${root}.pre_layrnorm`, embedded, WIDTH, EPS), null);
  const first = op(root, 'Gather', [x, g.ints([0], [])], { axis: 1 });
  const pooled = b.layerNorm(`${root}.post_layernorm`, first, WIDTH, EPS);
  g.output(
    b.linear('visual_projection', pooled, WIDTH, WIDTH, false),
    'float32',
    ['batch_size', WIDTH],
    'logits',
  );
  return g.build();
}

const SPAN = 4;

/**
 * DeBERTa's encoder: scores of content with content, content with distances and distances with content. Keys and queries of the
 * distances come from the same projections as those of the tokens.
 */
export function deberta(): OnnxModel {
  const b = start('deberta', 17);
  const { g, op } = b;
  const ids = g.input('input_ids', 'int64', tokens);
  const mask = g.input('attention_mask', 'int64', tokens);
  const length = b.size('', ids, 1);
  const range = op('', 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const distance = op('', 'Sub', [b.unsqueeze('', range, [1]), b.unsqueeze('', range, [0])]);
  const clipped = (x: string): string =>
    op('', 'Clip', [op('', 'Add', [x, g.ints([SPAN], [])]), g.ints([0], []), g.ints([2 * SPAN - 1], [])]);
  const wide = b.unsqueeze('', b.unsqueeze('', mask, [1]), [2]);
  const both = op('', 'Mul', [wide, b.unsqueeze('', op('', 'Squeeze', [wide, g.ints([2])]), [-1])]);
  const kept = op('', 'Cast', [both], { to: 9 });
  const root = 'deberta.encoder';
  const table = b.layerNorm(
    `${root}.LayerNorm`,
    b.weight('embedding', `${root}.rel_embeddings.weight`, [2 * SPAN, WIDTH]),
    WIDTH,
    EPS,
  );
  let x = b.layerNorm(
    'deberta.embeddings.LayerNorm',
    b.embedding('deberta.embeddings.word_embeddings', ids, VOCABULARY, WIDTH),
    WIDTH,
    EPS,
  );
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.layer.${i}`;
    const self = `${layer}.attention.self`;
    const weights = new Map(
      ['query_proj', 'key_proj', 'value_proj'].map((name) => [
        name,
        [
          b.weight('linear', `${self}.${name}.MatMul.weight`, [WIDTH, WIDTH]),
          b.weight('bias', `${self}.${name}.bias`, [WIDTH]),
        ] as const,
      ]),
    );
    const project = (name: string, from: string): string => {
      const [w, bias] = weights.get(name)!;
      return op(`${self}.${name}`, 'Add', [bias, op(`${self}.${name}`, 'MatMul', [from, w])]);
    };
    const [q, k, v] = ['query_proj', 'key_proj', 'value_proj'].map((n) =>
      flatHeads(b, self, project(n, x)),
    ) as [string, string, string];
    const batch = op(self, 'Slice', [op(self, 'Shape', [x]), g.ints([0]), g.ints([1])]);
    const repeats = op(self, 'Concat', [batch, g.ints([1, 1])], { axis: 0 });
    const ofDistances = (name: string): string =>
      op(self, 'Tile', [flatHeads(b, self, b.unsqueeze(self, project(name, table), [0])), repeats]);
    const scale = g.scalar(Math.sqrt(3 * HEAD_DIM));
    const by = (a: string, other: string): string =>
      op(self, 'MatMul', [a, op(self, 'Transpose', [other], { perm: [0, 2, 1] })]);
    const heads = op(self, 'Mul', [batch, g.ints([HEADS])]);
    const lengths = op(self, 'Slice', [op(self, 'Shape', [x]), g.ints([1]), g.ints([2])]);
    const full = op(self, 'Concat', [heads, lengths, lengths], { axis: 0 });
    const rows = (d: string): string => op(self, 'Expand', [b.unsqueeze(self, clipped(d), [0]), full]);
    const toDistances = op(self, 'GatherElements', [by(q, ofDistances('key_proj')), rows(distance)], {
      axis: -1,
    });
    const fromDistances = op(
      self,
      'Transpose',
      [
        op(self, 'GatherElements', [by(k, ofDistances('query_proj')), rows(op(self, 'Neg', [distance]))], {
          axis: -1,
        }),
      ],
      { perm: [0, 2, 1] },
    );
    let scores = op(self, 'Div', [by(q, k), scale]);
    scores = op(self, 'Add', [scores, op(self, 'Div', [toDistances, scale])]);
    scores = op(self, 'Add', [scores, op(self, 'Div', [fromDistances, scale])]);
    const apart = op(self, 'Concat', [batch, g.ints([HEADS]), lengths, lengths], { axis: 0 });
    const hidden = op(self, 'Where', [kept, op(self, 'Reshape', [scores, apart]), g.scalar(MASKED)]);
    const p = op(self, 'Where', [kept, op(self, 'Softmax', [hidden], { axis: -1 }), g.scalar(0)]);
    const joined = op(self, 'Reshape', [
      p,
      op(self, 'Concat', [g.ints([-1]), lengths, lengths], { axis: 0 }),
    ]);
    const context = op(self, 'MatMul', [joined, v]);
    const parts = op(self, 'Concat', [batch, g.ints([HEADS]), lengths, g.ints([HEAD_DIM])], { axis: 0 });
    const turned = op(self, 'Transpose', [op(self, 'Reshape', [context, parts])], { perm: [0, 2, 1, 3] });
    const out = b.linear(
      `${layer}.attention.output.dense`,
      b.reshape(self, turned, [0, 0, WIDTH]),
      WIDTH,
      WIDTH,
    );
    x = b.layerNorm(`${layer}.attention.output.LayerNorm`, op(layer, 'Add', [out, x]), WIDTH, EPS);
    const h = b.gelu(layer, b.linear(`${layer}.intermediate.dense`, x, WIDTH, 2 * WIDTH));
    const down = b.linear(`${layer}.output.dense`, h, 2 * WIDTH, WIDTH);
    x = b.layerNorm(`${layer}.output.LayerNorm`, op(layer, 'Add', [down, x]), WIDTH, EPS);
  }
  const first = op('', 'Gather', [x, g.ints([0], [])], { axis: 1 });
  g.output(b.gemm('classifier', first, WIDTH, 3), 'float32', ['batch_size', 3], 'logits');
  return g.build();
}
