/** dropout by a counter-based hash of element, salt and the step's seed: no state, the same mask backward. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface DropoutAttrs {
  /** Probability of dropping, 0 ≤ p < 1. */
  readonly p: number;
  /** Tells the dropouts of one step apart. */
  readonly salt: number;
}

export const thresholdOf = (p: number): number => Math.round(p * 2 ** 24);

export const dropoutOp = defineOp<DropoutAttrs>({
  name: 'dropout',
  infer([x, seed], { p }) {
    if (x!.dtype !== 'f32' || seed!.dtype !== 'i32' || sizeOf(seed!.shape) !== 4) {
      fail(
        'shape',
        `dropout: takes f32 and an i32 seed of four numbers, not ${x!.dtype} and ${seed!.dtype} [${seed!.shape}].`,
      );
    }
    if (!(p >= 0 && p < 1))
      fail('illegal-config', `dropout: the probability ${p} must be at least 0 and below 1.`);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: (g, node, [dY]) => [dropout(g, dY!, node.inputs[1]!, node.attrs), null],
  kernel({ inputs, attrs: { p, salt } }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'dropout.wgsl',
          entry: 'dropout',
          constants: { WG: WORKGROUP },
          params: [n, salt >>> 0, thresholdOf(p), { f32: 1 / (1 - p) }],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
});

/** x with each element dropped at probability p and the others divided by 1 − p; seed i32 [4] changes per step. */
export const dropout = (g: Emitter, x: Value, seed: Value, attrs: DropoutAttrs): Value =>
  g.emit(dropoutOp, [x, seed], attrs)[0]!;
