/** What the float64 references of the ops share. */
import { sizeOf } from '../graph/shape.ts';
import type { DType, Tensor } from '../graph/types.ts';

/** A tensor of zeros. */
export const emptyTensor = (dtype: DType, shape: readonly number[]): Tensor => ({
  dtype,
  shape,
  data: new Float64Array(sizeOf(shape)),
});
