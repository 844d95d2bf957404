/** Adds to a state in place, or overwrites it: gradient accumulation. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** acc (state) f32, x f32 of the same shape, keep f32 [1]: acc ← keep·acc + x; keep = 0 is plain assignment. */
export const axpyOp = defineOp<Record<string, never>>({
  name: 'axpy',
  infer: ([acc, x, keep]) => {
    if (!sameShape(acc!.shape, x!.shape)) fail('shape', `axpy: [${acc!.shape}] and [${x!.shape}] differ.`);
    if (keep?.shape.join() !== '1') fail('shape', `axpy: keep must be [1], not [${keep?.shape}].`);
    return [];
  },
  gradient: null,
  mutates: [0],
  kernel: ({ inputs }) => {
    const count = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'axpy.wgsl',
          entry: 'main',
          constants: { WG: WORKGROUP },
          params: [count],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }],
          workgroups: perElement(count),
        },
      ],
    };
  },
  reference: ([acc, x, keep]) => {
    const k = keep!.data[0]!;
    return [{ ...acc!, data: acc!.data.map((a, i) => (k === 0 ? 0 : k * a) + x!.data[i]!) }];
  },
  cases: [
    { name: 'add', inputs: [f32(7, 11), f32(7, 11), { ...f32(1), data: [1] }], attrs: {} },
    { name: 'assign', inputs: [f32(65), f32(65), { ...f32(1), data: [0] }], attrs: {} },
  ],
});

/** acc ← keep·acc + x, where `acc` is a state. */
export function axpy(g: Emitter, acc: Value, x: Value, keep: Value): void {
  g.emit(axpyOp, [acc, x, keep], {});
}
