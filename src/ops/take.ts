/** take: entries of one axis by a list of indices; takeGrad adds them back. The indices are a tensor of the graph. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface TakeAttrs {
  readonly axis: number;
}

export interface TakeGradAttrs extends TakeAttrs {
  /** Length of the axis that was taken from. */
  readonly length: number;
}

export const resized = (shape: readonly number[], axis: number, length: number): number[] =>
  shape.map((d, i) => (i === axis ? length : d));

function check(op: string, x: TensorType, index: TensorType, axis: number): void {
  if (
    index.dtype !== 'i32' ||
    index.shape.length !== 1 ||
    axis < 0 ||
    axis >= x.shape.length ||
    x.dtype === 'f16'
  ) {
    fail(
      'shape',
      `${op}: ${x.dtype} [${x.shape}] does not take ${index.dtype} [${index.shape}] along axis ${axis}.`,
    );
  }
}

export const takeOp = defineOp<TakeAttrs>({
  name: 'take',
  infer([x, index], { axis }) {
    check('take', x!, index!, axis);
    return [{ dtype: x!.dtype, shape: resized(x!.shape, axis, index!.shape[0]!) }];
  },
  gradient(g, node, [dY]) {
    const { axis } = node.attrs;
    const [x, index] = node.inputs as [Value, Value];
    return [g.emit(takeGradOp, [dY!, index], { axis, length: x.shape[axis]! })[0]!, null];
  },
  kernel({ inputs: [x, index], outputs, attrs: { axis } }) {
    const n = sizeOf(outputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'take.wgsl',
          entry: 'take',
          constants: { WG: WORKGROUP },
          params: [n, x!.shape[axis]!, index!.shape[0]!, sizeOf(x!.shape.slice(axis + 1))],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

export const takeGradOp = defineOp<TakeGradAttrs>({
  name: 'takeGrad',
  infer([dY, index], { axis, length }) {
    check('takeGrad', dY!, index!, axis);
    return [{ dtype: 'f32', shape: resized(dY!.shape, axis, length) }];
  },
  gradient: null,
  kernel({ inputs: [dY, index], outputs, attrs: { axis, length } }) {
    const n = sizeOf(outputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'take.wgsl',
          entry: 'put',
          constants: { WG: WORKGROUP },
          params: [n, length, index!.shape[0]!, sizeOf(dY!.shape.slice(axis + 1))],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

/** Entries `indices` (non-negative) of x along `axis`. */
export const take = (g: Emitter, x: Value, attrs: { axis: number; indices: readonly number[] }): Value => {
  const index = g.constant(
    { dtype: 'i32', shape: [attrs.indices.length] },
    Int32Array.from(attrs.indices),
    'indices',
  );
  return g.emit(takeOp, [x, index], { axis: attrs.axis })[0]!;
};
