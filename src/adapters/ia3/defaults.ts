/**
 * The modules that PEFT's IA3 scales in a family of transformers where a configuration names none; those of the second list count as
 * feed-forward.
 *
 * Source: TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING and …_FEEDFORWARD_MODULES_MAPPING in peft/utils/constants.py (0.18).
 */

interface Ia3Default {
  readonly target: readonly string[];
  readonly feedforward: readonly string[];
}

const of = (target: readonly string[], feedforward: readonly string[]): Ia3Default => ({
  target,
  feedforward,
});

const ENCODER = of(['key', 'value', 'output.dense'], ['output.dense']);
const KEY_VALUE = of(['k_proj', 'v_proj', 'down_proj'], ['down_proj']);
const QUERY_VALUE = of(['q_proj', 'v_proj', 'down_proj'], ['down_proj']);
const PACKED = of(['query_key_value', 'dense_4h_to_h'], ['dense_4h_to_h']);
const GPT2 = of(['c_attn', 'mlp.c_proj'], ['mlp.c_proj']);

export const IA3_DEFAULTS: Readonly<Record<string, Ia3Default>> = {
  t5: of(['k', 'v', 'wo'], ['wo']),
  mt5: of(['k', 'v', 'wi_1'], []),
  gpt2: GPT2,
  bloom: of(['query_key_value', 'mlp.dense_4h_to_h'], ['mlp.dense_4h_to_h']),
  roberta: ENCODER,
  opt: of(['q_proj', 'k_proj', 'fc2'], ['fc2']),
  gptj: of(['q_proj', 'v_proj', 'fc_out'], ['fc_out']),
  gpt_neox: PACKED,
  gpt_neo: of(['q_proj', 'v_proj', 'c_proj'], ['c_proj']),
  bart: of(['q_proj', 'v_proj', 'fc2'], ['fc2']),
  gpt_bigcode: GPT2,
  llama: KEY_VALUE,
  llama4: QUERY_VALUE,
  mistral: KEY_VALUE,
  mixtral: of(['k_proj', 'v_proj', 'w2'], ['w2']),
  bert: ENCODER,
  'deberta-v2': of(['key_proj', 'value_proj', 'output.dense'], ['output.dense']),
  deberta: of(['in_proj', 'output.dense'], ['output.dense']),
  RefinedWebModel: PACKED,
  RefinedWeb: PACKED,
  falcon: PACKED,
  phi: of(['q_proj', 'v_proj', 'fc2'], ['fc2']),
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  gemma3_text: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
};
