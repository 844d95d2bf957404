/** cast: f32 ↔ i32 (towards zero), f16 → f32. */

import { sizeOf } from '../graph/shape.ts';
import type { DType, Emitter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { FLOAT, INT32 } from './onnx.ts';

export interface CastAttrs {
  readonly to: DType;
}

const ENTRIES: Readonly<Record<string, string>> = {
  'f32 i32': 'to_whole',
  'i32 f32': 'to_floats',
  'f16 f32': 'from_halves',
};

export const castOp = defineOp<CastAttrs>({
  name: 'cast',
  infer([x], { to }) {
    if (!ENTRIES[`${x!.dtype} ${to}`]) fail('shape', say`cast: ${x!.dtype} to ${to} is not possible.`);
    return [{ dtype: to, shape: x!.shape }];
  },
  // Whole numbers have no gradient, and what is stored as f16 is frozen.
  gradient: () => [null],
  kernel({ inputs, attrs }) {
    const { dtype, shape } = inputs[0]!;
    const n = sizeOf(shape);
    return {
      dispatches: [
        {
          shader: 'cast.wgsl',
          entry: ENTRIES[`${dtype} ${attrs.to}`]!,
          constants: { WG: WORKGROUP },
          params: [n],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  onnx: (e, [x], { attrs }) => [e.op('Cast', [x!], { to: attrs.to === 'i32' ? INT32 : FLOAT })],
});

/** x in another type; x itself when it has it. */
export const cast = (g: Emitter, x: Value, attrs: CastAttrs): Value =>
  x.dtype === attrs.to ? x : g.emit(castOp, [x], attrs)[0]!;
