/** What can be moved on the page of BOFT. */
import { say } from '../../../../common.ts';
import type { Control, Quantity } from '../../controls.ts';
import { blockControl, costQuantities, LAYER_CONTROLS } from '../costControls.ts';

/** Pairs of the four nodes that a factor of figure 2 can join. */
export const PAIRS = ['none', '12', '13', '14', '23', '24', '34'] as const;

/** Five factors that make the matrix dense with the last, and not before: after four, node 1 does not reach node 3. */
const FIRST_PAIRS = ['12', '34', '14', '12', '23'] as const;

export const LEVELS = FIRST_PAIRS.length;

export const BOFT_CONTROLS: readonly Control[] = [
  {
    name: 'far',
    title: () => say`Size of the change`,
    kind: 'number',
    min: 0,
    max: 1,
    step: 0.05,
    usual: 0.5,
  },
  {
    name: 'way',
    title: () => say`Which way back`,
    kind: 'choice',
    values: ['in-turn', 'together'],
    usual: 'in-turn',
  },
  { name: 'strength', title: () => say`Strength`, kind: 'number', min: 0, max: 1, step: 0.05, usual: 0.6 },
  ...FIRST_PAIRS.map(
    (usual, i): Control => ({
      name: `pair${i + 1}`,
      title: () => say`Factor ${i} joins`,
      kind: 'choice',
      values: PAIRS,
      usual,
    }),
  ),
  {
    name: 'd',
    title: () => say`Inputs d`,
    symbol: 'd',
    kind: 'choice',
    values: ['8', '16', '32'],
    usual: '8',
  },
  {
    name: 'b',
    title: () => say`Block size b`,
    symbol: 'b',
    kind: 'choice',
    values: ['2', '4', '8'],
    usual: '2',
  },
  { name: 'm', title: () => say`Factors m`, symbol: 'm', kind: 'number', min: 1, max: 5, step: 1, usual: 3 },
  {
    name: 'input',
    title: () => say`Input that is followed`,
    kind: 'number',
    min: 1,
    max: 32,
    step: 1,
    usual: 3,
  },
  ...LAYER_CONTROLS,
  blockControl('8'),
  {
    name: 'factors',
    title: () => say`Factors m`,
    symbol: 'm',
    kind: 'number',
    min: 1,
    max: 10,
    step: 1,
    usual: 2,
  },
];

export const BOFT_QUANTITIES: readonly Quantity[] = [
  { name: 'turned', title: () => say`Largest change of an angle by the rotation, in degrees` },
  { name: 'rankone', title: () => say`Largest change of an angle by the change of rank 1, in degrees` },
  { name: 'back', title: () => say`Angle from what comes out to the B that was trained for, in degrees` },
  { name: 'dense', title: () => say`Factors of the graph with which every node reaches every other` },
  { name: 'reach', title: () => say`Outputs that the followed input reaches by the factors` },
  ...costQuantities('BOFT'),
];
