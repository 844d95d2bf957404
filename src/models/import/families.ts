/** Which family of transformers a model belongs to: what config.json says, else by the names of its modules. */
import type { ModuleInfo } from './modules.ts';

/** Names that only one family has, the more telling first; all patterns of a line must be found. */
const signs: readonly (readonly [string, ...RegExp[]])[] = [
  ['distilbert', /(^|\.)distilbert\.|\.q_lin$/],
  ['deberta-v2', /(^|\.)deberta\.|attention\.self\.(query_proj|in_proj)$/],
  ['roberta', /(^|\.)roberta\./],
  ['dinov2', /layer_scale1$/],
  ['deit', /(^|\.)deit\./],
  ['vit', /(^|\.)vit\.|layernorm_before$/],
  ['clip', /(^|\.)(text|vision)_model\.(embeddings|encoder)\b|(^|\.)pre_layrnorm$/],
  ['bert', /(^|\.)bert\.|attention\.self\.(query|qkv)$/],
  ['gpt2', /\bh\.\d+\.attn\.c_attn$/],
  ['whisper', /encoder\.conv1$/, /encoder_attn\.q_proj$/],
  ['whisper', /(^|\.)conv1$/, /(^|\.)conv2$/, /self_attn_layer_norm$/],
  ['t5', /\.(Self|EncDec)Attention\.q$/],
  ['gemma3_text', /pre_feedforward_layernorm$/, /self_attn\.q_norm$/],
  ['gemma2', /pre_feedforward_layernorm$/],
  ['qwen3', /self_attn\.q_norm$/],
  ['phi3', /self_attn\.qkv_proj$/, /mlp\.gate_up_proj$/],
  ['phi', /self_attn\.dense$/, /mlp\.fc2$/],
  ['llama', /self_attn\.(q|qkv)_proj$/, /mlp\.(gate|down)_proj$/],
];

export function familyOf(config: Readonly<Record<string, unknown>>, modules: readonly ModuleInfo[]): string {
  if (typeof config.model_type === 'string') return config.model_type;
  const has = (sign: RegExp): boolean => modules.some(({ name }) => sign.test(name));
  const guess = signs.find(([, ...patterns]) => patterns.every(has))?.[0];
  if (guess !== 'llama') return guess ?? 'unknown';
  // Qwen2 is Llama with biases on q, k and v.
  const q = modules.find(({ name }) => name.endsWith('self_attn.q_proj'));
  return q?.parameters.bias ? 'qwen2' : 'llama';
}
