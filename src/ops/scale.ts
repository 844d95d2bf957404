/** scale: multiplication by a number that the plan knows, or by a tensor of one element. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { binary } from './binary.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { reduce } from './reduce.ts';
import { emptyTensor } from './reference.ts';
import { view } from './view.ts';

export interface ScaleAttrs {
  readonly by: number;
}

export const scaleOp = defineOp<ScaleAttrs>({
  name: 'scale',
  infer([x]) {
    if (x!.dtype !== 'f32') fail('shape', `scale: takes f32, not ${x!.dtype}.`);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: (g, node, [dY]) => [scale(g, dY!, node.attrs)],
  kernel({ inputs, attrs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'scale.wgsl',
          entry: 'scale',
          constants: { WG: WORKGROUP },
          params: [n, { f32: attrs.by }],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference([x], { by }) {
    return [{ dtype: 'f32', shape: x!.shape, data: x!.data.map((v) => v * by) }];
  },
  cases: [
    { name: 'negative', inputs: [{ dtype: 'f32', shape: [5, 13] }], attrs: { by: -0.75 } },
    { name: 'scalar', inputs: [{ dtype: 'f32', shape: [] }], attrs: { by: 3 } },
  ],
});

export const scaleByOp = defineOp<Record<never, never>>({
  name: 'scaleBy',
  infer([x, s]) {
    if (x!.dtype !== 'f32' || s!.dtype !== 'f32' || sizeOf(s!.shape) !== 1) {
      fail('shape', `scaleBy: takes f32 and one f32 number, not ${x!.dtype} and ${s!.dtype} [${s!.shape}].`);
    }
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient(g, node, [dY], wants) {
    const [x, s] = node.inputs as [Value, Value];
    return [
      wants[0] ? scaleBy(g, dY!, s) : null,
      wants[1]
        ? view(
            g,
            reduce(g, binary(g, x, dY!, { fn: 'mul' }), { fn: 'sum', axes: x.shape.map((_, i) => i) }),
            s.shape,
          )
        : null,
    ];
  },
  kernel({ inputs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'scale.wgsl',
          entry: 'scale_by',
          constants: { WG: WORKGROUP },
          params: [n, 0],
          bindings: [{ in: 0 }, { out: 0 }, { in: 1 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference([x, s]) {
    const y = emptyTensor('f32', x!.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = s!.data[0]! * x!.data[i]!;
    return [y];
  },
  cases: [
    {
      name: 'matrix',
      inputs: [
        { dtype: 'f32', shape: [5, 13] },
        { dtype: 'f32', shape: [1] },
      ],
      attrs: {},
    },
  ],
});

/** by · x. */
export const scale = (g: Emitter, x: Value, attrs: ScaleAttrs): Value => g.emit(scaleOp, [x], attrs)[0]!;

/** s · x for a tensor s of one element. */
export const scaleBy = (g: Emitter, x: Value, s: Value): Value => g.emit(scaleByOp, [x, s], {})[0]!;
