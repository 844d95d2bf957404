/** Small models as onnxruntime's transformer optimiser leaves them: com.microsoft's fused operators, biases folded into the next node. */

import type { AttributeInput } from '../../src/onnx/build.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Blocks } from '../../tools/pretrain/architectures/blocks.ts';
import { EPS, HEADS, LAYERS, start, VOCABULARY, WIDTH } from './graphs.ts';

const tokens = ['batch_size', 'sequence_length'];
export const MICROSOFT = 'com.microsoft';
export const real = (value: number): AttributeInput => ({ kind: 'float', value });

/** A fused operator of onnxruntime, with as many outputs as are named. */
export function fused(
  b: Blocks,
  name: string,
  opType: string,
  inputs: readonly string[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
  outputs = 1,
): string[] {
  return b.g.ops(outputs, opType, inputs, attributes, { name, domain: MICROSOFT });
}

/** MatMul alone: its bias went into the node after it. */
function product(b: Blocks, module: string, x: string, from: number, to: number): string {
  return b.op(module, 'MatMul', [x, b.weight('linear', `${module}.MatMul.weight`, [from, to])]);
}

const norm = (b: Blocks, module: string): [string, string] => [
  b.weight('one', `${module}.weight`, [WIDTH]),
  b.weight('zero', `${module}.bias`, [WIDTH]),
];

export interface OptimisedBertOptions {
  /** One number per example, as EmbedLayerNormalization counts them, or the mask itself. */
  readonly mask: 'counted' | 'raw' | 'bounds';
  /** Attention of one packed product, or MultiHeadAttention on three. */
  readonly attention?: 'packed' | 'multi-head';
}

/** BERT at O2: EmbedLayerNormalization, Attention, SkipLayerNormalization with bias, BiasGelu. */
export function optimisedBert({ mask, attention = 'packed' }: OptimisedBertOptions): OnnxModel {
  const b = start('bert', 17, { [MICROSOFT]: 1 });
  const { g, op } = b;
  const int32 = (name: string): string => op('', 'Cast', [g.input(name, 'int64', tokens)], { to: 6 });
  const [ids, maskInput, types] = ['input_ids', 'attention_mask', 'token_type_ids'].map(int32) as [
    string,
    string,
    string,
  ];
  const table = (name: string, rows: number): string =>
    b.weight('embedding', `bert.embeddings.${name}.weight`, [rows, WIDTH]);
  const [embedded, counted] = fused(
    b,
    'EmbedLayerNormalization_0',
    'EmbedLayerNormalization',
    [
      ids,
      types,
      table('word_embeddings', VOCABULARY),
      table('position_embeddings', 40),
      table('token_type_embeddings', 2),
      ...norm(b, 'bert.embeddings.LayerNorm'),
      maskInput,
    ],
    { epsilon: real(EPS), mask_index_type: 1 },
    2,
  ) as [string, string];
  // Where the tokens end, then where they begin.
  const bounds = (): string => op('', 'Concat', [counted, op('', 'Sub', [counted, counted])], { axis: 0 });
  const maskIndex = mask === 'counted' ? counted : mask === 'raw' ? maskInput : bounds();
  let x = embedded;
  for (let i = 0; i < LAYERS; i++) {
    const layer = `bert.encoder.layer.${i}`;
    let context: string;
    if (attention === 'packed') {
      const w = b.weight('linear', `Attention_${i}_qkv_weight`, [WIDTH, 3 * WIDTH]);
      const bias = b.weight('bias', `Attention_${i}_qkv_bias`, [3 * WIDTH]);
      [context] = fused(b, `Attention_${i}`, 'Attention', [x, w, bias, maskIndex], {
        num_heads: HEADS,
      }) as [string];
    } else {
      const parts = ['query', 'key', 'value'].map((n) =>
        product(b, `${layer}.attention.self.${n}`, x, WIDTH, WIDTH),
      );
      const bias = b.weight('bias', `MultiHeadAttention_${i}_qkv_bias`, [3 * WIDTH]);
      [context] = fused(b, `MultiHeadAttention_${i}`, 'MultiHeadAttention', [...parts, bias, maskIndex], {
        num_heads: HEADS,
      }) as [string];
    }
    const skip = (name: string, from: string, to: string, module: string, normed: string): string =>
      fused(
        b,
        name,
        'SkipLayerNormalization',
        [from, to, ...norm(b, normed), b.weight('bias', `${module}.bias`, [WIDTH])],
        { epsilon: real(EPS) },
      )[0]!;
    const out = `${layer}.attention.output`;
    const attended = product(b, `${out}.dense`, context, WIDTH, WIDTH);
    const middle = skip(`SkipLayerNorm_AddBias_${2 * i}`, attended, x, `${out}.dense`, `${out}.LayerNorm`);
    const up = `${layer}.intermediate.dense`;
    const wide = product(b, up, middle, WIDTH, 2 * WIDTH);
    const [h] = fused(b, `Gelu_AddBias_${i}`, 'BiasGelu', [
      wide,
      b.weight('bias', `${up}.bias`, [2 * WIDTH]),
    ]) as [string];
    const down = product(b, `${layer}.output.dense`, h, 2 * WIDTH, WIDTH);
    x = skip(
      `SkipLayerNorm_AddBias_${2 * i + 1}`,
      down,
      middle,
      `${layer}.output.dense`,
      `${layer}.output.LayerNorm`,
    );
  }
  const first = op('', 'Gather', [x, g.ints([0], [])], { axis: 1 });
  const [pooled] = fused(
    b,
    'FusedGemm_0',
    'FusedGemm',
    [
      first,
      b.weight('linear', 'bert.pooler.dense.weight', [WIDTH, WIDTH]),
      b.weight('bias', 'bert.pooler.dense.bias', [WIDTH]),
    ],
    { transB: 1, activation: 'Tanh' },
  ) as [string];
  g.output(b.gemm('classifier', pooled, WIDTH, 3), 'float32', ['batch_size', 3], 'logits');
  return g.build();
}

/** GPT-2 optimised for generation: Attention with the cache of both in one tensor, FastGelu, a head that shares the table. */
export function optimisedGpt2(): OnnxModel {
  const b = start('gpt2', 17, { [MICROSOFT]: 1 });
  const { g, op } = b;
  const headDim = WIDTH / HEADS;
  const root = 'transformer';
  const ids = g.input('input_ids', 'int64', tokens);
  const positions = g.input('position_ids', 'int64', tokens);
  const mask = op('', 'Cast', [g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length'])], {
    to: 6,
  });
  const table = b.weight('embedding', `${root}.wte.weight`, [VOCABULARY, WIDTH]);
  let x = op(root, 'Add', [
    op(`${root}.wte`, 'Gather', [table, ids]),
    b.embedding(`${root}.wpe`, positions, 40, WIDTH),
  ]);
  let branch: [string, string] | null = null;
  const normed = (name: string, module: string): string => {
    if (!branch) return b.layerNorm(module, x, WIDTH, EPS);
    const [y, , , sum] = g.ops(
      4,
      'SkipLayerNormalization',
      [x, branch[0], ...norm(b, module), branch[1]],
      { epsilon: real(EPS) },
      { name, domain: MICROSOFT, outputs: [`${name}_y`, '', '', `${name}_sum`] },
    ) as [string, string, string, string];
    x = sum;
    return y;
  };
  for (let i = 0; i < LAYERS; i++) {
    const layer = `${root}.h.${i}`;
    const past = g.input(`past_${i}`, 'float32', [2, 'batch_size', HEADS, 'past_sequence_length', headDim]);
    const [context, present] = g.ops(
      2,
      'Attention',
      [
        normed(`SkipLayerNorm_a${i}`, `${layer}.ln_1`),
        b.weight('linear', `${layer}.attn.c_attn.weight`, [WIDTH, 3 * WIDTH]),
        b.weight('bias', `${layer}.attn.c_attn.bias`, [3 * WIDTH]),
        mask,
        past,
      ],
      { num_heads: HEADS, unidirectional: 1 },
      { name: `Attention_${i}`, domain: MICROSOFT, outputs: [`Attention_${i}_y`, `present_${i}`] },
    ) as [string, string];
    g.output(present, 'float32', [2, 'batch_size', HEADS, 'total_sequence_length', headDim]);
    branch = [
      product(b, `${layer}.attn.c_proj`, context, WIDTH, WIDTH),
      b.weight('bias', `${layer}.attn.c_proj.bias`, [WIDTH]),
    ];
    const h = product(
      b,
      `${layer}.mlp.c_fc`,
      normed(`SkipLayerNorm_m${i}`, `${layer}.ln_2`),
      WIDTH,
      4 * WIDTH,
    );
    const [active] = fused(b, `FastGelu_${i}`, 'FastGelu', [
      h,
      b.weight('bias', `${layer}.mlp.c_fc.bias`, [4 * WIDTH]),
    ]) as [string];
    branch = [
      product(b, `${layer}.mlp.c_proj`, active, 4 * WIDTH, WIDTH),
      b.weight('bias', `${layer}.mlp.c_proj.bias`, [WIDTH]),
    ];
  }
  const last = normed('SkipLayerNorm_f', `${root}.ln_f`);
  const [logits] = fused(b, 'lm_head_FusedMatMul', 'FusedMatMul', [last, table], {
    transB: 1,
    alpha: real(0.5),
  }) as [string];
  g.output(logits, 'float32', [...tokens, VOCABULARY], 'logits');
  return g.build();
}

/** One attention with a learned bias over distances (T5 as the optimiser leaves it), QuickGelu, and queries longer than one projection. */
export function relativeAttention(): OnnxModel {
  const b = start('relative', 17, { [MICROSOFT]: 1 });
  const { g, op } = b;
  const ids = g.input('input_ids', 'int64', tokens);
  const mask = op('', 'Cast', [g.input('attention_mask', 'int64', tokens)], { to: 6 });
  const x = b.embedding('shared', ids, VOCABULARY, WIDTH);
  const [q, k, v] = ['q', 'k', 'v'].map((n) => product(b, `encoder.attention.${n}`, x, WIDTH, WIDTH)) as [
    string,
    string,
    string,
  ];
  const length = b.size('', ids, 1);
  const range = op('', 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const distance = op('', 'Abs', [op('', 'Sub', [b.unsqueeze('', range, [0]), b.unsqueeze('', range, [1])])]);
  const rows = b.embedding('encoder.attention.relative_attention_bias', distance, 16, HEADS);
  const bias = b.unsqueeze('', op('', 'Transpose', [rows], { perm: [2, 0, 1] }), [0]);
  const [context] = fused(b, 'MultiHeadAttention_0', 'MultiHeadAttention', [q, k, v, '', mask, bias], {
    num_heads: HEADS,
    scale: real(1),
  }) as [string];
  const [h] = fused(b, 'QuickGelu_0', 'QuickGelu', [context]) as [string];
  const [y] = fused(b, 'Gelu_0', 'Gelu', [h]) as [string];
  g.output(product(b, 'lm_head', y, WIDTH, VOCABULARY), 'float32', [...tokens, VOCABULARY], 'logits');
  return g.build();
}
