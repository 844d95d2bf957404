/** LoHa's settings: PEFT's fields, and the four matrices of a layer. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { field } from '../fields.ts';
import { kaiming, lycorisFields, lycorisScale } from '../lycoris.ts';
import type { Layer, TensorSpec } from '../types.ts';

export const schema = z.object({
  ...lycorisFields(
    () => say`Columns of each w_a and rows of each w_b; the update can have a rank of up to r squared.`,
  ),
  init_weights: field(z.boolean(), true, {
    title: () => say`Start without effect`,
    description: () => say`true: the last of the four matrices starts at zero; false: all are random.`,
    group: 'advanced',
  }),
});

export type LohaConfig = z.output<typeof schema>;

export function tensors(layer: Layer, config: LohaConfig): readonly TensorSpec[] {
  const { rank } = lycorisScale(layer, config);
  const pair = (which: number, last: TensorSpec['init']): TensorSpec[] => [
    { name: `hada_w${which}_a`, shape: [layer.out, rank], init: kaiming(rank) },
    { name: `hada_w${which}_b`, shape: [rank, layer.in], init: last },
  ];
  const random = kaiming(layer.in);
  return [...pair(1, random), ...pair(2, config.init_weights ? { kind: 'zeros' } : random)];
}
