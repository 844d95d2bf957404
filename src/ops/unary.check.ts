/** The float64 references and test cases of unary.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import type { DType } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { emptyTensor } from './reference.ts';
import type { ScalarName } from './scalar.ts';
import { scalarFunction, scalarFunctions } from './scalar.ts';
import { type UnaryAttrs, type UnaryGradAttrs, unaryGradOp, unaryOp } from './unary.ts';

const floatNames = (Object.keys(scalarFunctions) as ScalarName[]).filter(
  (fn) => fn !== 'none',
) as UnaryGradAttrs['fn'][];

const floatCase = (fn: UnaryGradAttrs['fn']): OpCase<UnaryAttrs> => {
  const { range, slope, tolerance } = scalarFunction(fn);
  return {
    name: fn,
    inputs: [{ dtype: 'f32', shape: [3, 67], range }],
    attrs: { fn },
    ...(tolerance ? { tolerance } : {}),
    ...(slope ? {} : { gradientInputs: [] }),
  };
};

defineCheck(unaryOp, {
  reference([x], { fn }) {
    const dtype: DType = fn === 'isNaN' ? 'i32' : x!.dtype;
    const y = emptyTensor(dtype, x!.shape);
    const apply =
      fn === 'not'
        ? (v: number) => (v === 0 ? 1 : 0)
        : fn === 'isNaN'
          ? (v: number) => (Number.isNaN(v) ? 1 : 0)
          : scalarFunction(fn).value;
    for (let i = 0; i < y.data.length; i++) y.data[i] = apply(x!.data[i]!);
    return [y];
  },
  cases: [
    ...floatNames.map(floatCase),
    {
      name: 'large arguments',
      inputs: [{ dtype: 'f32', shape: [6], data: [-60, -20, -0, 0, 20, 60] }],
      attrs: { fn: 'geluTanh' },
      gradientInputs: [],
    },
    {
      name: 'large arguments of tanh',
      inputs: [{ dtype: 'f32', shape: [4], data: [-1e4, -90, 90, 1e4] }],
      attrs: { fn: 'tanh' },
      gradientInputs: [],
    },
    { name: 'neg of i32', inputs: [{ dtype: 'i32', shape: [3], data: [-2, 0, 5] }], attrs: { fn: 'neg' } },
    { name: 'abs of i32', inputs: [{ dtype: 'i32', shape: [3], data: [-2, 0, 5] }], attrs: { fn: 'abs' } },
    {
      name: 'square of i32',
      inputs: [{ dtype: 'i32', shape: [3], data: [-2, 0, 5] }],
      attrs: { fn: 'square' },
    },
    { name: 'not', inputs: [{ dtype: 'i32', shape: [4], data: [0, 1, 0, 1] }], attrs: { fn: 'not' } },
    {
      name: 'isNaN',
      inputs: [{ dtype: 'f32', shape: [4], data: [0, Number.NaN, 1, Number.POSITIVE_INFINITY] }],
      attrs: { fn: 'isNaN' },
      gradientInputs: [],
    },
  ],
});

defineCheck(unaryGradOp, {
  reference([x, dy], { fn }) {
    const { slope } = scalarFunction(fn);
    if (!slope) fail('internal', `unaryGrad ${fn}: not differentiable.`);
    const dx = emptyTensor('f32', x!.shape);
    for (let i = 0; i < dx.data.length; i++) dx.data[i] = dy!.data[i]! * slope(x!.data[i]!);
    return [dx];
  },
  cases: floatNames
    .filter((fn) => scalarFunction(fn).slope)
    .map((fn) => ({
      name: fn,
      inputs: [
        { dtype: 'f32' as const, shape: [71], range: scalarFunction(fn).range },
        { dtype: 'f32' as const, shape: [71] },
      ],
      attrs: { fn },
      tolerance: scalarFunction(fn).tolerance ?? 2e-5,
    })),
});
