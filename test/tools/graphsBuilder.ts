/**
 * Small decoders as the genai model builder writes them (GroupQueryAttention, SkipSimplifiedLayerNormalization), and as torch's dynamo
 * exporter does at opset 23 (Attention, RMSNormalization, RotaryEmbedding).
 */

import { f32Tensor } from '../../src/onnx/tensor.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { Blocks } from '../../tools/pretrain/architectures/blocks.ts';
import { EPS, LAYERS, start, VOCABULARY } from './graphs.ts';
import { fused, MICROSOFT, real } from './graphsContrib.ts';

/** onnxruntime turns heads by multiples of 16 only. */
const HEAD_DIM = 16;
const HEADS = 4;
const KV_HEADS = 2;
const WIDTH = HEADS * HEAD_DIM;
const HIDDEN = 48;
const CONTEXT = 32;

const batchAndLength = ['batch_size', 'sequence_length'];

/** cos_cache and sin_cache [CONTEXT, numbers/2]. */
function angleTables(b: Blocks, numbers: number): [string, string] {
  const half = numbers / 2;
  return (['cos', 'sin'] as const).map((fn) =>
    b.g.initializer(
      f32Tensor(
        `${fn}_cache`,
        [CONTEXT, half],
        Float32Array.from({ length: CONTEXT * half }, (_, i) =>
          Math[fn](Math.floor(i / half) * 10000 ** (-(i % half) / half)),
        ),
      ),
    ),
  ) as [string, string];
}

export interface BuilderOptions {
  /** GroupQueryAttention that turns q and k itself; or RotaryEmbedding before it, on part of each head; or MultiHeadAttention after it. */
  readonly attention: 'group-query' | 'turned before' | 'multi-head';
  /** One projection for q, k and v. */
  readonly packed?: boolean;
  /** Qwen3: q and k are normalised per head. */
  readonly qkNorm?: boolean;
  readonly cache?: boolean;
  /** Keys that a query sees. */
  readonly window?: number;
  readonly softcap?: number;
}

