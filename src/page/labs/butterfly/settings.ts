/** What can be moved in the butterfly lab, and what it shows. */
import { say } from '../../../common.ts';
import { TARGETS } from '../../../labs.ts';
import type { Control, Quantity } from '../controls.ts';

export const BUTTERFLY_CONTROLS: readonly Control[] = [
  { name: 'target', title: () => say`Target`, kind: 'choice', values: TARGETS, usual: 'random' },
  {
    name: 'd',
    title: () => say`Inputs d`,
    symbol: 'd',
    kind: 'choice',
    values: ['8', '16', '32'],
    usual: '16',
  },
  {
    name: 'b',
    title: () => say`Block size b`,
    symbol: 'b',
    kind: 'choice',
    values: ['2', '4', '8', '16', '32'],
    usual: '2',
  },
  { name: 'm', title: () => say`Factors m`, symbol: 'm', kind: 'number', min: 1, max: 5, step: 1, usual: 4 },
  { name: 'seed', title: () => say`Seed`, kind: 'number', min: 0, max: 999, step: 1, usual: 1 },
];

export const BUTTERFLY_QUANTITIES: readonly Quantity[] = [
  { name: 'distance', title: () => say`Distance of the picked fit from the target` },
  { name: 'nearest', title: () => say`Distance of the nearest fit from the target` },
  { name: 'numbers', title: () => say`Free numbers of the picked fit` },
  { name: 'step', title: () => say`Steps of the fits so far` },
];
