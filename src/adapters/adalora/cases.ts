/** What the conformance suites try of AdaLoRA. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity({ total_step: 100 }),
  identity({ total_step: 10, init_r: 3, target_r: 2, lora_alpha: 7, lora_dropout: 0.3 }),
  {
    config: { total_step: 10, init_r: 2, init_lora_weights: false, lora_alpha: -1 },
    startsAsIdentity: false,
  },
  // A file in which layers have kept different ranks.
  identity({
    total_step: 10,
    init_r: 3,
    rank_pattern: { 'a.query.lora_E': [true, false, true], 'a.up.lora_E': [false, false, true] },
  }),
];
