/** Every family, built on the spot: imported, run in float64, and compared with onnxruntime; fused against unfused, gradients included. */
import { describe, expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { interpret } from '../../src/graph/interpret.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { Tensor } from '../../src/graph/types.ts';
import { parity } from '../../src/inference/parity.ts';
import { openSession } from '../../src/inference/session.ts';
import { rng } from '../../src/lib/rng.ts';
import type { InputSpec } from '../../src/models/import/bind.ts';
import { importModel } from '../../src/models/import/importModel.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { addN } from '../../src/ops/index.ts';
import { dynamoNames, oldTorchNames } from '../tools/graphNames.ts';
import { encoder, gpt2, llama, VOCABULARY } from '../tools/graphs.ts';
import { dinov2, vit } from '../tools/graphsVision.ts';

const BATCH = 2;
const LENGTH = 7;

/** Contents of an input: random tokens, a mask with padding at the end of the second row, pictures. */
function contents({ name, kind, dims }: InputSpec): { dims: number[]; data: number[] } {
  const shape = dims.map((d, i) => (typeof d === 'number' ? d : i === 0 ? BATCH : LENGTH));
  const random = rng(3, name.length);
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const column = i % LENGTH;
    switch (kind) {
      case 'input_ids':
        return i >= LENGTH && column >= 5 ? 1 : 2 + random.int(VOCABULARY - 2);
      case 'attention_mask':
        return i >= LENGTH && column >= 5 ? 0 : 1;
      case 'position_ids':
        return column;
      case 'token_type_ids':
        return column > 3 ? 1 : 0;
      default:
        return random.normal();
    }
  });
  return { dims: shape, data };
}

interface Run {
  readonly logits: Tensor;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  readonly ops: readonly string[];
}

/** Logits and the gradient of a random combination of them with respect to every weight. */
function run(model: OnnxModel, fuse: boolean): Run {
  const imported = importModel(model);
  const values = new Map(imported.inputs.map((spec) => [spec.name, contents(spec)]));
  const g = createBuilder();
  const { inputs, outputs } = imported.build(
    g,
    { batch: BATCH, sequence: LENGTH },
    { fuse, data: imported.inputs.map(({ name }) => name) },
  );
  const feeds = new Map<string, Tensor>();
  for (const [name, v] of Object.entries(inputs))
    feeds.set(name, { ...v, data: Float64Array.from(values.get(name)!.data) });
  const ops = g.nodes.filter((n) => n.op.kernel).map((n) => n.op.name);
  const logits = outputs.logits!;
  const random = rng(11);
  const seed = g.constant(
    logits,
    Float32Array.from({ length: sizeOf(logits.shape) }, () => random.normal()),
  );
  const wrt = [...new Set(g.nodes.flatMap((n) => n.inputs))].filter((v) => v.role === 'parameter');
  const found = differentiate(g, { of: logits, seed, wrt, sum: addN });
  const named = Object.fromEntries([...found].map(([v, d]) => [v.name, d]));
  const result = interpret(g.finish({ logits, ...named }), feeds);
  return {
    logits: result.get(logits),
    gradients: new Map(Object.entries(named).map(([name, d]) => [name, result.get(d).data])),
    ops,
  };
}

async function inRuntime(model: OnnxModel): Promise<ArrayLike<number>> {
  const session = await openSession(encodeModel(model), { providers: ['wasm'] });
  const specs = importModel(model).inputs;
  const feeds = Object.fromEntries(
    specs.map((spec) => [
      spec.name,
      { dtype: spec.dtype === 'f32' ? ('float32' as const) : ('int64' as const), ...contents(spec) },
    ]),
  );
  const { logits } = await session.run(feeds);
  await session.release();
  return logits!.data;
}

interface Family {
  readonly model: () => OnnxModel;
  readonly family: string;
  /** Some modules, by PyTorch's names. */
  readonly modules: readonly string[];
  /** Nodes that run as kernels, at most. */
  readonly dispatches: number;
}

const bertModules = [
  'bert.encoder.layer.0.attention.self.query',
  'bert.encoder.layer.1.output.dense',
  'classifier',
];
const llamaModules = [
  'model.layers.0.self_attn.q_proj',
  'model.layers.1.mlp.down_proj',
  'lm_head',
  'model.embed_tokens',
];

