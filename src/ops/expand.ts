/** expand: broadcasting made real. */
import { defineOp } from '../graph/defineOp.ts';
import { broadcastShapes, broadcastStrides, sameShape } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { MAX_RANK } from './dispatch.ts';
import { stridedKernel, stridedReference } from './strided.ts';
import { sumTo } from './sumTo.ts';

export interface ExpandAttrs {
  readonly shape: readonly number[];
}

export const expandOp = defineOp<ExpandAttrs>({
  name: 'expand',
  infer([x], { shape }) {
    if (
      x!.dtype === 'f16' ||
      shape.length > MAX_RANK ||
      !sameShape(broadcastShapes('expand', x!.shape, shape), shape)
    ) {
      fail('shape', `expand: ${x!.dtype} [${x!.shape}] does not broadcast to [${shape}].`);
    }
    return [{ dtype: x!.dtype, shape }];
  },
  gradient: (g, node, [dY]) => [sumTo(g, dY!, node.inputs[0]!.shape)],
  kernel: ({ inputs, attrs }) =>
    stridedKernel(attrs.shape, broadcastStrides(inputs[0]!.shape, attrs.shape), 0),
  reference: ([x], { shape }) => [stridedReference(x!, shape, broadcastStrides(x!.shape, shape), 0)],
  cases: [
    { name: 'leading axes', inputs: [{ dtype: 'f32', shape: [5] }], attrs: { shape: [2, 3, 5] } },
    { name: 'inner axis', inputs: [{ dtype: 'f32', shape: [3, 1, 5] }], attrs: { shape: [3, 4, 5] } },
    { name: 'scalar', inputs: [{ dtype: 'f32', shape: [] }], attrs: { shape: [3, 7] } },
    { name: 'whole', inputs: [{ dtype: 'i32', shape: [2, 1], data: [3, -4] }], attrs: { shape: [2, 5] } },
  ],
});

/** x broadcast to `shape`. */
export const expand = (g: Emitter, x: Value, attrs: ExpandAttrs): Value =>
  sameShape(x.shape, attrs.shape) ? x : g.emit(expandOp, [x], attrs)[0]!;
