/** transpose: axes in another order. */
import { defineOp } from '../graph/defineOp.ts';
import { stridesOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { MAX_RANK } from './dispatch.ts';
import { stridedKernel } from './strided.ts';

export interface TransposeAttrs {
  /** Axis i of the result is axis perm[i] of the input. */
  readonly perm: readonly number[];
}

export const permuted = (values: readonly number[], perm: readonly number[]): number[] =>
  perm.map((axis) => values[axis]!);

export const transposeOp = defineOp<TransposeAttrs>({
  name: 'transpose',
  infer([x], { perm }) {
    const { dtype, shape } = x!;
    const sorted = [...perm].sort((a, b) => a - b);
    if (dtype === 'f16' || shape.length > MAX_RANK || sorted.join() !== shape.map((_, i) => i).join()) {
      fail('shape', `transpose: ${dtype} [${shape}] does not take the permutation [${perm}].`);
    }
    return [{ dtype, shape: permuted(shape, perm) }];
  },
  gradient(g, node, [dY]) {
    const { perm } = node.attrs;
    return [transpose(g, dY!, { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
  kernel: ({ inputs, outputs, attrs }) =>
    stridedKernel(outputs[0]!.shape, permuted(stridesOf(inputs[0]!.shape), attrs.perm), 0),
});

/** x with axis i of the result taken from axis perm[i]. */
export const transpose = (g: Emitter, x: Value, attrs: TransposeAttrs): Value =>
  attrs.perm.every((axis, i) => axis === i) ? x : g.emit(transposeOp, [x], attrs)[0]!;
