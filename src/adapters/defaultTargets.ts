/**
 * The modules that PEFT adapts in a family of transformers where a configuration names none, by `model_type` of config.json.
 *
 * Source: TRANSFORMERS_MODELS_TO_…_TARGET_MODULES_MAPPING in peft/utils/constants.py (0.18). OFT, BOFT, LoHa and LoKr use LoRA's table.
 */

type TargetTable = Readonly<Record<string, readonly string[]>>;

const QUERY_VALUE = ['q_proj', 'v_proj'];
const BERT_QUERY_VALUE = ['query', 'value'];
const PACKED = ['query_key_value'];

export const LORA_TARGETS: TargetTable = {
  t5: ['q', 'v'],
  mt5: ['q', 'v'],
  bart: QUERY_VALUE,
  gpt2: ['c_attn'],
  bloom: PACKED,
  'blip-2': ['q', 'v', ...QUERY_VALUE],
  opt: QUERY_VALUE,
  gptj: QUERY_VALUE,
  gpt_neox: PACKED,
  gpt_neo: QUERY_VALUE,
  bert: BERT_QUERY_VALUE,
  roberta: BERT_QUERY_VALUE,
  'xlm-roberta': BERT_QUERY_VALUE,
  electra: BERT_QUERY_VALUE,
  'deberta-v2': ['query_proj', 'value_proj'],
  deberta: ['in_proj'],
  layoutlm: BERT_QUERY_VALUE,
  llama: QUERY_VALUE,
  llama4: QUERY_VALUE,
  chatglm: PACKED,
  gpt_bigcode: ['c_attn'],
  mpt: ['Wqkv'],
  RefinedWebModel: PACKED,
  RefinedWeb: PACKED,
  falcon: PACKED,
  btlm: ['c_proj', 'c_attn'],
  codegen: ['qkv_proj'],
  mistral: QUERY_VALUE,
  mixtral: QUERY_VALUE,
  stablelm: QUERY_VALUE,
  phi: [...QUERY_VALUE, 'fc1', 'fc2'],
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  gemma3_text: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
};

export const VERA_TARGETS: TargetTable = { ...LORA_TARGETS, phi: QUERY_VALUE };

export const FOURIERFT_TARGETS: TargetTable = {
  ...LORA_TARGETS,
  gpt2: ['mlp.c_proj'],
  gpt_bigcode: ['mlp.c_proj'],
};

export const ADALORA_TARGETS: TargetTable = {
  t5: ['q', 'k', 'v', 'o', 'wi', 'wo'],
  mt5: ['q', 'k', 'v', 'o', 'wi_0', 'wi_1', 'wo'],
  bart: ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'],
  gpt2: ['c_attn'],
  bloom: PACKED,
  opt: ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'],
  gptj: QUERY_VALUE,
  gpt_neox: PACKED,
  gpt_neo: QUERY_VALUE,
  llama: QUERY_VALUE,
  llama4: QUERY_VALUE,
  bert: BERT_QUERY_VALUE,
  roberta: ['query', 'key', 'value', 'dense'],
  'deberta-v2': ['query_proj', 'key_proj', 'value_proj', 'dense'],
  gpt_bigcode: ['c_attn'],
  deberta: ['in_proj'],
  gemma: QUERY_VALUE,
  gemma2: QUERY_VALUE,
  gemma3_text: QUERY_VALUE,
  qwen2: QUERY_VALUE,
  qwen3: QUERY_VALUE,
};

/** The targets of a family, or null where the table has none. */
export function targetsOf(
  table: TargetTable,
  modelType: string | null | undefined,
): readonly string[] | null {
  return Object.hasOwn(table, modelType ?? '') ? table[modelType!]! : null;
}
