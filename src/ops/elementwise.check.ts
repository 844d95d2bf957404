/** The float64 references and test cases of elementwise.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import { broadcastShapes, broadcastStrides, sizeOf, stridesOf } from '../graph/shape.ts';
import type { Tensor } from '../graph/types.ts';
import { mergeBroadcast } from './dispatch.ts';
import {
  addNOp,
  axesOf,
  axpyOp,
  type BinaryAttrs,
  type BinaryName,
  binaryOp,
  described,
  expandOp,
  kept,
  merged,
  type ReduceAttrs,
  type ReduceName,
  reduceOp,
  scaleOp,
  stretched,
  sumToOp,
  whereOp,
} from './elementwise.ts';
import { emptyTensor, forEachStrided, stridedReference } from './reference.ts';

const f32 = (shape: number[], range?: [number, number]) => ({
  dtype: 'f32' as const,
  shape,
  ...(range ? { range } : {}),
});

function binaryCase(fn: BinaryName, a: number[], b: number[], range?: [number, number]): OpCase<BinaryAttrs> {
  return {
    name: `${fn} [${a}] [${b}]`,
    inputs: [f32(a, range), f32(b, range)],
    attrs: { fn },
    ...(described(fn).truth || fn === 'mod' ? { gradientInputs: [] } : {}),
  };
}

/** Values far enough apart for finite differences not to cross a kink. */
const extremeCase = (fn: 'min' | 'max', b: number[]): OpCase<BinaryAttrs> => ({
  name: `${fn} [3,5] [${b}]`,
  inputs: [
    { dtype: 'f32', shape: [3, 5], data: Array.from({ length: 15 }, (_, i) => ((i * 7) % 15) / 5 - 1.4) },
    { dtype: 'f32', shape: b, data: Array.from({ length: sizeOf(b) }, (_, i) => ((i * 3) % 5) / 5 - 0.5) },
  ],
  attrs: { fn },
});

const wholeCase = (fn: BinaryName, a: number[], b: number[]): OpCase<BinaryAttrs> => ({
  name: `${fn} of i32`,
  inputs: [
    { dtype: 'i32', shape: [a.length], data: a },
    { dtype: 'i32', shape: [b.length], data: b },
  ],
  attrs: { fn },
});

defineCheck(binaryOp, {
  reference([a, b], { fn }) {
    const whole = a!.dtype === 'i32';
    const { truth, value } = described(fn);
    const y = emptyTensor(whole || truth ? 'i32' : 'f32', broadcastShapes('binary', a!.shape, b!.shape));
    const { shape, strides } = mergeBroadcast(y.shape, a!.shape, b!.shape);
    forEachStrided(shape, strides, (i, [at, bt]) => {
      const v = value(a!.data[at!]!, b!.data[bt!]!);
      y.data[i] = whole && fn === 'div' ? Math.trunc(v) : v;
    });
    return [y];
  },
  cases: [
    binaryCase('add', [4, 33], [4, 33]),
    binaryCase('add', [2, 3, 5], [5]),
    binaryCase('sub', [3, 1, 5], [4, 1]),
    // Indices of more than 16 bits.
    { ...binaryCase('sub', [301, 7, 53], [7, 1]), gradientInputs: [] },
    binaryCase('mul', [2, 7, 3], [2, 1, 3]),
    binaryCase('mul', [7], []),
    binaryCase('div', [5, 6], [5, 1], [0.5, 2]),
    binaryCase('pow', [3, 5], [3, 5], [0.5, 2]),
    extremeCase('min', [5]),
    extremeCase('max', [3, 1]),
    binaryCase('less', [3, 5], [5]),
    binaryCase('greater', [3, 5], [5]),
    binaryCase('lessEqual', [2, 1, 3, 1, 2], [3, 1, 2, 1]),
    binaryCase('greaterEqual', [3, 5], [5]),
    binaryCase('mod', [3, 5], [5], [0.5, 3]),
    {
      name: 'whole powers of negative bases',
      inputs: [
        { dtype: 'f32', shape: [6], data: [-2, -2, -1.5, -3, 0, 2] },
        { dtype: 'f32', shape: [6], data: [2, 3, -2, -1, 3, 0] },
      ],
      attrs: { fn: 'pow' },
      gradientInputs: [],
    },
    {
      name: 'square as a power',
      inputs: [f32([9]), { dtype: 'f32', shape: [], data: [2] }],
      attrs: { fn: 'pow' },
      gradientInputs: [0],
    },
    {
      name: 'equal',
      inputs: [
        { dtype: 'f32', shape: [4], data: [1, 2, 3, -0] },
        { dtype: 'f32', shape: [4], data: [1, 3, 3, 0] },
      ],
      attrs: { fn: 'equal' },
      gradientInputs: [],
    },
    wholeCase('add', [1, -2, 3], [4, 5, -6]),
    wholeCase('sub', [1, -2, 3], [4]),
    wholeCase('mul', [1, -2, 3], [4, 5, -6]),
    wholeCase('div', [7, -7, 9], [2, 2, -4]),
    wholeCase('min', [1, -2, 3], [0]),
    wholeCase('max', [1, -2, 3], [0]),
    wholeCase('mod', [7, -7, 7, -7], [3, 3, -3, -3]),
    wholeCase('equal', [1, 2, 3], [1, 0, 3]),
    wholeCase('less', [1, 2, 3], [2]),
    wholeCase('greater', [1, 2, 3], [2]),
    wholeCase('lessEqual', [1, 2, 3], [2]),
    wholeCase('greaterEqual', [1, 2, 3], [2]),
    wholeCase('and', [0, 1, 0, 1], [0, 0, 1, 1]),
    wholeCase('or', [0, 1, 0, 1], [0, 0, 1, 1]),
  ],
});

