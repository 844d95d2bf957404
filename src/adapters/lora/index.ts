/** LoRA as PEFT has it, with rsLoRA, DoRA, lora_bias and pattern dictionaries: the yardstick beside the orthogonal methods. */
import { sizeOf } from '../../lib/numbers.ts';
import { say } from '../../lib/say.ts';
import { noticeFanInFanOut, refuseLayersWithExpression } from '../rules.ts';
import { defineMethod } from '../types.ts';
import {
  CHANGES_BASE,
  type LoraConfig,
  loraScale,
  PLAIN_INIT,
  refuseInitialisation,
  schema,
  tensors,
} from './config.ts';

export const lora = defineMethod<LoraConfig>({
  id: 'lora',
  peftType: 'LORA',
  title: 'LoRA',
  family: 'low-rank',
  start: { learningRate: 4e-3 },
  size: [{ field: 'r', values: { min: 1, max: 1024 }, alongside: ['lora_alpha'] }],
  schema,
  fixed: {
    megatron_config: null,
    megatron_core: 'megatron.core',
    trainable_token_indices: null,
    velora_config: null,
    alora_invocation_tokens: null,
    use_qalora: false,
    qalora_group_size: 16,
    monteclora_config: null,
    layer_replication: null,
    target_parameters: null,
    use_bdlora: null,
    arrow_config: null,
    kasa_config: null,
    ensure_weight_tying: false,
  },
  targets: 'required',
  fileNames: [
    'lora_A.weight',
    'lora_B.weight',
    'lora_B.bias',
    'lora_magnitude_vector',
    'lora_embedding_A',
    'lora_embedding_B',
  ],
  alsoRead: { 'lora_magnitude_vector.weight': 'lora_magnitude_vector' },
  refuse(config) {
    const init = config.init_lora_weights;
    const filtered = refuseLayersWithExpression(config);
    if (filtered !== null) return filtered;
    if (config.lora_bias && typeof init !== 'boolean') {
      return say`The argument lora_bias=True is only supported with init_lora_weights=True or False, got init_lora_weights=${init} instead.`;
    }
    if (config.lora_bias && config.use_dora) {
      return say`The argument lora_bias=True is not supported for DoRA, please pass use_dora=False`;
    }
    if (init === 'loftq' && Object.keys(config.loftq_config).length === 0)
      return say`\`loftq_config\` must be specified when \`init_lora_weights\` is 'loftq'.`;
    return typeof init === 'string' ? refuseInitialisation(init) : null;
  },
  refuseStart: ({ init_lora_weights: init }) =>
    typeof init === 'string' && init !== 'gaussian' && (PLAIN_INIT.test(init) || CHANGES_BASE.test(init))
      ? say`a new adapter cannot begin with init_lora_weights='${init}' here; begin with true, false or 'gaussian' (an adapter that PEFT began so and saved can be gone on with).`
      : null,
  check(layer, config) {
    if (layer.kind === 'embedding' && config.lora_bias)
      return say`lora_bias=True is not supported for Embedding.`;
    if (layer.kind === 'embedding' && config.use_dora)
      return say`DoRA on embeddings is not available in Papilio; set use_dora to false or leave the embedding out.`;
    const { rank } = loraScale(layer, config);
    return rank <= 0 ? say`\`r\` should be a positive integer value but the value passed is ${rank}` : null;
  },
  notice: (layer, config) => noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const stored = tensors(layer, config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    return { stored, free: stored };
  },
  pattern(layer, config) {
    const { rank } = loraScale(layer, config);
    return {
      role: 'update',
      factors: [
        { kind: 'dense', label: 'B', rows: layer.out, columns: rank },
        { kind: 'dense', label: 'A', rows: rank, columns: layer.in },
      ],
    };
  },
  tensors,
  graph: () => import('./graph.ts'),
});
