/** sumTo: undoes broadcasting by summing over the axes that it stretched; the adjoint of expand. Kernel: reduce.wgsl. */
import { defineOp } from '../graph/defineOp.ts';
import { broadcastStrides, sameShape } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { MAX_RANK } from './dispatch.ts';
import { expand } from './expand.ts';
import { reduceKernel, reduceReference } from './reduce.ts';
import { view } from './view.ts';

export interface SumToAttrs {
  readonly shape: readonly number[];
}

/** Axes of `from` that broadcasting `to` to it stretches. */
const stretched = (from: readonly number[], to: readonly number[]): number[] => {
  const lead = from.length - to.length;
  return from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []));
};

export const sumToOp = defineOp<SumToAttrs>({
  name: 'sumTo',
  infer([x], { shape }) {
    const fits =
      shape.length <= x!.shape.length &&
      broadcastStrides(shape, x!.shape).length === x!.shape.length &&
      shape.every((d, i) => d === 1 || d === x!.shape[x!.shape.length - shape.length + i]);
    if (!fits || x!.dtype !== 'f32' || x!.shape.length > MAX_RANK) {
      fail('shape', `sumTo: [${shape}] does not broadcast to ${x!.dtype} [${x!.shape}].`);
    }
    return [{ dtype: 'f32', shape }];
  },
  gradient: (g, node, [dY]) => [expand(g, dY!, { shape: node.inputs[0]!.shape })],
  kernel: ({ inputs, attrs }) =>
    reduceKernel(inputs[0]!.shape, stretched(inputs[0]!.shape, attrs.shape), 'sum'),
  reference([x], { shape }) {
    return [{ ...reduceReference(x!, stretched(x!.shape, shape), 'sum'), shape }];
  },
  cases: [
    { name: 'leading axes', inputs: [{ dtype: 'f32', shape: [3, 4, 5] }], attrs: { shape: [5] } },
    { name: 'inner axis', inputs: [{ dtype: 'f32', shape: [3, 4, 5] }], attrs: { shape: [3, 1, 5] } },
    { name: 'both', inputs: [{ dtype: 'f32', shape: [2, 3, 4, 5] }], attrs: { shape: [3, 1, 5] } },
    { name: 'to a scalar', inputs: [{ dtype: 'f32', shape: [6, 7] }], attrs: { shape: [] } },
  ],
});

/** x summed over the axes by which it exceeds `shape`. */
export const sumTo = (g: Emitter, x: Value, shape: readonly number[]): Value =>
  sameShape(x.shape, shape)
    ? x
    : stretched(x.shape, shape).every((a) => x.shape[a] === 1)
      ? view(g, x, shape)
      : g.emit(sumToOp, [x], { shape })[0]!;
