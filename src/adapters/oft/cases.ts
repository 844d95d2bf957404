/** What the conformance suites try of OFT. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity(),
  identity({ oft_block_size: 4, use_cayley_neumann: false }),
  identity({ oft_block_size: 3, num_cayley_neumann_terms: 4 }),
  identity({ oft_block_size: 0, r: 4 }),
  identity({ oft_block_size: 6, block_share: true, use_cayley_neumann: false }),
  // So large a radius that the projection does nothing, which no derivative runs through.
  identity({ oft_block_size: 4, coft: true, eps: 100 }),
];
