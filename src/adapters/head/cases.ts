/** What the conformance suites try of the head alone. */
import { identity, type MethodCase } from '../types.ts';

export const cases: readonly MethodCase[] = [identity()];
