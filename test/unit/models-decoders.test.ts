/** Today's decoders, built on the spot: Qwen3, Gemma, Phi, SmolLM2. */
import { describeFamilies } from '../tools/familySuite.ts';
import { dynamoNames } from '../tools/graphNames.ts';
import { decoder } from '../tools/graphsDecoders.ts';

const llamaModules = [
  'model.layers.0.self_attn.q_proj',
  'model.layers.1.mlp.down_proj',
  'lm_head',
  'model.embed_tokens',
];

describeFamilies({
  Qwen3: {
    model: () => decoder({ qkNorm: true }),
    family: 'qwen3',
    modules: [...llamaModules, 'model.layers.0.self_attn.q_norm'],
    dispatches: 42,
  },
  Gemma: {
    model: () =>
      decoder({ norm: 'rms from 1', mlp: 'geglu', embeddingScale: Math.sqrt(32), kvHeads: 1, tied: true }),
    family: 'llama',
    modules: [...llamaModules],
    dispatches: 44,
  },
  'Gemma 2': {
    model: () => decoder({ norm: 'rms from 1', mlp: 'geglu', sandwich: true, softcap: 0.4 }),
    family: 'gemma2',
    modules: [...llamaModules, 'model.layers.0.pre_feedforward_layernorm'],
    dispatches: 80,
    attention: 0,
  },
  Phi: {
    model: () => decoder({ norm: 'layer', mlp: 'plain', parallel: true, rotary: 4, kvHeads: 4 }),
    family: 'phi',
    modules: ['model.layers.0.self_attn.dense', 'model.layers.1.mlp.fc1', 'model.final_layernorm'],
    dispatches: 32,
  },
  'Phi-3': {
    model: () => decoder({ packedQkv: true, mlp: 'packed', keep: true }),
    family: 'phi3',
    modules: ['model.layers.0.self_attn.qkv_proj', 'model.layers.1.mlp.gate_up_proj'],
    dispatches: 42,
  },
  'SmolLM2 by dynamo': {
    model: () => dynamoNames(decoder({ attention: 'scaled factors', tied: true })),
    family: 'llama',
    modules: [...llamaModules],
    dispatches: 38,
  },
});