export function builderLlama(o: BuilderOptions): OnnxModel {
  const b = start('llama', 17, { [MICROSOFT]: 1 });
  const { g, op } = b;
  const ids = g.input('input_ids', 'int64', batchAndLength);
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const kvHeads = o.attention === 'multi-head' ? HEADS : KV_HEADS;
  const partial = o.attention !== 'group-query';
  const tables = angleTables(b, partial ? HEAD_DIM / 2 : HEAD_DIM);
  const counted = op('model.attn_mask', 'ReduceSum', [mask, g.ints([1])], { keepdims: 0 });
  const lengths = op('model.attn_mask', 'Cast', [op('model.attn_mask', 'Sub', [counted, g.ints([1])])], {
    to: 6,
  });
  const total = op('model.attn_mask', 'Cast', [b.size('model.attn_mask', mask, 1)], { to: 6 });
  const keyMask = op('model.attn_mask', 'Cast', [mask], { to: 6 });
  const weight = (name: string): string => b.weight('one', name, [WIDTH]);

  let x = b.embedding('model.embed_tokens', ids, VOCABULARY, WIDTH);
  let branch: string | null = null;
  const norm = (layer: string, name: string): string => {
    if (branch === null) {
      return g.op(
        'SimplifiedLayerNormalization',
        [x, weight(`${layer}.${name}.weight`)],
        { axis: -1, epsilon: real(EPS) },
        {
          name: `/${layer.replaceAll('.', '/')}/${name}/LayerNorm`,
        },
      );
    }
    const path = `/${layer.replaceAll('.', '/').replace('layers/', 'layers.')}/${name}/SkipLayerNorm`;
    const [y, , , sum] = g.ops(
      4,
      'SkipSimplifiedLayerNormalization',
      [x, branch, weight(`${layer}.${name}.weight`)],
      { epsilon: real(EPS) },
      { name: path, domain: MICROSOFT, outputs: [`${path}/output_0`, '', '', `${path}/output_3`] },
    ) as [string, string, string, string];
    x = sum;
    return y;
  };
  for (let i = 0; i < LAYERS; i++) {
    const layer = `model.layers.${i}`;
    const attn = `${layer}.attn`;
    const path = `/model/layers.${i}/attn`;
    const y = norm(layer, 'input_layernorm');
    const past = o.cache
      ? ['key', 'value'].map((kind) =>
          g.input(`past_key_values.${i}.${kind}`, 'float32', [
            'batch_size',
            kvHeads,
            'past_sequence_length',
            HEAD_DIM,
          ]),
        )
      : ['', ''];
    const outputs = [`${path}/output_0`, ...(o.cache ? [`present.${i}.key`, `present.${i}.value`] : [])];
    let qkv: string[];
    if (o.packed) {
      qkv = [b.linear(`${attn}.qkv_proj`, y, WIDTH, (HEADS + 2 * kvHeads) * HEAD_DIM, false), '', ''];
    } else {
      qkv = [
        b.linear(`${attn}.q_proj`, y, WIDTH, WIDTH, false),
        b.linear(`${attn}.k_proj`, y, WIDTH, kvHeads * HEAD_DIM, false),
        b.linear(`${attn}.v_proj`, y, WIDTH, kvHeads * HEAD_DIM, false),
      ];
    }
    if (o.qkNorm) {
      for (const [at, name, heads] of [
        [0, 'q_norm', HEADS],
        [1, 'k_norm', kvHeads],
      ] as const) {
        const split = b.reshape(attn, qkv[at]!, [0, -1, HEAD_DIM]);
        const scale = b.weight('one', `${attn}.${name}.layernorm.weight`, [HEAD_DIM]);
        const normed = g.op(
          'SimplifiedLayerNormalization',
          [split, scale],
          { axis: -1, epsilon: real(EPS) },
          {
            name: `${path}/${name}/SimplifiedLayerNormalization`,
          },
        );
        const shape = op(attn, 'Shape', [y]);
        const lead = op(attn, 'Slice', [shape, g.ints([0]), g.ints([2])]);
        const whole = op(attn, 'Concat', [lead, g.ints([heads * HEAD_DIM])], { axis: 0 });
        qkv[at] = op(attn, 'Reshape', [normed, whole]);
      }
    }
    if (partial) {
      const range = op(attn, 'Range', [g.ints([0], []), b.size(attn, ids, 1), g.ints([1], [])]);
      const positions = op(attn, 'Expand', [b.unsqueeze(attn, range, [0]), op(attn, 'Shape', [ids])]);
      for (const [at, name, heads] of [
        [0, 'q_rotary', HEADS],
        [1, 'k_rotary', kvHeads],
      ] as const) {
        [qkv[at]] = fused(
          b,
          `${path}/${name}/RotaryEmbedding`,
          'RotaryEmbedding',
          [qkv[at]!, positions, ...tables],
          {
            num_heads: heads,
            rotary_embedding_dim: HEAD_DIM / 2,
            interleaved: 1,
          },
        ) as [string];
      }
    }
    const [context] = (
      o.attention === 'multi-head'
        ? g.ops(
            outputs.length,
            'MultiHeadAttention',
            [...qkv, '', keyMask, '', ...past],
            { num_heads: HEADS, unidirectional: 1 },
            {
              name: `${path}/MultiHeadAttention`,
              domain: MICROSOFT,
              outputs,
            },
          )
        : g.ops(
            outputs.length,
            'GroupQueryAttention',
            [...qkv, ...past, lengths, total, ...(partial ? [] : tables)],
            {
              num_heads: HEADS,
              kv_num_heads: kvHeads,
              do_rotary: partial ? 0 : 1,
              scale: real(0.25),
              local_window_size: o.window ?? -1,
              softcap: real(o.softcap ?? 0),
            },
            { name: `${path}/GroupQueryAttention`, domain: MICROSOFT, outputs },
          )
    ) as [string];
    for (const name of outputs.slice(1))
      g.output(name, 'float32', ['batch_size', kvHeads, 'total_sequence_length', HEAD_DIM]);
    branch = b.linear(`${attn}.o_proj`, context, WIDTH, WIDTH, false);
    const z = norm(layer, 'post_attention_layernorm');
    const gate = b.silu(`${layer}.mlp.act_fn`, b.linear(`${layer}.mlp.gate_proj`, z, WIDTH, HIDDEN, false));
    const up = b.linear(`${layer}.mlp.up_proj`, z, WIDTH, HIDDEN, false);
    branch = b.linear(`${layer}.mlp.down_proj`, op(`${layer}.mlp`, 'Mul', [gate, up]), HIDDEN, WIDTH, false);
  }
  const last = norm(`model.layers.${LAYERS}`, 'final_norm_layernorm');
  g.output(
    b.linear('lm_head', last, WIDTH, VOCABULARY, false),
    'float32',
    [...batchAndLength, VOCABULARY],
    'logits',
  );
  return g.build();
}

export interface StandardOptions {
  /** A flag, or a boolean mask [B, 1, S, S] that also hides padding. */
  readonly mask: 'flag' | 'boolean';
  /** q, k and v as [B, S, H·D] instead of [B, H, S, D]. */
  readonly rows?: boolean;
}

