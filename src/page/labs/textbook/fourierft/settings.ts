/** What can be moved on the page of FourierFT. */
import { say } from '../../../../common.ts';
import { UPDATE_SIZE, WAYS } from '../../../../labs.ts';
import { PLACES_CONTROL, targetControl } from '../../commonControls.ts';
import type { Control, Quantity } from '../../controls.ts';
import { costQuantities, LAYER_CONTROLS } from '../costControls.ts';

export const FOURIERFT_CONTROLS: readonly Control[] = [
  targetControl(() => say`The change ΔW`),
  {
    name: 'u',
    title: () => say`Frequency u`,
    symbol: 'u',
    kind: 'number',
    min: 0,
    max: UPDATE_SIZE / 2,
    step: 1,
    usual: 2,
  },
  {
    name: 'v',
    title: () => say`Frequency v`,
    symbol: 'v',
    kind: 'number',
    min: 0,
    max: UPDATE_SIZE / 2,
    step: 1,
    usual: 1,
  },
  {
    name: 'n',
    title: () => say`Frequencies n`,
    symbol: 'n',
    kind: 'number',
    min: 1,
    max: 256,
    step: 1,
    usual: 16,
  },
  {
    name: 'way',
    title: () => say`How they are chosen`,
    symbol: 'u',
    kind: 'choice',
    values: WAYS,
    usual: 'low',
  },
  PLACES_CONTROL,
  ...LAYER_CONTROLS,
  {
    name: 'frequencies',
    title: () => say`Frequencies n`,
    symbol: 'n',
    kind: 'number',
    min: 100,
    max: 5000,
    step: 100,
    usual: 1000,
  },
];

export const FOURIERFT_QUANTITIES: readonly Quantity[] = [
  { name: 'likeness', title: () => say`How alike neighbours of the change are` },
  { name: 'height', title: () => say`Height of the wave in the change` },
  { name: 'share', title: () => say`Share of the change that the chosen frequencies hold` },
  { name: 'left', title: () => say`What the sum of the waves leaves of the change, as a share of its size` },
  ...costQuantities('FourierFT'),
];
