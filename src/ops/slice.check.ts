/** The float64 references and test cases of slice.ts. */

import { defineCheck } from '../graph/references.ts';
import { emptyTensor, forEachStrided, stridedReference } from './reference.ts';
import { outShape, sliceOp, slicePlan, unsliceOp } from './slice.ts';

defineCheck(sliceOp, {
  reference([x], attrs) {
    const { strides, offset } = slicePlan(x!, attrs);
    return [stridedReference(x!, outShape(attrs), strides, offset)];
  },
  cases: [
    {
      name: 'middle',
      inputs: [{ dtype: 'f32', shape: [4, 5, 6] }],
      attrs: { starts: [1, 0, 2], ends: [3, 5, 5], steps: [1, 1, 1] },
    },
    {
      name: 'stepped',
      inputs: [{ dtype: 'f32', shape: [7, 9] }],
      attrs: { starts: [0, 1], ends: [7, 9], steps: [3, 2] },
    },
    {
      name: 'backwards',
      inputs: [{ dtype: 'f32', shape: [5, 6] }],
      attrs: { starts: [4, 5], ends: [-1, 0], steps: [-1, -2] },
    },
    {
      name: 'whole',
      inputs: [{ dtype: 'i32', shape: [4], data: [1, 2, 3, 4] }],
      attrs: { starts: [1], ends: [3], steps: [1] },
    },
  ],
});

defineCheck(unsliceOp, {
  reference([dY], attrs) {
    const x = emptyTensor('f32', attrs.shape);
    const { strides, offset } = slicePlan(x, attrs);
    forEachStrided(dY!.shape, [strides], (i, [at]) => {
      x.data[offset + at!] = dY!.data[i]!;
    });
    return [x];
  },
  cases: [
    {
      name: 'stepped',
      inputs: [{ dtype: 'f32', shape: [3, 4] }],
      attrs: { starts: [0, 1], steps: [3, 2], shape: [7, 9] },
    },
    {
      name: 'backwards',
      inputs: [{ dtype: 'f32', shape: [5, 3] }],
      attrs: { starts: [4, 5], steps: [-1, -2], shape: [5, 6] },
    },
  ],
});
