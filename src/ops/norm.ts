/** What layerNorm and rmsNorm share: sizes of rows, and how the sums of their weight gradients over rows are cut. */
import { sizeOf } from '../graph/shape.ts';
import type { TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';

export interface NormAttrs {
  readonly eps: number;
}

/** Of the gradient in the input. */
export interface NormGradAttrs extends NormAttrs {
  /** The last operand is added to the result: what the same value's other readers contribute. */
  readonly add: boolean;
}

export interface NormRows {
  readonly rows: number;
  readonly columns: number;
}

/** Rows and columns of x; the weight (and bias) must have one number per column. */
export function normRows(
  op: string,
  x: TensorType,
  ...vectors: readonly (TensorType | undefined)[]
): NormRows {
  const columns = x.shape.at(-1);
  if (x.dtype !== 'f32' || !columns)
    fail('shape', `${op}: needs f32 with a last axis, not ${x.dtype} [${x.shape}].`);
  for (const v of vectors) {
    if (v && (v.dtype !== 'f32' || v.shape.join() !== `${columns}`)) {
      fail('shape', `${op}: ${v.dtype} [${v.shape}] does not go with rows of ${columns}.`);
    }
  }
  return { rows: sizeOf(x.shape) / columns, columns };
}

/** Rows per range and number of ranges of a sum over rows with one thread per column. */
export function rowChunks({ rows, columns }: NormRows): { chunk: number; chunks: number } {
  const wanted = Math.max(1, Math.min(Math.ceil(4096 / columns), Math.floor(rows / 32)));
  const chunk = Math.ceil(rows / wanted);
  return { chunk, chunks: Math.ceil(rows / chunk) };
}

/** The optional operands of a gradient in the input, which follow x, dy and `statistics` of the rows: the weight, what is added. */
export function optionalOperands<T>(
  inputs: readonly T[],
  statistics: number,
  { add }: NormGradAttrs,
): { readonly weight: T | undefined; readonly added: T | undefined } {
  const before = inputs.length - (add ? 1 : 0);
  return {
    weight: before > 2 + statistics ? inputs[2 + statistics] : undefined,
    added: add ? inputs.at(-1) : undefined,
  };
}
