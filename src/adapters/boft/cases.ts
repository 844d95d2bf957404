/** What the conformance suites try of BOFT. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity(),
  identity({ boft_block_size: 4, boft_n_butterfly_factor: 2 }),
  identity({ boft_block_size: 2, boft_n_butterfly_factor: 3, boft_dropout: 0.5 }),
  identity({ boft_block_size: 0, boft_block_num: 3 }),
  { config: { boft_block_size: 4, init_weights: false }, startsAsIdentity: false },
];
