/** embedPart: a tensor as a contiguous part of a larger one that is zero elsewhere; the gradient of a view of a part. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';
import { view } from './view.ts';

export interface EmbedPartAttrs {
  readonly shape: readonly number[];
  /** In elements. */
  readonly offset: number;
}

export const embedPartOp = defineOp<EmbedPartAttrs>({
  name: 'embedPart',
  infer([x], { shape, offset }) {
    if (x!.dtype === 'f16' || offset + sizeOf(x!.shape) > sizeOf(shape)) {
      fail('shape', `embedPart: ${x!.dtype} [${x!.shape}] at ${offset} does not fit into [${shape}].`);
    }
    return [{ dtype: x!.dtype, shape }];
  },
  gradient: (g, node, [dY]) => [view(g, dY!, node.inputs[0]!.shape, node.attrs.offset)],
  kernel({ inputs, attrs: { shape, offset } }) {
    const count = sizeOf(shape);
    return {
      dispatches: [
        {
          shader: 'embedPart.wgsl',
          entry: 'embed',
          constants: { WG: WORKGROUP },
          params: [count, offset, sizeOf(inputs[0]!.shape)],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(count),
        },
      ],
    };
  },
  reference([x], { shape, offset }) {
    const y = emptyTensor(x!.dtype, shape);
    y.data.set(x!.data, offset);
    return [y];
  },
  cases: [
    { name: 'middle', inputs: [{ dtype: 'f32', shape: [2, 5] }], attrs: { shape: [4, 7], offset: 6 } },
    { name: 'end', inputs: [{ dtype: 'f32', shape: [3] }], attrs: { shape: [10], offset: 7 } },
  ],
});

/** Zeros of `shape` with x at element `offset`. */
export const embedPart = (g: Emitter, x: Value, attrs: EmbedPartAttrs): Value =>
  g.emit(embedPartOp, [x], attrs)[0]!;
