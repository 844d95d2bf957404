/** transpose: axes in another order. */
import { defineOp } from '../graph/defineOp.ts';
import { stridesOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { MAX_RANK } from './dispatch.ts';
import { stridedKernel, stridedReference } from './strided.ts';

export interface TransposeAttrs {
  /** Axis i of the result is axis perm[i] of the input. */
  readonly perm: readonly number[];
}

const pick = (values: readonly number[], perm: readonly number[]): number[] =>
  perm.map((axis) => values[axis]!);

export const transposeOp = defineOp<TransposeAttrs>({
  name: 'transpose',
  infer([x], { perm }) {
    const { dtype, shape } = x!;
    const sorted = [...perm].sort((a, b) => a - b);
    if (dtype === 'f16' || shape.length > MAX_RANK || sorted.join() !== shape.map((_, i) => i).join()) {
      fail('shape', `transpose: ${dtype} [${shape}] does not take the permutation [${perm}].`);
    }
    return [{ dtype, shape: pick(shape, perm) }];
  },
  gradient(g, node, [dY]) {
    const { perm } = node.attrs;
    return [transpose(g, dY!, { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
  kernel: ({ inputs, outputs, attrs }) =>
    stridedKernel(outputs[0]!.shape, pick(stridesOf(inputs[0]!.shape), attrs.perm), 0),
  reference: ([x], { perm }) => [
    stridedReference(x!, pick(x!.shape, perm), pick(stridesOf(x!.shape), perm), 0),
  ],
  cases: [
    { name: 'matrix', inputs: [{ dtype: 'f32', shape: [5, 7] }], attrs: { perm: [1, 0] } },
    { name: 'heads', inputs: [{ dtype: 'f32', shape: [2, 5, 3, 4] }], attrs: { perm: [0, 2, 1, 3] } },
    { name: 'cycle', inputs: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { perm: [2, 0, 1] } },
    { name: 'whole', inputs: [{ dtype: 'i32', shape: [2, 2], data: [1, 2, 3, 4] }], attrs: { perm: [1, 0] } },
  ],
});

/** x with axis i of the result taken from axis perm[i]. */
export const transpose = (g: Emitter, x: Value, attrs: TransposeAttrs): Value =>
  attrs.perm.every((axis, i) => axis === i) ? x : g.emit(transposeOp, [x], attrs)[0]!;
