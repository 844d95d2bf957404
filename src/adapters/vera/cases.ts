/** What the conformance suites try of VeRA. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity({ r: 5 }),
  identity({ r: 3, d_initial: 0.5, projection_prng_key: 7, save_projection: false, vera_dropout: 0.2 }),
  { config: { r: 4, init_weights: false }, startsAsIdentity: false },
];
