/** Makes an op and checks, once at load, that its description is whole. */
import { fail } from '../lib/errors.ts';
import type { Op } from './types.ts';

export function defineOp<A>(op: Op<A>): Op<A> {
  if ((op.kernel === undefined) === (op.alias === undefined)) {
    fail('internal', `Op ${op.name} must have exactly one of kernel and alias.`);
  }
  return op;
}
