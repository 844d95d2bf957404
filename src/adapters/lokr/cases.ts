/** What the conformance suites try of LoKr. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity(),
  identity({ r: 1, alpha: 3, decompose_both: true }),
  identity({ r: 2, decompose_factor: 6, rank_dropout: 0.3, rank_dropout_scale: true, module_dropout: 0.1 }),
  identity({ r: 1, decompose_factor: 4, init_weights: 'lycoris', alpha_pattern: { key: 2 } }),
  { config: { r: 2, init_weights: false, rank_pattern: { out: 1 } }, startsAsIdentity: false },
];
