/** The modules PEFT scales in the model families Papilio imports, where a configuration names none; the second list counts as feed-forward. */

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
const NONE = of([], []);

export const IA3_DEFAULTS: Readonly<Record<string, Ia3Default>> = {
  bert: ENCODER,
  roberta: ENCODER,
  // LoRA has targets for these two, IA3 has not.
  'xlm-roberta': NONE,
  electra: NONE,
  gpt2: of(['c_attn', 'mlp.c_proj'], ['mlp.c_proj']),
  gpt_neo: of(['q_proj', 'v_proj', 'c_proj'], ['c_proj']),
  gpt_neox: of(['query_key_value', 'dense_4h_to_h'], ['dense_4h_to_h']),
  opt: of(['q_proj', 'k_proj', 'fc2'], ['fc2']),
  bart: of(['q_proj', 'v_proj', 'fc2'], ['fc2']),
  t5: of(['k', 'v', 'wo'], ['wo']),
  mt5: of(['k', 'v', 'wi_1'], []),
  llama: KEY_VALUE,
  mistral: KEY_VALUE,
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
  phi: of(['q_proj', 'v_proj', 'fc2'], ['fc2']),
};
