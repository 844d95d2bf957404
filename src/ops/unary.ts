/** Elementwise functions of one tensor, and their backward kernel. The functions themselves: scalar.ts. */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { DType, Emitter, OpCase, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';
import type { ScalarName } from './scalar.ts';
import { scalarFunction, scalarFunctions } from './scalar.ts';

/** `not` takes and gives i32 (0 or 1); `isNaN` takes f32 and gives i32; neg, abs and square also take i32. */
export type UnaryName = Exclude<ScalarName, 'none'> | 'not' | 'isNaN';

export interface UnaryAttrs {
  readonly fn: UnaryName;
}

export interface UnaryGradAttrs {
  readonly fn: Exclude<ScalarName, 'none'>;
}

const WHOLE: Readonly<Partial<Record<UnaryName, number>>> = { neg: 6, abs: 15, square: 18, not: 21 };

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

export const unaryOp = defineOp<UnaryAttrs>({
  name: 'unary',
  infer([x], { fn }) {
    const { dtype, shape } = x!;
    if (dtype === 'f32' && fn === 'isNaN') return [{ dtype: 'i32', shape }];
    if (dtype === 'f32' && fn !== 'not') return [{ dtype, shape }];
    if (dtype === 'i32' && WHOLE[fn] !== undefined) return [{ dtype, shape }];
    return fail('shape', `unary ${fn}: does not take ${dtype}.`);
  },
  gradient(g, node, [dY]) {
    const { fn } = node.attrs;
    if (fn === 'not' || fn === 'isNaN' || !scalarFunction(fn).slope) {
      fail('internal', `unary ${fn} is not differentiable but lies between a target and the loss.`);
    }
    return [unaryGrad(g, node.inputs[0]!, dY!, fn)];
  },
  kernel({ inputs, attrs: { fn } }) {
    const { dtype, shape } = inputs[0]!;
    const n = sizeOf(shape);
    const whole = dtype === 'i32';
    const entry = whole ? 'whole' : fn === 'isNaN' ? 'is_nan' : 'forward';
    const code = whole ? WHOLE[fn]! : fn === 'isNaN' || fn === 'not' ? 0 : scalarFunction(fn).code;
    return {
      dispatches: [
        {
          shader: 'unary.wgsl',
          entry,
          constants: entry === 'is_nan' ? { WG: WORKGROUP } : { WG: WORKGROUP, FN: code },
          params: [n],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
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

/** dx = dy · f'(x): x, dy of one shape. */
export const unaryGradOp = defineOp<UnaryGradAttrs>({
  name: 'unaryGrad',
  infer([x, dy], { fn }) {
    if (!sameShape(x!.shape, dy!.shape)) {
      fail('shape', `unaryGrad ${fn}: shapes [${x!.shape}] and [${dy!.shape}] differ.`);
    }
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: null,
  kernel({ inputs, attrs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'unary.wgsl',
          entry: 'backward',
          constants: { WG: WORKGROUP, FN: scalarFunction(attrs.fn).code },
          params: [n],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
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

/** f(x) elementwise. */
export const unary = (g: Emitter, x: Value, attrs: UnaryAttrs): Value => g.emit(unaryOp, [x], attrs)[0]!;

/** dy · f'(x); `none` gives dy itself. */
export const unaryGrad = (g: Emitter, x: Value, dy: Value, fn: ScalarName): Value =>
  fn === 'none' ? dy : g.emit(unaryGradOp, [x, dy], { fn })[0]!;
