/** Every op of the house: what the suites sweep and what the documentation lists. */
import type { AnyOp } from '../graph/types.ts';

export const ops: readonly AnyOp[] = [];
