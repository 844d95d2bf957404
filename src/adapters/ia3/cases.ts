/** What the conformance suites try of IA3. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [
  identity({ feedforward_modules: [] }),
  // Without a dot before it: an entry matches the end of a name, whatever precedes it.
  identity({ feedforward_modules: '.*\\.(up|conv|out)' }),
  { config: { feedforward_modules: '.*y', init_ia3_weights: false }, startsAsIdentity: false },
];
