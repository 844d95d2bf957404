/** slice: a stepped range along every axis; unslice, its gradient, puts the range back into zeros. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf, stridesOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { eight, MAX_RANK, perElement, WORKGROUP } from './dispatch.ts';
import { stridedKernel } from './strided.ts';

export interface SliceAttrs {
  /** One per axis, normalised: the first index taken, the first not taken (-1 before index 0), the step (not 0). */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly steps: readonly number[];
}

export interface UnsliceAttrs {
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  readonly shape: readonly number[];
}

export function slicePlan(x: TensorType, { starts, steps }: Pick<SliceAttrs, 'starts' | 'steps'>) {
  const strides = stridesOf(x.shape);
  return {
    strides: strides.map((s, i) => s * steps[i]!),
    offset: strides.reduce((sum, s, i) => sum + s * starts[i]!, 0),
  };
}

export const outShape = ({ starts, ends, steps }: SliceAttrs): number[] =>
  starts.map((start, i) => Math.max(0, Math.ceil((ends[i]! - start) / steps[i]!)));

export const sliceOp = defineOp<SliceAttrs>({
  name: 'slice',
  infer([x], attrs) {
    const { starts, ends, steps } = attrs;
    const { dtype, shape } = x!;
    const axes = shape.length;
    const inside = shape.every((d, i) => {
      const size = outShape(attrs)[i]!;
      const last = starts[i]! + (size - 1) * steps[i]!;
      return size > 0 && starts[i]! >= 0 && starts[i]! < d && last >= 0 && last < d;
    });
    if (
      starts.length !== axes ||
      ends.length !== axes ||
      steps.length !== axes ||
      steps.includes(0) ||
      !inside
    ) {
      fail('shape', `slice: [${starts}] to [${ends}] by [${steps}] does not lie in [${shape}].`);
    }
    if (dtype === 'f16' || axes > MAX_RANK) fail('shape', `slice: does not take ${dtype} [${shape}].`);
    return [{ dtype, shape: outShape(attrs) }];
  },
  gradient: (g, node, [dY]) => [
    g.emit(unsliceOp, [dY!], {
      starts: node.attrs.starts,
      steps: node.attrs.steps,
      shape: node.inputs[0]!.shape,
    })[0]!,
  ],
  kernel({ inputs, outputs, attrs }) {
    const { strides, offset } = slicePlan(inputs[0]!, attrs);
    return stridedKernel(outputs[0]!.shape, strides, offset);
  },
});

export const unsliceOp = defineOp<UnsliceAttrs>({
  name: 'unslice',
  infer([dY], { shape }) {
    if (dY!.dtype !== 'f32' || shape.length !== dY!.shape.length) {
      fail('shape', `unslice: ${dY!.dtype} [${dY!.shape}] does not go into [${shape}].`);
    }
    return [{ dtype: 'f32', shape }];
  },
  gradient: null,
  kernel({ inputs, attrs: { shape, starts, steps } }) {
    const n = sizeOf(shape);
    return {
      dispatches: [
        {
          shader: 'unslice.wgsl',
          entry: 'unslice',
          constants: { WG: WORKGROUP, RANK: Math.max(1, shape.length) },
          params: [
            ...[n, 0, 0, 0],
            ...[...eight(shape, 1), ...eight(inputs[0]!.shape, 1)],
            ...[...eight(starts), ...eight(steps, 1)],
          ],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

/** x from starts to ends by steps along every axis (all normalised). */
export const slice = (g: Emitter, x: Value, attrs: SliceAttrs): Value => g.emit(sliceOp, [x], attrs)[0]!;
