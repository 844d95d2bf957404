/** What can be moved on the page of LoRA. */
import { say } from '../../../../common.ts';
import { SKEW_CONTROL, targetControl } from '../../commonControls.ts';
import type { Control, Quantity } from '../../controls.ts';
import { blockControl, costQuantities, LAYER_CONTROLS } from '../costControls.ts';

/** Most that is tried on a change of 32 × 32. */
const MOST_RANK = 8;

export const LORA_CONTROLS: readonly Control[] = [
  targetControl(() => say`The change ΔW`),
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
    symbol: 'alpha',
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
  SKEW_CONTROL,
  ...LAYER_CONTROLS,
  blockControl('32'),
];

export const LORA_QUANTITIES: readonly Quantity[] = [
  { name: 'directions', title: () => say`Directions that hold 90 % of the change` },
  { name: 'left', title: () => say`What B A leaves of the change, as a share of its size` },
  { name: 'least', title: () => say`What any matrix of the rank leaves of the change at least` },
  { name: 'moved', title: () => say`Largest change of an angle by LoRA, in degrees` },
  ...costQuantities('OFT'),
];
