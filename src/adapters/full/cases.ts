/** What the conformance suites try of training in full. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [identity()];
