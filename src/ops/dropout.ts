/** dropout by a counter-based hash of element, salt and the step's seed: no state, the same mask backward. */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, OnnxForm, OnnxWriter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { FLOAT, INT64 } from './onnx.ts';

export interface DropoutAttrs {
  /** Probability of dropping, 0 ≤ p < 1. */
  readonly p: number;
  /** Tells the dropouts of one step apart. */
  readonly salt: number;
}

export const thresholdOf = (p: number): number => Math.round(p * 2 ** 24);

// In ONNX: the very mask of the kernel. ONNX multiplies no unsigned numbers, so the 32-bit arithmetic is done in int64, where nothing that is
// multiplied here overflows.

const WORD = 2 ** 32;
const HALF = 2 ** 16;

const int = (e: OnnxWriter, value: number): string => e.ints([value], []);
const wrapped = (e: OnnxWriter, x: string): string => e.op('Mod', [x, int(e, WORD)]);
const xor = (e: OnnxWriter, a: string, b: string): string => e.op('BitwiseXor', [a, b]);
const plus = (e: OnnxWriter, a: string, b: string): string => wrapped(e, e.op('Add', [a, b]));

/** x · by mod 2³², by the halves of `by`. */
function times(e: OnnxWriter, x: string, by: number): string {
  const low = e.op('Mul', [x, int(e, by % HALF)]);
  const high = e.op('Mod', [e.op('Mul', [x, int(e, Math.floor(by / HALF))]), int(e, HALF)]);
  return plus(e, low, e.op('Mul', [high, int(e, HALF)]));
}

/** x xor (x >>> bits). */
const folded = (e: OnnxWriter, x: string, bits: number): string =>
  xor(e, x, e.op('Div', [x, int(e, 2 ** bits)]));

/** The finaliser of MurmurHash3. */
function mix(e: OnnxWriter, x: string): string {
  const once = times(e, folded(e, x, 16), 0x85ebca6b);
  return folded(e, times(e, folded(e, once, 13), 0xc2b2ae35), 16);
}

const dropoutOnnx: OnnxForm<DropoutAttrs> = (e, [x, seed], { inputs, attrs: { p, salt } }) => {
  const { shape } = inputs[0]!;
  const words = wrapped(e, e.op('Cast', [seed!], { to: INT64 }));
  const word = (k: number) => e.op('Gather', [words, int(e, k)], { axis: 0 });
  const elements = e.op('Range', [int(e, 0), int(e, sizeOf(shape)), int(e, 1)]);
  const inner = mix(e, xor(e, elements, word(0)));
  const outer = mix(e, plus(e, plus(e, inner, int(e, salt >>> 0)), word(1)));
  const key = mix(e, plus(e, word(2), times(e, word(3), 0x9e3779b9)));
  const drawn = e.op('Div', [mix(e, xor(e, outer, key)), int(e, 2 ** 8)]);
  const isKept = e.op('GreaterOrEqual', [drawn, int(e, thresholdOf(p))]);
  const mask = e.op('Mul', [e.op('Cast', [isKept], { to: FLOAT }), e.scalar(1 / (1 - p))]);
  return [e.op('Mul', [x!, e.reshape(mask, shape)])];
};

export const dropoutOp = defineOp<DropoutAttrs>({
  name: 'dropout',
  infer([x, seed], { p }) {
    if (x!.dtype !== 'f32' || seed!.dtype !== 'i32' || sizeOf(seed!.shape) !== 4) {
      fail(
        'shape',
        say`dropout: takes f32 and an i32 seed of four numbers, not ${x!.dtype} and ${seed!.dtype} [${seed!.shape}].`,
      );
    }
    if (!(p >= 0 && p < 1))
      fail('illegal-config', say`dropout: the probability ${p} must be at least 0 and below 1.`);
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
  onnx: dropoutOnnx,
});

/** x with each element dropped at probability p and the others divided by 1 − p; seed i32 [4] changes per step. */
export const dropout = (g: Emitter, x: Value, seed: Value, attrs: DropoutAttrs): Value =>
  g.emit(dropoutOp, [x, seed], attrs)[0]!;
