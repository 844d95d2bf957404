/** Elementwise functions of one tensor, and their backward kernel. The functions themselves: scalar.ts. */

import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, OnnxWriter, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { INT32, isTrue } from './onnx.ts';
import { type Activation, type ScalarName, scalarFunction } from './scalar.ts';

/** `not` takes and gives i32 (0 or 1); `isNaN` takes f32 and gives i32; neg, abs and square also take i32. */
export type UnaryName = Exclude<ScalarName, 'none'> | 'not' | 'isNaN';

export interface UnaryAttrs {
  readonly fn: UnaryName;
}

export interface UnaryGradAttrs {
  readonly fn: Exclude<ScalarName, 'none'>;
}

const WHOLE: Readonly<Partial<Record<UnaryName, number>>> = { neg: 6, abs: 15, square: 18, not: 21 };

// In ONNX: by the formulas of scalar.ts.

const SQRT_HALF = Math.SQRT1_2;
const GAUSS = 1 / Math.sqrt(2 * Math.PI);

/** Φ(x), the share of a normal variable below x. */
const normalShare = (e: OnnxWriter, x: string): string =>
  e.op('Mul', [
    e.op('Add', [e.op('Erf', [e.op('Mul', [x, e.scalar(SQRT_HALF)])]), e.scalar(1)]),
    e.scalar(0.5),
  ]);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** tanh(√(2/π) · (x + 0.044715 x³)). */
const tanhOf = (e: OnnxWriter, x: string): string => {
  const cube = e.op('Mul', [e.op('Mul', [x, x]), x]);
  const sum = e.op('Add', [x, e.op('Mul', [cube, e.scalar(CUBIC)])]);
  return e.op('Tanh', [e.op('Mul', [sum, e.scalar(TANH_SCALE)])]);
};

/** 1 − x. */
const oneLess = (e: OnnxWriter, x: string): string => e.op('Sub', [e.scalar(1), x]);

/** The derivative of x · sigmoid(by · x). */
function gatedSlope(e: OnnxWriter, x: string, by: number): string {
  const scaled = by === 1 ? x : e.op('Mul', [x, e.scalar(by)]);
  const s = e.op('Sigmoid', [scaled]);
  return e.op('Mul', [s, e.op('Add', [e.op('Mul', [scaled, oneLess(e, s)]), e.scalar(1)])]);
}

/** f(x). */
const values: Readonly<Partial<Record<UnaryName | 'none', (e: OnnxWriter, x: string) => string>>> = {
  none: (_e, x) => x,
  relu: (e, x) => e.op('Relu', [x]),
  gelu: (e, x) => e.op('Mul', [x, normalShare(e, x)]),
  silu: (e, x) => e.op('Mul', [x, e.op('Sigmoid', [x])]),
  neg: (e, x) => e.op('Neg', [x]),
  exp: (e, x) => e.op('Exp', [x]),
  log: (e, x) => e.op('Log', [x]),
  sqrt: (e, x) => e.op('Sqrt', [x]),
  rsqrt: (e, x) => e.op('Reciprocal', [e.op('Sqrt', [x])]),
  reciprocal: (e, x) => e.op('Reciprocal', [x]),
  tanh: (e, x) => e.op('Tanh', [x]),
  sigmoid: (e, x) => e.op('Sigmoid', [x]),
  square: (e, x) => e.op('Mul', [x, x]),
  geluTanh: (e, x) =>
    e.op('Mul', [e.op('Mul', [x, e.scalar(0.5)]), e.op('Add', [tanhOf(e, x), e.scalar(1)])]),
  quickGelu: (e, x) => e.op('Mul', [x, e.op('Sigmoid', [e.op('Mul', [x, e.scalar(1.702)])])]),
  erf: (e, x) => e.op('Erf', [x]),
  abs: (e, x) => e.op('Abs', [x]),
  sin: (e, x) => e.op('Sin', [x]),
  cos: (e, x) => e.op('Cos', [x]),
  not: (e, x) => e.op('Cast', [e.op('Not', [isTrue(e, x)])], { to: INT32 }),
  isNaN: (e, x) => e.op('Cast', [e.op('IsNaN', [x])], { to: INT32 }),
  floor: (e, x) => e.op('Floor', [x]),
  ceil: (e, x) => e.op('Ceil', [x]),
};

