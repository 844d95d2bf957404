/** What layerNorm and rmsNorm share: sizes of rows, and how the sums of their weight gradients over rows are cut. */
import { sizeOf } from '../graph/shape.ts';
import type { TensorType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';

export interface NormAttrs {
  readonly eps: number;
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
