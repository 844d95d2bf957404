/** The float64 references and test cases of moves.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf, stridesOf } from '../graph/shape.ts';
import {
  beginnings,
  concatOp,
  detachOp,
  outShape,
  packOp,
  permuted,
  sliceOp,
  slicePlan,
  splitOp,
  transposeOp,
  unsliceOp,
  viewOp,
} from './moves.ts';
import { emptyTensor, forEachStrided, stridedReference } from './reference.ts';

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
      name: 'six tensors of whole numbers',
      inputs: [1, 3, 2, 1, 1, 4].map((d, i) => ({ dtype: 'i32', shape: [3, d, 7], data: [i, -9, 5, i] })),
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
