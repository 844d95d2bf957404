/**
 * The op `dropout` in ONNX: the very mask of its reference, a hash of element, salt and seed. ONNX multiplies no unsigned numbers, so the
 * 32-bit arithmetic is done in int64, where nothing that is multiplied here overflows.
 */
import { sizeOf } from '../../graph/shape.ts';
import type { DropoutAttrs } from '../../ops/dropout.ts';
import { type Lowering, lowering, type OnnxEmitter } from './emitter.ts';

const INT64 = 7;
const FLOAT = 1;
const WORD = 2 ** 32;
const HALF = 2 ** 16;

const int = (e: OnnxEmitter, value: number): string => e.ints([value], []);
const wrapped = (e: OnnxEmitter, x: string): string => e.op('Mod', [x, int(e, WORD)]);
const xor = (e: OnnxEmitter, a: string, b: string): string => e.op('BitwiseXor', [a, b]);
const plus = (e: OnnxEmitter, a: string, b: string): string => wrapped(e, e.op('Add', [a, b]));

/** x · by mod 2³², by the halves of `by`. */
function times(e: OnnxEmitter, x: string, by: number): string {
  const low = e.op('Mul', [x, int(e, by % HALF)]);
  const high = e.op('Mod', [e.op('Mul', [x, int(e, Math.floor(by / HALF))]), int(e, HALF)]);
  return plus(e, low, e.op('Mul', [high, int(e, HALF)]));
}

/** x xor (x >>> bits). */
const folded = (e: OnnxEmitter, x: string, bits: number): string =>
  xor(e, x, e.op('Div', [x, int(e, 2 ** bits)]));

/** The finaliser of MurmurHash3. */
function mix(e: OnnxEmitter, x: string): string {
  const once = times(e, folded(e, x, 16), 0x85ebca6b);
  return folded(e, times(e, folded(e, once, 13), 0xc2b2ae35), 16);
}

const dropout = lowering<DropoutAttrs>((e, [x, seed], { inputs, attrs: { p, salt } }) => {
  const { shape } = inputs[0]!;
  const words = wrapped(e, e.op('Cast', [seed!], { to: INT64 }));
  const word = (k: number) => e.op('Gather', [words, int(e, k)], { axis: 0 });
  const elements = e.op('Range', [int(e, 0), int(e, sizeOf(shape)), int(e, 1)]);
  const inner = mix(e, xor(e, elements, word(0)));
  const outer = mix(e, plus(e, plus(e, inner, int(e, salt >>> 0)), word(1)));
  const key = mix(e, plus(e, word(2), times(e, word(3), 0x9e3779b9)));
  const drawn = e.op('Div', [mix(e, xor(e, outer, key)), int(e, 2 ** 8)]);
  const isKept = e.op('GreaterOrEqual', [drawn, int(e, Math.round(p * 2 ** 24))]);
  const mask = e.op('Mul', [e.op('Cast', [isKept], { to: FLOAT }), e.scalar(1 / (1 - p))]);
  return [e.op('Mul', [x!, e.reshape(mask, shape)])];
});

export const dropouts: Readonly<Record<string, Lowering>> = { dropout };
