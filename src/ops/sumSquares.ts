/** The sum of squares of a buffer in a fixed order, in parts: the optimizers add them to the square of the global gradient norm. */
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { ALONE_WORKGROUP } from './dispatch.ts';

/** Lanes of a part, as LANES in the shader. */
const LANES = 256;
/** Parts that an optimizer adds up at most. */
export const MOST_SQUARES = 256;

const partsOf = (count: number): number => Math.min(MOST_SQUARES, Math.ceil(count / (4 * LANES)));

/** x f32, any shape → [parts], at most {@link MOST_SQUARES}, whose sum is the sum of all squares. */
export const sumSquaresOp = defineOp<Record<string, never>>({
  name: 'sumSquares',
  infer: ([x]) => [{ dtype: 'f32', shape: [partsOf(sizeOf(x!.shape))] }],
  gradient: null,
  kernel: ({ inputs, outputs }, { software: alone }) => {
    const [parts] = outputs[0]!.shape as [number];
    return {
      dispatches: [
        {
          shader: 'sumSquares.wgsl',
          entry: 'partial',
          conditions: { ALONE: alone },
          constants: { WG: alone ? ALONE_WORKGROUP : LANES },
          params: [sizeOf(inputs[0]!.shape), parts],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: [alone ? Math.ceil(parts / ALONE_WORKGROUP) : parts, 1, 1],
        },
      ],
    };
  },
});

export const sumSquares = (g: Emitter, x: Value): Value => g.emit(sumSquaresOp, [x], {})[0]!;
