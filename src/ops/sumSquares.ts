/** The sum of squares of a buffer in a fixed order: the square of the global gradient norm. */
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';

const SHADER = 'sumSquares.wgsl';
const WG = 256;
const MAX_GROUPS = 256;

/** x f32, any shape → [1]. */
export const sumSquaresOp = defineOp<Record<string, never>>({
  name: 'sumSquares',
  infer: () => [{ dtype: 'f32', shape: [1] }],
  gradient: null,
  kernel: ({ inputs }) => {
    const count = sizeOf(inputs[0]!.shape);
    const groups = Math.min(MAX_GROUPS, Math.ceil(count / (4 * WG)));
    return {
      scratchBytes: [4 * groups],
      dispatches: [
        {
          shader: SHADER,
          entry: 'partial',
          constants: { WG },
          params: [count, groups * WG],
          bindings: [{ in: 0 }, { scratch: 0 }],
          workgroups: [groups, 1, 1],
        },
        {
          shader: SHADER,
          entry: 'total',
          constants: { WG },
          params: [groups, WG],
          bindings: [{ scratch: 0 }, { out: 0 }],
          workgroups: [1, 1, 1],
        },
      ],
    };
  },
});

export const sumSquares = (g: Emitter, x: Value): Value => g.emit(sumSquaresOp, [x], {})[0]!;
