/** What the check files of the ops share: loops of float64 references, and made-up operands. */
import { forEachRow, sizeOf } from '../graph/shape.ts';
import type { DType, Tensor, TensorType } from '../graph/types.ts';
import { logicalMatrix, packMatrix, type QuantFormat, quantLayout, unpackMatrix } from './quantised.ts';

/** A tensor of zeros. */
export const emptyTensor = (dtype: DType, shape: readonly number[]): Tensor => ({
  dtype,
  shape,
  data: new Float64Array(sizeOf(shape)),
});

/** Calls `visit(index, offsets)` for every element of the space in row-major order. */
export function forEachStrided(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (index: number, offsets: readonly number[]) => void,
): void {
  const steps = strides.map((s) => s.at(-1) ?? 0);
  const offsets = strides.map(() => 0);
  forEachRow(shape, strides, (to, length, from) => {
    for (let i = 0; i < length; i++) {
      for (let k = 0; k < steps.length; k++) offsets[k] = from[k]! + i * steps[k]!;
      visit(to + i, offsets);
    }
  });
}

/** Output [shape] reads x at `offset` + coordinates · `strides` (elements). */
export function stridedReference(
  x: Tensor,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): Tensor {
  const y = emptyTensor(x.dtype, shape);
  forEachStrided(shape, [strides], (i, [at]) => {
    y.data[i] = x.data[offset + at!]!;
  });
  return y;
}

/** The tensor an operand stands for, for references. */
export function unpackTensor(t: Tensor, format: QuantFormat | undefined, op: string): Tensor {
  if (!format) return t;
  const type = logicalMatrix(t, format, op);
  const data = new Float64Array(type.shape[0]! * format.columns);
  unpackMatrix(t.data, type.shape[0]!, format, data);
  return { ...type, data };
}

/** An operand in this format with made-up contents, for the cases of ops that take one. */
export function quantCase(
  rows: number,
  format: QuantFormat,
): TensorType & { readonly data: readonly number[] } {
  const middle = 2 ** (format.bits - 1);
  const words = packMatrix(rows, format, {
    code: (r, c) => (r * 7 + c * 5 + ((r * c) % 3)) % 2 ** format.bits,
    scale: (r, b) => (0.02 + 0.01 * ((r + 2 * b) % 5)) / (format.bits === 8 ? 16 : 1),
    zero: (r, b) => (format.zeros === 'floats' ? middle + 0.25 * ((r + b) % 4) : middle - 2 + ((r + b) % 5)),
  });
  return { dtype: 'u32', shape: [rows, quantLayout(format).stride], data: [...words] };
}