defineCheck(whereOp, {
  reference([cond, a, b]) {
    const y = emptyTensor(a!.dtype, broadcastShapes('where', cond!.shape, a!.shape, b!.shape));
    const { shape, strides } = merged([cond!, a!, b!], y.shape);
    forEachStrided(shape, strides, (i, [ct, at, bt]) => {
      y.data[i] = cond!.data[ct!] !== 0 ? a!.data[at!]! : b!.data[bt!]!;
    });
    return [y];
  },
  cases: [
    {
      name: 'equal shapes',
      inputs: [
        { dtype: 'i32', shape: [5], data: [0, 1, 1, 0, 2] },
        { dtype: 'f32', shape: [5] },
        { dtype: 'f32', shape: [5] },
      ],
      attrs: {},
    },
    {
      name: 'all broadcast',
      inputs: [
        { dtype: 'i32', shape: [3, 1, 1], data: [1, 0, 1] },
        { dtype: 'f32', shape: [4, 1] },
        { dtype: 'f32', shape: [5] },
      ],
      attrs: {},
    },
    {
      name: 'whole numbers against a scalar',
      inputs: [
        { dtype: 'i32', shape: [2, 2], data: [1, 0, 0, 1] },
        { dtype: 'i32', shape: [2, 2], data: [-1, 2, 3, 4] },
        { dtype: 'i32', shape: [], data: [7] },
      ],
      attrs: {},
    },
  ],
});

defineCheck(scaleOp, {
  reference([x], { by }) {
    return [{ dtype: 'f32', shape: x!.shape, data: x!.data.map((v) => v * by) }];
  },
  cases: [
    { name: 'negative', inputs: [{ dtype: 'f32', shape: [5, 13] }], attrs: { by: -0.75 } },
    { name: 'scalar', inputs: [{ dtype: 'f32', shape: [] }], attrs: { by: 3 } },
  ],
});

defineCheck(addNOp, {
  reference(inputs) {
    const y = emptyTensor('f32', inputs[0]!.shape);
    for (const { data } of inputs) for (let i = 0; i < data.length; i++) y.data[i] = y.data[i]! + data[i]!;
    return [y];
  },
  cases: [2, 3, 4, 5, 6, 7].map((count) => ({
    name: `${count} terms`,
    inputs: Array.from({ length: count }, () => ({ dtype: 'f32' as const, shape: [3, 23] })),
    attrs: {},
  })),
});

const vector = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

defineCheck(axpyOp, {
  reference: ([acc, x, keep]) => {
    const k = keep!.data[0]!;
    return [{ ...acc!, data: acc!.data.map((a, i) => (k === 0 ? 0 : k * a) + x!.data[i]!) }];
  },
  cases: [
    { name: 'add', inputs: [vector(7, 11), vector(7, 11), { ...vector(1), data: [1] }], attrs: {} },
    { name: 'assign', inputs: [vector(65), vector(65), { ...vector(1), data: [0] }], attrs: {} },
  ],
});

