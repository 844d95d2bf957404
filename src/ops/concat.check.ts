/** The float64 reference and test cases of concat.ts. */

import { defineCheck } from '../graph/references.ts';
import { sizeOf } from '../graph/shape.ts';
import { beginnings, concatOp } from './concat.ts';
import { emptyTensor } from './reference.ts';

defineCheck(concatOp, {
  reference(inputs, { axis }) {
    const first = inputs[0]!;
    const length = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    const y = emptyTensor(
      first.dtype,
      first.shape.map((d, i) => (i === axis ? length : d)),
    );
    const inner = sizeOf(first.shape.slice(axis + 1));
    const begin = beginnings(
      inputs.map((x) => x.shape),
      axis,
    );
    inputs.forEach(({ data, shape }, k) => {
      const run = shape[axis]! * inner;
      for (let i = 0; i < data.length; i++) {
        y.data[Math.floor(i / run) * length * inner + begin[k]! * inner + (i % run)] = data[i]!;
      }
    });
    return [y];
  },
  cases: [
    {
      name: 'rows',
      inputs: [
        { dtype: 'f32', shape: [2, 5] },
        { dtype: 'f32', shape: [3, 5] },
      ],
      attrs: { axis: 0 },
    },
    {
      name: 'inner axis, three tensors',
      inputs: [
        { dtype: 'f32', shape: [2, 1, 5] },
        { dtype: 'f32', shape: [2, 3, 5] },
        { dtype: 'f32', shape: [2, 2, 5] },
      ],
      attrs: { axis: 1 },
    },
    {
      name: 'last axis, whole',
      inputs: [
        { dtype: 'i32', shape: [2, 2], data: [1, 2, 3, 4] },
        { dtype: 'i32', shape: [2, 1], data: [5, 6] },
      ],
      attrs: { axis: 1 },
    },
  ],
});
