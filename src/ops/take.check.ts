/** The float64 references and test cases of take.ts. */

import { defineCheck } from '../graph/references.ts';
import { sizeOf } from '../graph/shape.ts';
import { emptyTensor } from './reference.ts';
import { resized, takeGradOp, takeOp } from './take.ts';

defineCheck(takeOp, {
  reference([x, index], { axis }) {
    const taken = index!.shape[0]!;
    const y = emptyTensor(x!.dtype, resized(x!.shape, axis, taken));
    const inner = sizeOf(x!.shape.slice(axis + 1));
    for (let i = 0; i < y.data.length; i++) {
      const row = index!.data[Math.floor(i / inner) % taken]!;
      const outer = Math.floor(i / (inner * taken));
      y.data[i] = x!.data[(outer * x!.shape[axis]! + row) * inner + (i % inner)]!;
    }
    return [y];
  },
  cases: [
    {
      name: 'with repeats',
      inputs: [
        { dtype: 'f32', shape: [3, 5, 4] },
        { dtype: 'i32', shape: [4], data: [4, 0, 2, 4] },
      ],
      attrs: { axis: 1 },
    },
    {
      name: 'last axis, whole',
      inputs: [
        { dtype: 'i32', shape: [2, 3], data: [1, 2, 3, 4, 5, 6] },
        { dtype: 'i32', shape: [2], data: [2, 0] },
      ],
      attrs: { axis: 1 },
    },
  ],
});

defineCheck(takeGradOp, {
  reference([dY, index], { axis, length }) {
    const taken = index!.shape[0]!;
    const dx = emptyTensor('f32', resized(dY!.shape, axis, length));
    const inner = sizeOf(dY!.shape.slice(axis + 1));
    dY!.data.forEach((d, i) => {
      const outer = Math.floor(i / (inner * taken));
      const at = (outer * length + index!.data[Math.floor(i / inner) % taken]!) * inner + (i % inner);
      dx.data[at] = dx.data[at]! + d;
    });
    return [dx];
  },
  cases: [
    {
      name: 'with repeats',
      inputs: [
        { dtype: 'f32', shape: [3, 4, 4] },
        { dtype: 'i32', shape: [4], data: [4, 0, 2, 4] },
      ],
      attrs: { axis: 1, length: 5 },
    },
  ],
});
