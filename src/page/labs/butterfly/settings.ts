/** What can be moved in the butterfly lab. */
import { TARGETS } from '../../../labs.ts';
import type { Control } from '../controls.ts';

export const BUTTERFLY_CONTROLS: readonly Control[] = [
  { name: 'target', kind: 'choice', values: TARGETS, usual: 'random' },
  { name: 'd', symbol: 'd', kind: 'choice', values: ['8', '16', '32'], usual: '16' },
  { name: 'b', symbol: 'b', kind: 'choice', values: ['2', '4', '8', '16', '32'], usual: '2' },
  { name: 'm', symbol: 'm', kind: 'number', min: 1, max: 5, step: 1, usual: 4 },
  { name: 'seed', kind: 'number', min: 0, max: 999, step: 1, usual: 1 },
];
