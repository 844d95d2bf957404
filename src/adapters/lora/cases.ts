/** What the conformance suites try of LoRA. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity(),
  identity({ r: 3, lora_alpha: 7, lora_bias: true, lora_dropout: 0.3 }),
  identity({ r: 2, use_rslora: true, lora_alpha: 5, init_lora_weights: 'gaussian' }),
  { config: { r: 2, init_lora_weights: false }, startsAsIdentity: false },
  { config: { r: 2, use_dora: true }, startsAsIdentity: true, detaches: true },
];