defineCheck(expandOp, {
  reference: ([x], { shape }) => [stridedReference(x!, shape, broadcastStrides(x!.shape, shape), 0)],
  cases: [
    { name: 'leading axes', inputs: [{ dtype: 'f32', shape: [5] }], attrs: { shape: [2, 3, 5] } },
    { name: 'inner axis', inputs: [{ dtype: 'f32', shape: [3, 1, 5] }], attrs: { shape: [3, 4, 5] } },
    { name: 'scalar', inputs: [{ dtype: 'f32', shape: [] }], attrs: { shape: [3, 7] } },
    { name: 'whole', inputs: [{ dtype: 'i32', shape: [2, 1], data: [3, -4] }], attrs: { shape: [2, 5] } },
  ],
});

/** The fold in float64, with the reduced axes kept as 1. */
function reduceReference(x: Tensor, axes: readonly number[], fn: ReduceName): Tensor {
  const others = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const strides = stridesOf(x.shape);
  const y = emptyTensor('f32', kept(x.shape, axes));
  const reducedShape = axesOf(x.shape, axes);
  const reducedStrides = axesOf(strides, axes);
  forEachStrided(axesOf(x.shape, others), [axesOf(strides, others)], (i, [base]) => {
    let value = fn === 'max' ? -Infinity : fn === 'min' ? Infinity : 0;
    forEachStrided(reducedShape, [reducedStrides], (_, [at]) => {
      const v = x.data[base! + at!]!;
      value = fn === 'max' ? Math.max(value, v) : fn === 'min' ? Math.min(value, v) : value + v;
    });
    y.data[i] = fn === 'mean' ? value / sizeOf(reducedShape) : value;
  });
  return y;
}

defineCheck(sumToOp, {
  reference([x], { shape }) {
    return [{ ...reduceReference(x!, stretched(x!.shape, shape), 'sum'), shape }];
  },
  cases: [
    { name: 'leading axes', inputs: [{ dtype: 'f32', shape: [3, 4, 5] }], attrs: { shape: [5] } },
    { name: 'inner axis', inputs: [{ dtype: 'f32', shape: [3, 4, 5] }], attrs: { shape: [3, 1, 5] } },
    { name: 'both', inputs: [{ dtype: 'f32', shape: [2, 3, 4, 5] }], attrs: { shape: [3, 1, 5] } },
    { name: 'to a scalar', inputs: [{ dtype: 'f32', shape: [6, 7] }], attrs: { shape: [] } },
  ],
});

const reduceCase = (
  fn: ReduceName,
  shape: number[],
  axes: number[],
  keepdims = false,
): OpCase<ReduceAttrs> => ({
  name: `${fn} of [${shape}] over [${axes}]`,
  inputs: [{ dtype: 'f32', shape }],
  attrs: { fn, axes, keepdims },
  ...(sizeOf(shape) > 2000 ? { gradientInputs: [] } : {}),
});

defineCheck(reduceOp, {
  reference([x], { fn, axes, keepdims }) {
    const y = reduceReference(x!, axes, fn);
    return [keepdims ? y : { ...y, shape: x!.shape.filter((_, i) => !axes.includes(i)) }];
  },
  cases: [
    reduceCase('sum', [5, 7], [1]),
    reduceCase('sum', [5, 7], [0], true),
    reduceCase('sum', [3, 70], [1], true),
    reduceCase('sum', [2, 3, 4, 5], [1, 3]),
    reduceCase('sum', [2, 3, 4, 5], [0, 2], true),
    reduceCase('sum', [4, 6], [0, 1]),
    reduceCase('sum', [4], []),
    reduceCase('mean', [3, 40], [1]),
    reduceCase('mean', [2, 5, 3], [1]),
    reduceCase('max', [3, 41], [1]),
    reduceCase('max', [6, 5], [0]),
    reduceCase('min', [3, 33], [1], true),
    reduceCase('min', [6, 5], [0]),
    reduceCase('sum', [700, 9], [0]),
    reduceCase('max', [700, 9], [0]),
    reduceCase('mean', [9000], [0]),
    reduceCase('min', [2, 9000], [1]),
  ],
});
