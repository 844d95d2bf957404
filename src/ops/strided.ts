/** The kernel of ops that read one tensor at other strides: expand, transpose, slice. */
import { sizeOf } from '../graph/shape.ts';
import type { Kernel } from '../graph/types.ts';
import { eight, mergeAxes, perElement, WORKGROUP } from './dispatch.ts';

/** Output [shape] reads x at `offset` + coordinates · `strides` (elements). */
export function stridedKernel(shape: readonly number[], strides: readonly number[], offset: number): Kernel {
  const n = sizeOf(shape);
  const merged = mergeAxes(shape, [strides]);
  return {
    dispatches: [
      {
        shader: 'strided.wgsl',
        entry: 'copy',
        constants: { WG: WORKGROUP, RANK: merged.shape.length },
        params: [n, offset, 0, 0, ...eight(merged.shape, 1), ...eight(merged.strides[0]!)],
        bindings: [{ in: 0 }, { out: 0 }],
        workgroups: perElement(n),
      },
    ],
  };
}
