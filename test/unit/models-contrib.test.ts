/** Graphs of onnxruntime's optimiser and of the genai model builder: the runtime's answers, the gradients' slopes, PyTorch's names. */
import { describe, expect, test } from 'vitest';
import { importModel } from '../../src/models/import/importModel.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { parity } from '../../src/training/parity.ts';
import { builderLlama, standardLlama } from '../tools/graphsBuilder.ts';
import { optimisedBert, optimisedGpt2, relativeAttention } from '../tools/graphsContrib.ts';
import { gradientError, inRuntime, isPadding, type Run, run, slopeError } from '../tools/importRun.ts';

const llamaModules = ['model.embed_tokens', 'model.layers.1.mlp.gate_proj', 'lm_head'];

interface Style {
  readonly model: () => OnnxModel;
  readonly modules: readonly string[];
  readonly family: string;
  /** The runtime leaves what padding gives undefined. */
  readonly realOnly?: boolean;
  /** Kernels of attention; 0 where it must stay spelled out. */
  readonly attention: number;
}

const bertModules = [
  'bert.embeddings.word_embeddings',
  'bert.encoder.layer.0.attention.output.dense',
  'bert.encoder.layer.1.intermediate.dense',
  'bert.pooler.dense',
];

const styles: Readonly<Record<string, Style>> = {
  'BERT at O2, counted mask': {
    model: () => optimisedBert({ mask: 'counted' }),
    family: 'bert',
    modules: [...bertModules, 'bert.encoder.layer.0.attention.self.query'],
    attention: 2,
  },
  'BERT at O2, raw mask': {
    model: () => optimisedBert({ mask: 'raw' }),
    family: 'bert',
    modules: bertModules,
    attention: 2,
  },
  'BERT at O2, bounds of the tokens': {
    model: () => optimisedBert({ mask: 'bounds' }),
    family: 'bert',
    modules: bertModules,
    attention: 2,
  },
  'BERT, MultiHeadAttention': {
    model: () => optimisedBert({ mask: 'counted', attention: 'multi-head' }),
    family: 'bert',
    modules: [...bertModules, 'bert.encoder.layer.0.attention.self.query'],
    attention: 2,
  },
  'GPT-2 with its cache in one tensor': {
    model: optimisedGpt2,
    family: 'gpt2',
    modules: ['transformer.h.0.attn.c_attn', 'transformer.h.1.mlp.c_proj', 'transformer.wte'],
    attention: 2,
  },
  'builder, GroupQueryAttention': {
    model: () => builderLlama({ attention: 'group-query', cache: true }),
    family: 'llama',
    modules: [...llamaModules, 'model.layers.0.self_attn.q_proj', 'model.norm'],
    realOnly: true,
    attention: 2,
  },
  'builder, packed q, k, v without a cache': {
    model: () => builderLlama({ attention: 'group-query', packed: true }),
    family: 'llama',
    modules: [...llamaModules, 'model.layers.1.self_attn.q_proj'],
    realOnly: true,
    attention: 2,
  },
  'builder, q and k normalised, turned before, a window': {
    model: () => builderLlama({ attention: 'turned before', qkNorm: true, cache: true, window: 3 }),
    family: 'qwen3',
    modules: [...llamaModules, 'model.layers.1.self_attn.q_norm'],
    realOnly: true,
    attention: 2,
  },
  'builder, capped scores': {
    model: () => builderLlama({ attention: 'group-query', softcap: 0.5 }),
    family: 'llama',
    modules: llamaModules,
    realOnly: true,
    attention: 0,
  },
  'builder, MultiHeadAttention': {
    model: () => builderLlama({ attention: 'multi-head', cache: true }),
    family: 'llama',
    modules: [...llamaModules, 'model.layers.1.self_attn.k_proj'],
    attention: 2,
  },
  'opset 23, causal flag': {
    model: () => standardLlama({ mask: 'flag' }),
    family: 'llama',
    modules: [...llamaModules, 'model.layers.1.self_attn.k_proj', 'model.norm'],
    attention: 2,
  },
  'opset 23, boolean mask, rows': {
    model: () => standardLlama({ mask: 'boolean', rows: true }),
    family: 'llama',
    modules: llamaModules,
    attention: 2,
  },
  'a learned bias over distances': {
    model: relativeAttention,
    family: 'unknown',
    modules: ['encoder.attention.relative_attention_bias', 'encoder.attention.q', 'lm_head'],
    attention: 0,
  },
};

describe.each(Object.entries(styles))('%s', { timeout: 60_000 }, (_name, s) => {
  const model = s.model();
  let once: Run | null = null;
  const fusedRun = (): Run => (once ??= run(model, true));

  test('gives the answers of onnxruntime', async () => {
    const { logits } = fusedRun();
    const width = logits.shape.at(-1)!;
    const kept = (data: ArrayLike<number>): number[] =>
      Array.from(data).filter((_, i) => !s.realOnly || !isPadding(Math.floor(i / width)));
    expect(parity(kept(logits.data), kept(await inRuntime(model))).maxRel).toBeLessThan(2e-5);
  });

  test('has the gradients of the spelled form and of differences', () => {
    const fused = fusedRun();
    expect(gradientError(fused, run(model, false))).toBeLessThan(1e-6);
    expect(slopeError(fused)).toBeLessThan(1e-5);
    expect(fused.ops.filter((op) => op === 'attention')).toHaveLength(s.attention);
  });

  test('is named as in PyTorch', () => {
    const imported = importModel(model);
    const names = imported.modules.map((m) => m.name);
    for (const module of s.modules) expect(names).toContain(module);
    expect(imported.family).toBe(s.family);
  });
});

test('every bias of an optimised BERT belongs to the product before it, whichever side of a skip norm that is', () => {
  const { graph } = run(optimisedBert({ mask: 'counted' }), true);
  const layers = graph.nodes.filter(({ op, module }) => op.name === 'linear' && module?.endsWith('.dense'));
  expect(layers.length).toBeGreaterThan(5);
  expect(layers.filter(({ inputs }) => inputs.length < 3).map(({ module }) => module)).toEqual([]);
});
