/** What can be moved on the page of OFT. */
import { say } from '../../../../common.ts';
import { SKEW_CONTROL } from '../../commonControls.ts';
import type { Control, Quantity } from '../../controls.ts';
import { blockControl, costQuantities, LAYER_CONTROLS } from '../costControls.ts';

export const OFT_CONTROLS: readonly Control[] = [
  {
    name: 'own',
    title: () => say`How far each is moved by itself`,
    kind: 'number',
    min: 0,
    max: 1,
    step: 0.05,
    usual: 0.6,
  },
  SKEW_CONTROL,
  {
    name: 'b',
    title: () => say`Block size b`,
    symbol: 'b',
    kind: 'choice',
    values: ['2', '4', '8', '16'],
    usual: '4',
  },
  {
    name: 'input',
    title: () => say`Input that is followed`,
    kind: 'number',
    min: 1,
    max: 16,
    step: 1,
    usual: 3,
  },
  {
    name: 'm',
    title: () => say`Factors m`,
    symbol: 'm',
    kind: 'choice',
    values: ['1', '2', '3'],
    usual: '2',
  },
  ...LAYER_CONTROLS,
  blockControl('32'),
];

export const OFT_QUANTITIES: readonly Quantity[] = [
  { name: 'apart', title: () => say`Largest change of an angle, each neuron moved by itself, in degrees` },
  { name: 'energy', title: () => say`Energy of the neurons, each moved by itself` },
  { name: 'turned', title: () => say`Angle by which all neurons turned, in degrees` },
  { name: 'reach', title: () => say`Outputs that the followed input reaches by blocks` },
  { name: 'second', title: () => say`Outputs that the followed input reaches by the factors` },
  ...costQuantities('OFT'),
];
