/** What can be moved on the page of LoRA. */
import { say } from '../../../../common.ts';
import { UPDATE_TARGETS } from '../../../../labs.ts';
import type { Control } from '../../controls.ts';
import { blockControl, LAYER_CONTROLS } from '../costControls.ts';

/** Most that is tried on a change of 32 × 32. */
const MOST_RANK = 8;

export const LORA_CONTROLS: readonly Control[] = [
  {
    name: 'target',
    title: () => say`The change ΔW`,
    symbol: 'dW',
    kind: 'choice',
    values: UPDATE_TARGETS,
    usual: 'smooth',
  },
  {
    name: 'r',
    title: () => say`Rank r`,
    symbol: 'r',
    kind: 'number',
    min: 1,
    max: MOST_RANK,
    step: 1,
    usual: 2,
  },
  {
    name: 'alpha',
    title: () => say`Scaling α`,
    kind: 'number',
    min: 0,
    max: 2,
    step: 0.25,
    usual: 1,
  },
  {
    name: 'few',
    title: () => say`Rank r of the five neurons’ change`,
    symbol: 'r',
    kind: 'choice',
    values: ['1', '2'],
    usual: '1',
  },
  {
    name: 'q',
    title: () => say`Skew number q`,
    symbol: 'q',
    kind: 'number',
    min: -2,
    max: 2,
    step: 0.01,
    usual: 0.5,
  },
  ...LAYER_CONTROLS,
  blockControl('32'),
];
