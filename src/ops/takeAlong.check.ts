/** The float64 references and test cases of takeAlong.ts. */

import { defineCheck } from '../graph/references.ts';
import { emptyTensor } from './reference.ts';
import { takeAlongGradOp, takeAlongLayout, takeAlongOp } from './takeAlong.ts';

defineCheck(takeAlongOp, {
  reference([x, index]) {
    const { rows, period, taken } = takeAlongLayout('takeAlong', x!, index!);
    const length = x!.shape.at(-1)!;
    const y = emptyTensor('f32', [...x!.shape.slice(0, -1), taken]);
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < taken; k++) {
        y.data[r * taken + k] = x!.data[r * length + index!.data[(r % period) * taken + k]!]!;
      }
    }
    return [y];
  },
  cases: [
    {
      name: 'repeating rows of indices',
      inputs: [
        { dtype: 'f32', shape: [2, 2, 5] },
        { dtype: 'i32', shape: [2, 3], data: [4, 0, 4, 1, 2, 3] },
      ],
      attrs: {},
    },
    {
      name: 'a row of indices each',
      inputs: [
        { dtype: 'f32', shape: [3, 4] },
        { dtype: 'i32', shape: [3, 2], data: [0, 3, 1, 1, 2, 0] },
      ],
      attrs: {},
    },
  ],
});

defineCheck(takeAlongGradOp, {
  reference([dY, index], { length }) {
    const { rows, period, taken } = takeAlongLayout('takeAlongGrad', dY!, index!);
    const dx = emptyTensor('f32', [...dY!.shape.slice(0, -1), length]);
    for (let r = 0; r < rows; r++) {
      for (let k = 0; k < taken; k++) {
        const at = r * length + index!.data[(r % period) * taken + k]!;
        dx.data[at] = dx.data[at]! + dY!.data[r * taken + k]!;
      }
    }
    return [dx];
  },
  cases: [
    {
      name: 'with repeats',
      inputs: [
        { dtype: 'f32', shape: [2, 2, 3] },
        { dtype: 'i32', shape: [2, 3], data: [4, 0, 4, 1, 2, 3] },
      ],
      attrs: { length: 5 },
    },
  ],
});
