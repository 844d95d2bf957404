/** The float64 reference and test cases of assemble.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf, stridesOf } from '../graph/shape.ts';
import { assembleOp, type Window } from './assemble.ts';
import { emptyTensor } from './reference.ts';

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** What lies close together, from `low` on. */
const whole = (low: readonly number[], size: readonly number[], by = 1): Window => ({
  ...{ low, size, strides: stridesOf(size), offset: 0, by },
});

defineCheck(assembleOp, {
  reference(inputs, { shape, windows }) {
    const y = emptyTensor('f32', shape);
    windows.forEach(({ low, size, strides, offset, by }, part) => {
      const own = stridesOf(size);
      const to = stridesOf(shape);
      for (let i = 0; i < sizeOf(size); i++) {
        let from = offset;
        let at = 0;
        size.forEach((d, axis) => {
          const c = Math.floor(i / own[axis]!) % d;
          from += c * strides[axis]!;
          at += (low[axis]! + c) * to[axis]!;
        });
        y.data[at]! += by * inputs[part]!.data[from]!;
      }
    });
    return [y];
  },
  cases: [
    {
      name: 'a row before others, and a table added to all',
      inputs: [f32(1, 1, 5), f32(3, 4, 5), f32(1, 5, 5)],
      attrs: {
        shape: [3, 5, 5],
        windows: [
          { low: [0, 0, 0], size: [3, 1, 5], strides: [0, 0, 1], offset: 0, by: 1 },
          { low: [0, 1, 0], size: [3, 4, 5], strides: [20, 5, 1], offset: 0, by: 1 },
          { low: [0, 0, 0], size: [3, 5, 5], strides: [0, 5, 1], offset: 0, by: 1 },
        ],
      },
    },
    {
      name: 'parts of one tensor, one of them scaled and repeated',
      inputs: [f32(3, 14), f32(3, 14)],
      attrs: {
        shape: [3, 6, 7],
        windows: [
          { low: [0, 0, 0], size: [3, 1, 7], strides: [14, 0, 1], offset: 0, by: 1 },
          { low: [0, 1, 0], size: [3, 5, 7], strides: [14, 0, 1], offset: 7, by: 0.2 },
        ],
      },
    },
    {
      name: 'four axes, gaps, overlaps, six parts',
      inputs: [f32(2), f32(3), f32(1), f32(2, 3, 2, 3), f32(4), f32(6)],
      attrs: {
        shape: [2, 3, 2, 3],
        windows: [
          whole([0, 1, 0, 0], [2, 1, 1, 1]),
          whole([1, 0, 1, 0], [1, 1, 1, 3], -2),
          whole([0, 0, 0, 2], [1, 1, 1, 1]),
          { ...whole([0, 0, 0, 0], [2, 2, 2, 3]), strides: [18, 6, 3, 1], offset: 6 },
          whole([0, 1, 0, 1], [1, 2, 1, 2], 0.5),
          whole([0, 2, 0, 0], [1, 1, 2, 3]),
        ],
      },
    },
    {
      name: 'one part, more elements than a workgroup, axes that merge',
      inputs: [f32(7, 5, 3, 2)],
      attrs: { shape: [7, 6, 3, 2], windows: [whole([0, 1, 0, 0], [7, 5, 3, 2])] },
    },
  ],
});
