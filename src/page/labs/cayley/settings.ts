/** What can be moved in the Cayley lab, and what it shows. */
import { say } from '../../../common.ts';
import type { Control, Quantity } from '../controls.ts';

/** Names of the skew entries, row by row of the strict upper triangle, by block size. */
export const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  2: ['q12'],
  3: ['q12', 'q13', 'q23'],
  4: ['q12', 'q13', 'q14', 'q23', 'q24', 'q34'],
};

const FIRST: Readonly<Record<string, number>> = {
  q12: 0.5,
  q13: -0.3,
  q14: 0.2,
  q23: 0.4,
  q24: -0.1,
  q34: 0.3,
};

export const CAYLEY_CONTROLS: readonly Control[] = [
  {
    name: 'b',
    title: () => say`Block size b`,
    symbol: 'b',
    kind: 'choice',
    values: ['2', '3', '4'],
    usual: '2',
  },
  ...ENTRIES[4]!.map(
    (name): Control => ({
      ...{ name, symbol: 'q', kind: 'number', min: -2, max: 2, step: 0.01 },
      usual: FIRST[name]!,
    }),
  ),
  { name: 't', title: () => say`Terms t`, symbol: 't', kind: 'number', min: 2, max: 12, step: 1, usual: 5 },
];

export const CAYLEY_QUANTITIES: readonly Quantity[] = [
  { name: 'angle', title: () => say`Largest angle of the rotation, in degrees` },
  { name: 'off', title: () => say`Distance of RᵀR from I` },
  { name: 'apart', title: () => say`Distance of R from the one in float64` },
  { name: 'series', title: () => say`Distance of the series from the exact rotation` },
];