const families: Readonly<Record<string, Family>> = {
  'BERT, opset 11': {
    model: () => encoder({ family: 'bert', opset: 11 }),
    family: 'bert',
    modules: bertModules,
    dispatches: 37,
  },
  'BERT, opset 17': {
    model: () => encoder({ family: 'bert', opset: 17 }),
    family: 'bert',
    modules: bertModules,
    dispatches: 37,
  },
  'BERT, opset 21': {
    model: () => encoder({ family: 'bert', opset: 21 }),
    family: 'bert',
    modules: bertModules,
    dispatches: 37,
  },
  'BERT, dynamo names': {
    model: () => dynamoNames(encoder({ family: 'bert', opset: 18 })),
    family: 'bert',
    modules: bertModules,
    dispatches: 37,
  },
  'BERT, names of old torch': {
    model: () => oldTorchNames(encoder({ family: 'bert' })),
    family: 'bert',
    modules: bertModules,
    dispatches: 37,
  },
  'BERT, masked-LM head': {
    model: () => encoder({ family: 'bert', head: 'masked-lm' }),
    family: 'bert',
    modules: [
      'cls.predictions.transform.dense',
      'cls.predictions.decoder',
      'bert.embeddings.word_embeddings',
    ],
    dispatches: 38,
  },
  DistilBERT: {
    model: () => encoder({ family: 'distilbert' }),
    family: 'distilbert',
    modules: ['distilbert.transformer.layer.0.attention.q_lin', 'pre_classifier', 'classifier'],
    dispatches: 36,
  },
  RoBERTa: {
    model: () => encoder({ family: 'roberta' }),
    family: 'roberta',
    modules: ['roberta.encoder.layer.0.attention.self.value', 'classifier.dense', 'classifier.out_proj'],
    dispatches: 44,
  },
  ViT: {
    model: () => vit(),
    family: 'vit',
    modules: [
      'vit.embeddings.patch_embeddings.projection',
      'vit.encoder.layer.1.attention.attention.key',
      'vit.embeddings',
    ],
    dispatches: 32,
  },
  DINOv2: {
    model: dinov2,
    family: 'dinov2',
    modules: ['dinov2.encoder.layer.0.mlp.fc1', 'dinov2.encoder.layer.1.layer_scale2', 'classifier'],
    dispatches: 39,
  },
  'GPT-2': {
    model: () => gpt2(),
    family: 'gpt2',
    modules: ['transformer.h.0.attn.c_attn', 'transformer.h.1.mlp.c_proj', 'transformer.wte'],
    dispatches: 36,
  },
  Llama: { model: () => llama(), family: 'llama', modules: llamaModules, dispatches: 50 },
  'Llama, one key head': {
    model: () => llama({ kvHeads: 1 }),
    family: 'llama',
    modules: llamaModules,
    dispatches: 50,
  },
  'Llama, opset 18': {
    model: () => llama({ kvHeads: 4, opset: 18 }),
    family: 'llama',
    modules: llamaModules,
    dispatches: 50,
  },
  Qwen2: { model: () => llama({ qwen: true }), family: 'qwen2', modules: llamaModules, dispatches: 50 },
};

describe.each(Object.entries(families))('%s', { timeout: 60_000 }, (_name, f) => {
  const model = f.model();

  test('gives the answers of onnxruntime', async () => {
    const { logits } = run(model, true);
    expect(parity(logits.data, await inRuntime(model)).maxRel).toBeLessThan(2e-5);
  });

  test('means the same fused and as spelled, down to every gradient', () => {
    const fused = run(model, true);
    const spelled = run(model, false);
    expect(parity(fused.logits.data, spelled.logits.data).maxRel).toBeLessThan(1e-6);
    expect([...fused.gradients.keys()].sort()).toEqual([...spelled.gradients.keys()].sort());
    const scale = Math.max(...[...spelled.gradients.values()].flatMap((d) => [...d].map(Math.abs)));
    for (const [name, d] of fused.gradients) {
      const other = spelled.gradients.get(name)!;
      const worst = d.reduce((m, x, i) => Math.max(m, Math.abs(x - other[i]!)), 0);
      expect(worst / scale, name).toBeLessThan(1e-6);
    }
    expect(fused.ops.length).toBeLessThan(spelled.ops.length);
    expect(fused.ops.length).toBeLessThanOrEqual(f.dispatches);
    expect(fused.ops.filter((op) => op === 'attention')).toHaveLength(2);
    expect(fused.ops).not.toContain('softmax');
  });

  test('is named as in PyTorch', () => {
    const imported = importModel(model);
    expect(imported.family).toBe(f.family);
    const names = imported.modules.map((m) => m.name);
    for (const module of f.modules) expect(names).toContain(module);
    expect(new Set(names).size).toBe(names.length);
  });
});
