/** The float64 references and test cases of view.ts. */

import { defineCheck } from '../graph/references.ts';
import { sizeOf } from '../graph/shape.ts';
import { emptyTensor } from './reference.ts';
import { detachOp, packOp, splitOp, viewOp } from './view.ts';

defineCheck(viewOp, {
  reference([x], { shape, offset }) {
    return [{ dtype: x!.dtype, shape, data: x!.data.slice(offset, offset + sizeOf(shape)) }];
  },
  cases: [
    { name: 'reshape', inputs: [{ dtype: 'f32', shape: [3, 8] }], attrs: { shape: [2, 12], offset: 0 } },
    { name: 'part', inputs: [{ dtype: 'f32', shape: [4, 64] }], attrs: { shape: [2, 32], offset: 128 } },
    {
      name: 'part off the alignment',
      inputs: [{ dtype: 'f32', shape: [5, 7] }],
      attrs: { shape: [7], offset: 14 },
    },
  ],
});

defineCheck(detachOp, {
  reference: ([x]) => [x!],
  cases: [{ name: 'matrix', inputs: [{ dtype: 'f32', shape: [3, 5] }], attrs: {}, gradientInputs: [] }],
});

defineCheck(splitOp, {
  reference([x], { parts }) {
    return parts.map(({ offset, shape }) => ({
      dtype: x!.dtype,
      shape,
      data: x!.data.slice(offset, offset + sizeOf(shape)),
    }));
  },
  cases: [
    {
      name: 'tiles the input',
      inputs: [{ dtype: 'f32', shape: [3, 64] }],
      attrs: {
        parts: [
          { offset: 0, shape: [8, 8] },
          { offset: 64, shape: [64] },
          { offset: 128, shape: [4, 16] },
        ],
      },
    },
    {
      name: 'gaps and odd offsets',
      inputs: [{ dtype: 'f32', shape: [40] }],
      attrs: {
        parts: [
          { offset: 3, shape: [2, 5] },
          { offset: 20, shape: [7] },
        ],
      },
    },
  ],
});

defineCheck(packOp, {
  reference(inputs, { offsets, size }) {
    const y = emptyTensor(inputs[0]!.dtype, [size]);
    inputs.forEach(({ data }, i) => {
      y.data.set(data, offsets[i]!);
    });
    return [y];
  },
  cases: [
    {
      name: 'aligned, with padding',
      inputs: [
        { dtype: 'f32', shape: [5, 9] },
        { dtype: 'f32', shape: [64] },
        { dtype: 'f32', shape: [3] },
      ],
      attrs: { offsets: [0, 64, 128], size: 192 },
    },
    {
      name: 'off the alignment',
      inputs: [
        { dtype: 'f32', shape: [7] },
        { dtype: 'f32', shape: [2, 3] },
      ],
      attrs: { offsets: [0, 7], size: 13 },
    },
  ],
});
