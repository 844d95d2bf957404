/** What LoHa and LoKr share in PEFT: the fields beside their own, rank and scale of a layer, which layers they take. */

import { say } from '../lib/say.ts';
import { z } from '../lib/schema.ts';
import { field, fileFields, layerFields, patternFields, size } from './fields.ts';
import { lookupPattern } from './perModule.ts';
import { describeModule, patchOf } from './rules.ts';
import type { Layer, TensorInit } from './types.ts';

const { fan_in_fan_out: _notTheirs, ...targets } = layerFields;

const chance = z.number().min(0).max(1);

/**
 * @param rank what the rank means to the method
 * @param most the largest rank there may be
 */
export const lycorisFields = (rank: () => string, most?: number) => ({
  ...fileFields,
  ...targets,
  r: field(size(most), 8, {
    title: () => say`Rank`,
    description: rank,
    symbol: 'r',
    group: 'main',
    min: 1,
    max: 256,
    step: 1,
  }),
  alpha: field(z.number(), 8, {
    title: () => say`Alpha`,
    description: () => say`The update is scaled by alpha / r.`,
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  rank_dropout: field(chance, 0, {
    title: () => say`Rank dropout`,
    description: () => say`In training, the share of rows of the update that are left out at random.`,
    group: 'advanced',
    min: 0,
    max: 0.9,
    step: 0.05,
  }),
  module_dropout: field(chance, 0, {
    title: () => say`Module dropout`,
    description: () => say`In training, how often the update of a whole layer is left out.`,
    group: 'advanced',
    min: 0,
    max: 0.9,
    step: 0.05,
  }),
  ...patternFields(most),
  use_effective_conv2d: field(z.boolean(), false, {
    title: () => say`Effective convolution`,
    description: () =>
      say`Decomposes convolutions along their kernel too. It changes nothing on linear layers.`,
    group: 'file',
  }),
});

interface Ranks {
  readonly r: number;
  readonly alpha: number;
  readonly rank_pattern: Readonly<Record<string, number>>;
  readonly alpha_pattern: Readonly<Record<string, number>>;
  readonly use_effective_conv2d: boolean;
}

/** Rank of a layer and the factor on its update, alpha / r. */
export function lycorisScale(
  layer: Layer,
  config: Ranks,
): { readonly rank: number; readonly scaling: number } {
  const rank = lookupPattern(config.rank_pattern, layer.name, config.r);
  return { rank, scaling: lookupPattern(config.alpha_pattern, layer.name, config.alpha) / rank };
}

const refusedClass = (name: string): string =>
  say`Target module of type <class '${name}'> not supported, currently only adapters for Conv2d, Conv1d, Linear are supported`;

/** What PEFT says of a layer that it does not adapt though it is a matrix like any other. */
export const peftRefusesLycoris = (layer: Layer): string | null =>
  layer.kind === 'conv1d' ? refusedClass('transformers.pytorch_utils.Conv1D') : null;

/** Why the layer or its rank is refused, or null. */
export function refuseLycoris(layer: Layer, config: Ranks): string | null {
  if (layer.kind === 'embedding') return refusedClass('torch.nn.modules.sparse.Embedding');
  if (config.use_effective_conv2d && patchOf(layer).area > 1)
    return say`use_effective_conv2d on ${describeModule(layer)} splits the kernel's axes off, which Papilio does not do; set it to false.`;
  const { rank } = lycorisScale(layer, config);
  return rank <= 0 ? say`\`r\` should be a positive integer value but the value passed is ${rank}` : null;
}

/** torch's kaiming_uniform_(a = √5) of a matrix with so many columns. */
export const kaiming = (columns: number): TensorInit => ({
  kind: 'uniform',
  low: -1 / Math.sqrt(columns),
  high: 1 / Math.sqrt(columns),
});