/** f'(x). */
const slopes: Readonly<Partial<Record<UnaryName | 'none', (e: OnnxWriter, x: string) => string>>> = {
  square: (e, x) => e.op('Add', [x, x]),
  sqrt: (e, x) => e.op('Div', [e.scalar(0.5), e.op('Sqrt', [x])]),
  gelu(e, x) {
    const density = e.op('Exp', [e.op('Mul', [e.op('Mul', [x, x]), e.scalar(-0.5)])]);
    const slope = e.op('Mul', [e.op('Mul', [x, density]), e.scalar(GAUSS)]);
    return e.op('Add', [normalShare(e, x), slope]);
  },
  geluTanh(e, x) {
    const t = tanhOf(e, x);
    const inner = e.op('Add', [
      e.op('Mul', [e.op('Mul', [x, x]), e.scalar(3 * CUBIC * TANH_SCALE)]),
      e.scalar(TANH_SCALE),
    ]);
    const bend = e.op('Mul', [e.op('Mul', [x, oneLess(e, e.op('Mul', [t, t]))]), inner]);
    return e.op('Mul', [e.op('Add', [e.op('Add', [t, e.scalar(1)]), bend]), e.scalar(0.5)]);
  },
  silu: (e, x) => gatedSlope(e, x, 1),
  quickGelu: (e, x) => gatedSlope(e, x, 1.702),
  relu: (e, x) => e.op('Relu', [e.op('Sign', [x])]),
  neg: (e, x) => e.op('Add', [e.op('Mul', [x, e.scalar(0)]), e.scalar(-1)]),
  exp: (e, x) => e.op('Exp', [x]),
  log: (e, x) => e.op('Reciprocal', [x]),
  rsqrt: (e, x) => {
    const root = e.op('Sqrt', [x]);
    return e.op('Div', [e.scalar(-0.5), e.op('Mul', [x, root])]);
  },
  reciprocal: (e, x) => e.op('Div', [e.scalar(-1), e.op('Mul', [x, x])]),
  tanh: (e, x) => {
    const t = e.op('Tanh', [x]);
    return oneLess(e, e.op('Mul', [t, t]));
  },
  sigmoid: (e, x) => {
    const s = e.op('Sigmoid', [x]);
    return e.op('Mul', [s, oneLess(e, s)]);
  },
  erf: (e, x) =>
    e.op('Mul', [e.op('Exp', [e.op('Neg', [e.op('Mul', [x, x])])]), e.scalar(2 / Math.sqrt(Math.PI))]),
  abs: (e, x) => e.op('Sign', [x]),
  sin: (e, x) => e.op('Cos', [x]),
  cos: (e, x) => e.op('Neg', [e.op('Sin', [x])]),
};

const named = (forms: typeof values, op: string, fn: UnaryName | 'none') =>
  forms[fn] ??
  fail('unsupported-onnx', say`The op ${op} with the function ${fn} has no translation to ONNX.`);

/** activation(x), as `linear` ends in it. */
export const activationOnnx = (e: OnnxWriter, x: string, fn: Activation): string =>
  named(values, 'linear', fn)(e, x);

/** activation'(x). */
export const slopeOnnx = (e: OnnxWriter, x: string, fn: Activation): string =>
  named(slopes, 'slope', fn)(e, x);

export const unaryOp = defineOp<UnaryAttrs>({
  name: 'unary',
  infer([x], { fn }) {
    const { dtype, shape } = x!;
    if (dtype === 'f32' && fn === 'isNaN') return [{ dtype: 'i32', shape }];
    if (dtype === 'f32' && fn !== 'not') return [{ dtype, shape }];
    if (dtype === 'i32' && WHOLE[fn] !== undefined) return [{ dtype, shape }];
    return fail('shape', say`unary ${fn}: does not take ${dtype}.`);
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
  onnx: (e, [x], { attrs: { fn } }) => [named(values, 'unary', fn)(e, x!)],
});

/** dx = dy · f'(x): x, dy of one shape. */
export const unaryGradOp = defineOp<UnaryGradAttrs>({
  name: 'unaryGrad',
  infer([x, dy], { fn }) {
    if (!sameShape(x!.shape, dy!.shape)) {
      fail('shape', say`unaryGrad ${fn}: shapes [${x!.shape}] and [${dy!.shape}] differ.`);
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
  onnx: (e, [x, dy], { attrs: { fn } }) => [e.op('Mul', [dy!, named(slopes, 'unaryGrad', fn)(e, x!)])],
});

/** f(x) elementwise. */
export const unary = (g: Emitter, x: Value, attrs: UnaryAttrs): Value => g.emit(unaryOp, [x], attrs)[0]!;

/** dy · f'(x); `none` gives dy itself. */
export const unaryGrad = (g: Emitter, x: Value, dy: Value, fn: ScalarName): Value =>
  fn === 'none' ? dy : g.emit(unaryGradOp, [x, dy], { fn })[0]!;
