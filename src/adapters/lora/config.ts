/** LoRA's settings: PEFT's fields, rank and scaling of a layer, its tensors and how they begin. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, dropoutField, field, fileFields, layerFields, patternFields, size } from '../fields.ts';
import { lookupPattern } from '../perModule.ts';
import { patchOf } from '../rules.ts';
import type { Layer, TensorInit, TensorSpec } from '../types.ts';

const forInit = (what: () => string) => ({
  title: () => '',
  description: () => say`${what()}; read at the start of training only, so a saved adapter does not need it.`,
  group: 'file' as const,
});
const settings = z.record(z.string(), z.unknown());

/** Settings of single initialisations, kept as they are. */
export const initFields = {
  loftq_config: field(
    settings,
    {},
    forInit(() => say`Settings of LoftQ`),
  ),
  eva_config: field(
    settings.nullable(),
    null,
    forInit(() => say`Settings of EVA`),
  ),
  corda_config: field(
    settings.nullable(),
    null,
    forInit(() => say`Settings of CorDA`),
  ),
  lora_ga_config: field(
    settings.nullable(),
    null,
    forInit(() => say`Settings of LoRA-GA`),
  ),
};

export const schema = z.object({
  ...fileFields,
  ...layerFields,
  r: field(size(), 8, {
    title: () => say`Rank`,
    description: () => say`Columns of B and rows of A.`,
    symbol: 'r',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  lora_alpha: field(z.number(), 8, {
    title: () => say`Alpha`,
    description: () => say`The update is scaled by alpha / r.`,
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  lora_dropout: dropoutField(),
  bias: biasField('lora_only'),
  use_rslora: field(z.boolean(), false, {
    title: () => say`Rank-stabilised scaling`,
    description: () => say`Scales by alpha / sqrt(r) instead, so that high ranks still learn.`,
    group: 'advanced',
  }),
  use_dora: field(z.boolean(), false, {
    title: () => say`DoRA`,
    description: () => say`Learns the length of each weight row separately from its direction.`,
    group: 'advanced',
  }),
  lora_bias: field(z.boolean(), false, {
    title: () => say`Bias in B`,
    description: () => say`Gives the update a bias of its own.`,
    group: 'advanced',
  }),
  init_lora_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: () => say`Initialisation`,
    description: () =>
      say`true: A random, B zero, so no effect at the start; "gaussian": A normal; false: both random.`,
    group: 'advanced',
    options: [true, false, 'gaussian'],
  }),
  ...patternFields(),
  ...initFields,
});

export type LoraConfig = z.output<typeof schema>;

/** Initialisations that leave the base weight alone: what is saved is a plain LoRA, however A and B began. */
export const PLAIN_INIT = /^(gaussian|eva|orthogonal|mica)$/;
/** Those that take a part out of the base weight, so that A and B belong to what is left. */
export const CHANGES_BASE = /^(olora|pissa(_niter_\d+)?|corda|lora_ga)$/;

/** Why an adapter that was saved with this initialisation cannot be read without its base weights, or null. */
export function refuseInitialisation(init: string): string | null {
  if (CHANGES_BASE.test(init))
    return say`init_lora_weights='${init}' took a part out of the base weights, and the adapter belongs to what was left; PEFT computes that again when it loads the adapter, Papilio does not. In PEFT save it with save_pretrained(..., path_initial_model_for_weight_conversion=...), which writes a plain LoRA, or merge it there with merge_and_unload(). Another value of init_lora_weights in adapter_config.json would only hide it: the merged weights would be wrong by that part.`;
  if (init === 'loftq')
    return say`init_lora_weights='loftq' replaced the base weights by rounded ones, and the adapter belongs to those; Papilio has the weights that were not rounded. Merge it in PEFT with merge_and_unload(), on the base that LoftQ wrote, and export the result.`;
  return PLAIN_INIT.test(init) ? null : say`Unknown initialization init_lora_weights='${init}'`;
}

/** Rank and scaling of one layer: alpha / r, or alpha / sqrt(r) with rsLoRA. */
export function loraScale(
  layer: Layer,
  config: LoraConfig,
): { readonly rank: number; readonly scaling: number } {
  const rank = lookupPattern(config.rank_pattern, layer.name, config.r);
  const alpha = lookupPattern(config.alpha_pattern, layer.name, config.lora_alpha);
  return { rank, scaling: alpha / (config.use_rslora ? Math.sqrt(rank) : rank) };
}

function uniform(bound: number): TensorInit {
  return { kind: 'uniform', low: -bound, high: bound };
}

/** A and B of an embedding; their roles at the start are reversed, so that B is the random one. */
function embeddingTensors(layer: Layer, rank: number, config: LoraConfig): TensorSpec[] {
  const normal: TensorInit = { kind: 'normal', mean: 0, std: 1 };
  const start: TensorInit = config.init_lora_weights === false ? normal : { kind: 'zeros' };
  return [
    { name: 'lora_embedding_A', shape: [rank, layer.in], init: start },
    { name: 'lora_embedding_B', shape: [layer.out, rank], init: normal },
  ];
}

function linearTensors(layer: Layer, rank: number, config: LoraConfig): TensorSpec[] {
  const random = config.init_lora_weights === false;
  const startA: TensorInit =
    config.init_lora_weights === 'gaussian'
      ? { kind: 'normal', mean: 0, std: 1 / rank }
      : uniform(1 / Math.sqrt(layer.in));
  const startB: TensorInit = random ? uniform(1 / Math.sqrt(rank)) : { kind: 'zeros' };
  const isPatch = layer.kind === 'conv2d';
  const { channels, kernel } = patchOf(layer);
  const tensors: TensorSpec[] = [
    {
      name: 'lora_A.weight',
      shape: isPatch ? [rank, channels, ...kernel] : [rank, layer.in],
      init: startA,
    },
    {
      name: 'lora_B.weight',
      shape: isPatch ? [layer.out, rank, 1, 1] : [layer.out, rank],
      init: startB,
    },
  ];
  if (config.lora_bias) tensors.push({ name: 'lora_B.bias', shape: [layer.out], init: startB });
  if (config.use_dora) {
    tensors.push({
      name: 'lora_magnitude_vector',
      shape: isPatch ? [1, layer.out, 1, 1] : [layer.out],
      init: { kind: 'row-norms' },
    });
  }
  return tensors;
}

export function tensors(layer: Layer, config: LoraConfig): readonly TensorSpec[] {
  const { rank } = loraScale(layer, config);
  return layer.kind === 'embedding'
    ? embeddingTensors(layer, rank, config)
    : linearTensors(layer, rank, config);
}
