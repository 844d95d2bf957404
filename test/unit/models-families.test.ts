/** The older families, built on the spot: encoders, vision transformers, GPT-2, Llama and Qwen2. */
import { describeFamilies, type Family } from '../tools/familySuite.ts';
import { dynamoNames, oldTorchNames } from '../tools/graphNames.ts';
import { encoder, gpt2, llama } from '../tools/graphs.ts';
import { dinov2, vit } from '../tools/graphsVision.ts';

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

describeFamilies(families);