/** The module list in the metadata that dynamo's exporter writes. */
function scopes(module: string, opType: string): Record<string, string> {
  const parts = module.split('.');
  const list = ['', ...parts.map((_, i) => parts.slice(0, i + 1).join('.')), opType.toLowerCase()];
  return { 'pkg.torch.onnx.name_scopes': `[${list.map((s) => `'${s}'`).join(', ')}]` };
}

/** Llama at opset 23: the standard's own Attention, RMSNormalization and RotaryEmbedding; nodes named by number. */
export function standardLlama(o: StandardOptions): OnnxModel {
  const b = start('llama', 23);
  const { g } = b;
  let count = 0;
  const op = (module: string, opType: string, inputs: readonly string[], attributes = {}): string =>
    g.op(opType, inputs, attributes, { name: `node_${opType}_${count++}`, metadata: scopes(module, opType) });
  const linear = (module: string, x: string, from: number, to: number): string =>
    op(module, 'MatMul', [x, b.weight('linear', `val_${count}`, [from, to])]);
  const rms = (module: string, x: string, width: number): string =>
    op(module, 'RMSNormalization', [x, b.weight('one', `${module}.weight`, [width])], {
      axis: -1,
      epsilon: real(EPS),
    });
  const ids = g.input('input_ids', 'int64', batchAndLength);
  const attentionMask = g.input('attention_mask', 'int64', batchAndLength);
  const [cos, sin] = angleTables(b, HEAD_DIM);
  const length = b.size('model', ids, 1);
  const range = b.op('model', 'Range', [g.ints([0], []), length, g.ints([1], [])]);
  const positions = b.op('model', 'Expand', [
    b.unsqueeze('model', range, [0]),
    b.op('model', 'Shape', [ids]),
  ]);
  const seen = b.op('model', 'LessOrEqual', [
    b.unsqueeze('model', range, [0]),
    b.unsqueeze('model', range, [1]),
  ]);
  const kept = b.op('model', 'Cast', [b.unsqueeze('model', attentionMask, [1, 2])], { to: 9 });
  const mask = b.op('model', 'And', [seen, kept]);
  let x = op('model.embed_tokens', 'Gather', [
    b.weight('embedding', 'model.embed_tokens.weight', [VOCABULARY, WIDTH]),
    ids,
  ]);
  for (let i = 0; i < LAYERS; i++) {
    const layer = `model.layers.${i}`;
    const attn = `${layer}.self_attn`;
    const y = rms(`${layer}.input_layernorm`, x, WIDTH);
    const project = (name: string, heads: number): string => {
      const p = linear(`${attn}.${name}`, y, WIDTH, heads * HEAD_DIM);
      if (o.rows) return p;
      return op(attn, 'Transpose', [op(attn, 'Reshape', [p, g.ints([0, 0, heads, HEAD_DIM])])], {
        perm: [0, 2, 1, 3],
      });
    };
    const turn = (v: string, heads: number): string =>
      op(attn, 'RotaryEmbedding', [v, cos, sin, positions], o.rows ? { num_heads: heads } : {});
    const [q, k] = [turn(project('q_proj', HEADS), HEADS), turn(project('k_proj', KV_HEADS), KV_HEADS)];
    const inputs = [q, k, project('v_proj', KV_HEADS), ...(o.mask === 'boolean' ? [mask] : [])];
    const context = op(attn, 'Attention', inputs, {
      is_causal: o.mask === 'flag' ? 1 : 0,
      scale: real(0.2),
      ...(o.rows ? { q_num_heads: HEADS, kv_num_heads: KV_HEADS } : {}),
    });
    const joined = o.rows
      ? context
      : op(attn, 'Reshape', [
          op(attn, 'Transpose', [context], { perm: [0, 2, 1, 3] }),
          g.ints([0, 0, WIDTH]),
        ]);
    x = op(layer, 'Add', [x, linear(`${attn}.o_proj`, joined, WIDTH, WIDTH)]);
    const z = rms(`${layer}.post_attention_layernorm`, x, WIDTH);
    const gate = linear(`${layer}.mlp.gate_proj`, z, WIDTH, HIDDEN);
    const active = op(`${layer}.mlp`, 'Mul', [gate, op(`${layer}.mlp.act_fn`, 'Sigmoid', [gate])]);
    const up = linear(`${layer}.mlp.up_proj`, z, WIDTH, HIDDEN);
    x = op(layer, 'Add', [
      x,
      linear(`${layer}.mlp.down_proj`, op(`${layer}.mlp`, 'Mul', [active, up]), HIDDEN, WIDTH),
    ]);
  }
  const logits = linear('lm_head', rms('model.norm', x, WIDTH), WIDTH, VOCABULARY);
  g.output(logits, 'float32', [...batchAndLength, VOCABULARY], 'logits');
  return g.build();
}
