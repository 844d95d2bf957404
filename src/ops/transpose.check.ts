/** The float64 reference and test cases of transpose.ts. */

import { defineCheck } from '../graph/references.ts';
import { stridesOf } from '../graph/shape.ts';
import { stridedReference } from './reference.ts';
import { permuted, transposeOp } from './transpose.ts';

defineCheck(transposeOp, {
  reference: ([x], { perm }) => [
    stridedReference(x!, permuted(x!.shape, perm), permuted(stridesOf(x!.shape), perm), 0),
  ],
  cases: [
    { name: 'matrix', inputs: [{ dtype: 'f32', shape: [5, 7] }], attrs: { perm: [1, 0] } },
    { name: 'heads', inputs: [{ dtype: 'f32', shape: [2, 5, 3, 4] }], attrs: { perm: [0, 2, 1, 3] } },
    { name: 'cycle', inputs: [{ dtype: 'f32', shape: [2, 3, 4] }], attrs: { perm: [2, 0, 1] } },
    { name: 'whole', inputs: [{ dtype: 'i32', shape: [2, 2], data: [1, 2, 3, 4] }], attrs: { perm: [1, 0] } },
  ],
});
