/** What can be moved in the lab of the first fine-tuning, and what it shows. */
import { say } from '../../../common.ts';
import type { Control, Quantity } from '../controls.ts';

/** The methods that it offers. */
export const FIRST_METHODS = ['lora', 'oft', 'boft', 'fourierft'] as const;
export type FirstMethod = (typeof FIRST_METHODS)[number];

/** The learning rate is left to the method. */
export const OWN_RATE = 'own';

export const FIRST_CONTROLS: readonly Control[] = [
  { name: 'method', title: () => say`Method`, kind: 'choice', values: FIRST_METHODS, usual: 'boft' },
  {
    ...{ name: 'r', title: () => say`Rank r`, symbol: 'r' },
    ...{ kind: 'choice', values: ['1', '2', '4', '8', '16'], usual: '4' },
  },
  {
    ...{ name: 'b', title: () => say`Block size b`, symbol: 'b' },
    ...{ kind: 'choice', values: ['2', '4', '8', '16', '32'], usual: '4' },
  },
  { name: 'm', title: () => say`Factors m`, symbol: 'm', kind: 'number', min: 1, max: 4, step: 1, usual: 2 },
  {
    ...{ name: 'n', title: () => say`Frequencies n`, symbol: 'n' },
    ...{ kind: 'choice', values: ['50', '100', '200', '500', '1000'], usual: '200' },
  },
  { name: 'steps', title: () => say`Steps`, kind: 'number', min: 3, max: 300, step: 1, usual: 200 },
  {
    ...{ name: 'rate', title: () => say`Learning rate` },
    ...{ kind: 'choice', values: [OWN_RATE, '0.0005', '0.002', '0.005', '0.02', '0.05'], usual: OWN_RATE },
  },
  { name: 'seed', title: () => say`Seed`, kind: 'number', min: 0, max: 999, step: 1, usual: 1 },
];

export const FIRST_QUANTITIES: readonly Quantity[] = [
  { name: 'accuracy', title: () => say`Held-out accuracy of the run, percent` },
  { name: 'head', title: () => say`Held-out accuracy of the head alone, percent` },
  { name: 'numbers', title: () => say`Numbers that the run trains` },
  { name: 'step', title: () => say`Steps of the run so far` },
];
