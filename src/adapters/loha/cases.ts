/** What the conformance suites try of LoHa. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity(),
  identity({ r: 3, alpha: 5, rank_dropout: 0.4, module_dropout: 0.2 }),
  identity({ r: 2, rank_pattern: { 'a.up': 4 }, alpha_pattern: { key: 3 } }),
  { config: { r: 2, init_weights: false }, startsAsIdentity: false },
];
