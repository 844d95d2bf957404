/** concat: tensors joined along one axis. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { slice } from './slice.ts';

export interface ConcatAttrs {
  readonly axis: number;
}

/** Where each input begins along the axis. */
export const beginnings = (shapes: readonly (readonly number[])[], axis: number): number[] => {
  let at = 0;
  return shapes.map((shape) => (at += shape[axis]!) - shape[axis]!);
};

export const concatOp = defineOp<ConcatAttrs>({
  name: 'concat',
  infer(inputs, { axis }) {
    const first = inputs[0]!;
    for (const { dtype, shape } of inputs) {
      const alike =
        shape.length === first.shape.length && shape.every((d, i) => i === axis || d === first.shape[i]);
      if (!alike || dtype !== first.dtype || dtype === 'f16' || axis < 0 || axis >= shape.length) {
        fail(
          'shape',
          `concat: ${dtype} [${shape}] does not join ${first.dtype} [${first.shape}] along axis ${axis}.`,
        );
      }
    }
    const length = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? length : d)) }];
  },
  gradient(g, node, [dY], wants) {
    const { axis } = node.attrs;
    const begin = beginnings(
      node.inputs.map((x) => x.shape),
      axis,
    );
    return node.inputs.map((x, k) =>
      wants[k]
        ? slice(g, dY!, {
            starts: x.shape.map((_, i) => (i === axis ? begin[k]! : 0)),
            ends: x.shape.map((d, i) => (i === axis ? begin[k]! + d : d)),
            steps: x.shape.map(() => 1),
          })
        : null,
    );
  },
  kernel({ inputs, outputs, attrs: { axis } }) {
    const inner = sizeOf(outputs[0]!.shape.slice(axis + 1));
    const begin = beginnings(
      inputs.map((x) => x.shape),
      axis,
    );
    return {
      dispatches: inputs.map(({ shape }, k) => ({
        shader: 'concat.wgsl',
        entry: 'concat',
        constants: { WG: WORKGROUP },
        params: [sizeOf(shape), shape[axis]! * inner, outputs[0]!.shape[axis]! * inner, begin[k]! * inner],
        bindings: [{ in: k }, { out: 0 }],
        workgroups: perElement(sizeOf(shape)),
      })),
    };
  },
});

/** xs joined along `axis`. */
export const concat = (g: Emitter, xs: readonly Value[], attrs: ConcatAttrs): Value =>
  xs.length === 1 ? xs[0]! : g.emit(concatOp, xs, attrs)[0]!;
