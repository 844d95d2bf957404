/**
 * Float64 references and test cases of ops. They are no part of an op: its check file (`x.check.ts` beside `x.ts`) registers them
 * here, and only what checks ops or interprets graphs loads check files.
 */
import { fail } from '../lib/errors.ts';
import type { AnyOp, Op, Tensor, TensorType } from './types.ts';

/** A shape an op is tested at. Inputs are drawn at random (seeded) from `range` unless `data` gives them. */
export interface OpCase<A> {
  readonly name: string;
  readonly inputs: readonly (TensorType & {
    readonly data?: readonly number[];
    readonly range?: readonly [number, number];
  })[];
  readonly attrs: A;
  /** Relative tolerance of GPU against float64 reference (over max|reference|); default 2e-5. */
  readonly tolerance?: number;
  /** Inputs whose gradient is checked against finite differences; default: every f32 input, when the op has a gradient. */
  readonly gradientInputs?: readonly number[];
  /** Outputs whose upstream gradient is not null in that check; default: all of an alias, else the first. */
  readonly gradientOutputs?: readonly number[];
}

export interface OpCheck<A> {
  /** Plain loops in float64: the outputs, then the new contents of every mutated input in order. */
  readonly reference: (inputs: readonly Tensor[], attrs: A) => readonly Tensor[];
  readonly cases: readonly OpCase<A>[];
}

// biome-ignore lint/suspicious/noExplicitAny: a table of ops of many attribute types, as in AnyOp
const checks = new Map<AnyOp, OpCheck<any>>();

/** Registers what an op is checked by. */
export function defineCheck<A>(op: Op<A>, check: OpCheck<NoInfer<A>>): void {
  if (check.cases.length === 0) fail('internal', `Op ${op.name} has no test case.`);
  checks.set(op, check);
}

/** @throws PapilioError('internal') when the op's check file is not loaded */
export function checkOf<A>(op: Op<A>): OpCheck<A> {
  return (
    checks.get(op) ?? fail('internal', `No reference of the op ${op.name} is loaded: see src/ops/checks.ts.`)
  );
}

/** The ops whose checks are loaded. */
export const checkedOps = (): readonly AnyOp[] => [...checks.keys()];
