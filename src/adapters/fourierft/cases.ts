/** What the conformance suites try of FourierFT. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  { config: { n_frequency: 5 }, startsAsIdentity: false },
  identity({ n_frequency: 60, scaling: 3, init_weights: true, random_loc_seed: 4 }),
];
