/** IA3's settings: PEFT's fields, which layers count as feed-forward, and PEFT's modules by family of models. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { fullMatcher } from '../expressions.ts';
import { field, fileFields, layerFields, targetFields } from '../fields.ts';
import { patchOf } from '../rules.ts';
import type { Layer } from '../types.ts';

export const schema = z.object({
  ...fileFields,
  ...targetFields,
  fan_in_fan_out: layerFields.fan_in_fan_out,
  feedforward_modules: field(z.union([z.array(z.string()), z.string()]).nullable(), null, {
    title: () => say`Feed-forward modules`,
    description: () =>
      say`Targets whose inputs are scaled, not their outputs: a list of name endings (no dot needed before them), or one regular expression for whole names. An empty list means none.`,
    group: 'targets',
  }),
  init_ia3_weights: field(z.boolean(), true, {
    title: () => say`Start without effect`,
    description: () => say`true: every factor starts at one; false: all are random.`,
    group: 'advanced',
  }),
});

export type Ia3Config = z.output<typeof schema>;

/** Whether the layer's inputs are scaled: its name ends with an entry, or matches the expression. */
export function isFeedForward(layer: Layer, config: Ia3Config): boolean {
  let test = feedForwardTests.get(config);
  if (!test) {
    const entries = config.feedforward_modules ?? [];
    test =
      typeof entries === 'string'
        ? fullMatcher(entries, 'feedforward_modules')
        : (name) => entries.some((entry) => name.endsWith(entry));
    feedForwardTests.set(config, test);
  }
  return test(layer.name);
}

const feedForwardTests = new WeakMap<Ia3Config, (name: string) => boolean>();

/** A convolution scales whole channels. */
export const size = (layer: Layer, config: Ia3Config): number =>
  isFeedForward(layer, config) ? patchOf(layer).channels : layer.out;

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
