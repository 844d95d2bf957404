/** What can be moved in the lab of Fourier against low rank, and what it shows. */
import { say } from '../../../common.ts';
import { RANKS, WAYS } from '../../../labs.ts';
import { PLACES_CONTROL, targetControl } from '../commonControls.ts';
import type { Control, Quantity } from '../controls.ts';

export const FOURIER_CONTROLS: readonly Control[] = [
  targetControl(() => say`Target ΔW`),
  {
    name: 'r',
    title: () => say`Rank r`,
    symbol: 'r',
    kind: 'choice',
    values: RANKS.map(String),
    usual: '2',
  },
  { name: 'way', title: () => say`Frequencies`, symbol: 'u', kind: 'choice', values: WAYS, usual: 'drawn' },
  { name: 'seed', title: () => say`Seed of the target`, kind: 'number', min: 0, max: 999, step: 1, usual: 1 },
  PLACES_CONTROL,
];

export const FOURIER_QUANTITIES: readonly Quantity[] = [
  { name: 'lora', title: () => say`What LoRA leaves of the target` },
  { name: 'fourier', title: () => say`What FourierFT leaves of the target` },
  { name: 'cosines', title: () => say`Share of the target that is in cosines` },
  { name: 'step', title: () => say`Steps of the fits so far` },
];
