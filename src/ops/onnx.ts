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

/** x turned round along the axes whose step is negative. */
export function backwards(e: OnnxWriter, x: string, steps: readonly number[]): string {
  const axes = steps.flatMap((s, axis) => (s < 0 ? [axis] : []));
  if (axes.length === 0) return x;
  const all = (value: number): string => e.ints(axes.map(() => value));
  return e.op('Slice', [x, all(-1), all(-LAST), e.ints(axes), all(-1)]);
}

/** Beyond every axis: where a slice that goes backwards ends. */
const LAST = 2 ** 31;

/** x [d, …] with apart − 1 zeros between any two numbers along each axis, [(d − 1)·apart + 1, …]. */
export function withGaps(
  e: OnnxWriter,
  x: string,
  shape: readonly number[],
  apart: readonly number[],
): string {
  if (apart.every((s) => s === 1)) return x;
  // Each axis gets one of `apart` behind it, of which the first is the number.
  const pairs = e.reshape(
    x,
    shape.flatMap((d) => [d, 1]),
  );
  const before = shape.flatMap(() => [0, 0]);
  const wide = e.op('Pad', [pairs, e.ints([...before, ...apart.flatMap((s) => [0, s - 1])])]);
  const flat = e.reshape(
    wide,
    shape.map((d, i) => d * apart[i]!),
  );
  const axes = shape.map((_, axis) => axis);
  return e.op('Slice', [
    flat,
    e.ints(axes.map(() => 0)),
    e.ints(shape.map((d, i) => (d - 1) * apart[i]! + 1)),
    e.ints(axes),
  ]);
}
