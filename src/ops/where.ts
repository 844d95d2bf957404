/** where: picks elements of a or b by an i32 condition, all three broadcast. */
import { defineOp } from '../graph/defineOp.ts';
import { broadcastShapes, sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { eight, forEachStrided, MAX_RANK, mergeBroadcast, perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';
import { sumTo } from './sumTo.ts';

const merged = (inputs: readonly TensorType[], shape: readonly number[]) =>
  mergeBroadcast(shape, ...inputs.map((t) => t.shape));

export const whereOp = defineOp<Record<never, never>>({
  name: 'where',
  infer(inputs) {
    const [cond, a, b] = inputs as [TensorType, TensorType, TensorType];
    if (cond.dtype !== 'i32' || a.dtype !== b.dtype || a.dtype === 'f16') {
      fail(
        'shape',
        `where: takes an i32 condition and two of one type, not ${cond.dtype}, ${a.dtype}, ${b.dtype}.`,
      );
    }
    const shape = broadcastShapes('where', cond.shape, a.shape, b.shape);
    if (merged(inputs, shape).shape.length > MAX_RANK) {
      fail(
        'shape',
        `where: [${cond.shape}], [${a.shape}], [${b.shape}] broadcast over more than ${MAX_RANK} axes.`,
      );
    }
    return [{ dtype: a.dtype, shape }];
  },
  gradient(g, node, [dY], wants) {
    const [cond, a, b] = node.inputs as [Value, Value, Value];
    return [
      null,
      wants[1] ? sumTo(g, where(g, cond, dY!, zero(g)), a.shape) : null,
      wants[2] ? sumTo(g, where(g, cond, zero(g), dY!), b.shape) : null,
    ];
  },
  kernel({ inputs, outputs }) {
    const n = sizeOf(outputs[0]!.shape);
    const { shape, strides } = merged(inputs, outputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'where.wgsl',
          entry: 'choose',
          constants: { WG: WORKGROUP, RANK: shape.length },
          params: [n, 0, 0, 0, ...eight(shape, 1), ...strides.flatMap((s) => eight(s))],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference([cond, a, b]) {
    const y = emptyTensor(a!.dtype, broadcastShapes('where', cond!.shape, a!.shape, b!.shape));
    const { shape, strides } = merged([cond!, a!, b!], y.shape);
    forEachStrided(shape, strides, (i, [ct, at, bt]) => {
      y.data[i] = cond!.data[ct!] !== 0 ? a!.data[at!]! : b!.data[bt!]!;
    });
    return [y];
  },
  cases: [
    {
      name: 'equal shapes',
      inputs: [
        { dtype: 'i32', shape: [5], data: [0, 1, 1, 0, 2] },
        { dtype: 'f32', shape: [5] },
        { dtype: 'f32', shape: [5] },
      ],
      attrs: {},
    },
    {
      name: 'all broadcast',
      inputs: [
        { dtype: 'i32', shape: [3, 1, 1], data: [1, 0, 1] },
        { dtype: 'f32', shape: [4, 1] },
        { dtype: 'f32', shape: [5] },
      ],
      attrs: {},
    },
    {
      name: 'whole numbers against a scalar',
      inputs: [
        { dtype: 'i32', shape: [2, 2], data: [1, 0, 0, 1] },
        { dtype: 'i32', shape: [2, 2], data: [-1, 2, 3, 4] },
        { dtype: 'i32', shape: [], data: [7] },
      ],
      attrs: {},
    },
  ],
});

/** cond != 0 ? a : b with broadcasting. */
export const where = (g: Emitter, cond: Value, a: Value, b: Value): Value =>
  g.emit(whereOp, [cond, a, b], {})[0]!;

/** A zero that broadcasts to anything. */
export const zero = (g: Emitter): Value =>
  g.constant({ dtype: 'f32', shape: [] }, Float32Array.of(0), 'zero');
