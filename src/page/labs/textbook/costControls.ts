/** What can be moved where a page says what its method costs: the layer, the method's own size, and LoRA's rank beside it. */
import { say } from '../../../common.ts';
import type { Control, Quantity } from '../controls.ts';

const SIZES = ['256', '768', '1024', '3072', '4096'] as const;

export const LAYER_CONTROLS: readonly Control[] = [
  {
    name: 'inputs',
    title: () => say`Inputs of the layer`,
    symbol: 'd',
    kind: 'choice',
    values: SIZES,
    usual: '768',
  },
  { name: 'outputs', title: () => say`Outputs of the layer`, kind: 'choice', values: SIZES, usual: '768' },
  {
    name: 'rank',
    title: () => say`LoRA’s rank r`,
    symbol: 'r',
    kind: 'number',
    min: 1,
    max: 64,
    step: 1,
    usual: 8,
  },
];

export const blockControl = (usual: string): Control => ({
  name: 'block',
  title: () => say`Block size b`,
  symbol: 'b',
  kind: 'choice',
  values: ['2', '4', '8', '16', '32', '64', '128'],
  usual,
});

/** What the last step of a page shows. @param title of the method that stands beside LoRA */
export const costQuantities = (title: string): readonly Quantity[] => [
  { name: 'trained', title: () => say`Numbers that ${title} trains on the layer` },
  { name: 'lora', title: () => say`Numbers that LoRA trains on the layer` },
  { name: 'work', title: () => say`Multiply-adds of a step with ${title}, over those of the layer alone` },
];
