/** What the ONNX forms of several ops share: numbers of element types, and short ways to write common nodes. */
import type { OnnxWriter } from '../graph/types.ts';

/** TensorProto's numbers of element types. */
export const FLOAT = 1;
export const INT32 = 6;
export const INT64 = 7;
export const BOOL = 9;

/** What is not 0. */
export const isTrue = (e: OnnxWriter, x: string): string => e.op('Cast', [x], { to: BOOL });

export const matmul = (e: OnnxWriter, a: string, b: string): string => e.op('MatMul', [a, b]);

export const times = (e: OnnxWriter, x: string, by: number): string => e.op('Mul', [x, e.scalar(by)]);

/** x of so many axes with the last two exchanged. */
export const swapped = (e: OnnxWriter, x: string, rank: number): string =>
  e.transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);

/** The identity [b, b]. */
export const identity = (e: OnnxWriter, b: number): string =>
  e.tensor(
    'float32',
    [b, b],
    Float32Array.from({ length: b * b }, (_, i) => (i % (b + 1) === 0 ? 1 : 0)),
  );

/** One entry of the first axis of x, without that axis. */
export const pick = (e: OnnxWriter, x: string, i: number): string =>
  e.op('Gather', [x, e.ints([i], [])], { axis: 0 });
