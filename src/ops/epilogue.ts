/** The end of a matrix product, shaders/lib/epilogue.wgsl: what happens to its elements, as conditions, constants and bindings of a dispatch. */
import type { Dispatch, Ref } from '../graph/types.ts';
import type { Activation } from './scalar.ts';
import { scalarFunction } from './scalar.ts';

/** What happens to an element of the product before it is stored, in this order. Results of the shape of C, except where noted. */
export interface Epilogue {
  /** Gets the product as it is. */
  readonly raw?: Ref | undefined;
  /** [n], multiplies the columns; never with `slope`. */
  readonly scale?: Ref | undefined;
  /** [n], is added to the columns. */
  readonly bias?: Ref | undefined;
  /** [n], multiplies the columns after the bias; never with `pre`. */
  readonly gain?: Ref | undefined;
  readonly add?: Ref | undefined;
  /** Gets the value before the activation. */
  readonly pre?: Ref | undefined;
  readonly activation?: Activation;
  /** Multiplies by the slope of `of` at the given values; never with an activation. */
  readonly slope?: { readonly at: Ref; readonly of: Activation } | undefined;
}

/**
 * Conditions, constants and bindings from 3 on of a kernel that ends in lib/epilogue.wgsl. What it does not use is bound to `spare`.
 * @param second operands that matmul.wgsl binds where no epilogue with them has anything: no scale, no raw product, no slope with a bias
 */
export function epilogueParts(
  c: Ref,
  epilogue: Epilogue,
  vector: boolean,
  spare: Ref,
  second?: { readonly a: Ref; readonly b: Ref },
): Required<Pick<Dispatch, 'conditions' | 'constants' | 'bindings'>> {
  const { raw, scale, bias, gain, pre, activation = 'none', slope, add } = epilogue;
  const curve = slope?.of ?? activation;
  const conditions: Record<string, boolean> = {
    VEC_C: vector,
    RAW: raw !== undefined,
    SCALE: scale !== undefined,
    BIAS: bias !== undefined,
    GAIN: gain !== undefined,
    KEEP_PRE: pre !== undefined,
    ACTIVATE: activation !== 'none',
    SLOPE: slope !== undefined,
    ADD: add !== undefined,
  };
  const slots = [c, scale ?? slope?.at, bias, pre ?? gain, raw, add];
  if (second) {
    slots[slope ? 2 : 1] = second.b;
    slots[4] = second.a;
  }
  const used = slots.findLastIndex((ref) => ref !== undefined) + 1;
  return {
    conditions,
    // Without either, the linked shader has no such constant.
    constants: curve === 'none' ? {} : { ACTIVATION: scalarFunction(curve).code },
    bindings: slots.slice(0, used).map((ref) => ref ?? spare),
  };
}
