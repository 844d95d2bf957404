/** Elementwise ops, reductions and matrix products in ONNX. The formulas are those of each op's `reference`. */
import { sizeOf } from '../../graph/shape.ts';
import { fail } from '../../lib/errors.ts';
import type { CastAttrs } from '../../ops/cast.ts';
import type { BinaryAttrs, ReduceAttrs, ScaleAttrs } from '../../ops/elementwise.ts';
import type { LinearAttrs } from '../../ops/linear.ts';
import type { MatmulAttrs } from '../../ops/matmul.ts';
import type { SoftmaxGradAttrs } from '../../ops/softmax.ts';
import type { UnaryAttrs, UnaryGradAttrs } from '../../ops/unary.ts';
import { type Lowering, lowering, type OnnxEmitter } from './emitter.ts';

const SQRT_HALF = Math.SQRT1_2;
const GAUSS = 1 / Math.sqrt(2 * Math.PI);

/** Φ(x), the share of a normal variable below x. */
const normalShare = (e: OnnxEmitter, x: string): string =>
  e.op('Mul', [
    e.op('Add', [e.op('Erf', [e.op('Mul', [x, e.scalar(SQRT_HALF)])]), e.scalar(1)]),
    e.scalar(0.5),
  ]);

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** tanh(√(2/π) · (x + 0.044715 x³)). */
const tanhOf = (e: OnnxEmitter, x: string): string => {
  const cube = e.op('Mul', [e.op('Mul', [x, x]), x]);
  const sum = e.op('Add', [x, e.op('Mul', [cube, e.scalar(CUBIC)])]);
  return e.op('Tanh', [e.op('Mul', [sum, e.scalar(TANH_SCALE)])]);
};

/** 1 − x. */
const oneLess = (e: OnnxEmitter, x: string): string => e.op('Sub', [e.scalar(1), x]);

/** The derivative of x · sigmoid(by · x). */
function gatedSlope(e: OnnxEmitter, x: string, by: number): string {
  const scaled = by === 1 ? x : e.op('Mul', [x, e.scalar(by)]);
  const s = e.op('Sigmoid', [scaled]);
  return e.op('Mul', [s, e.op('Add', [e.op('Mul', [scaled, oneLess(e, s)]), e.scalar(1)])]);
}

/** y = f(x). */
const values: Readonly<Record<string, (e: OnnxEmitter, x: string) => string>> = {
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
  floor: (e, x) => e.op('Floor', [x]),
  ceil: (e, x) => e.op('Ceil', [x]),
};

/** f'(x). */
const slopes: Readonly<Record<string, (e: OnnxEmitter, x: string) => string>> = {
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

const named = <T>(known: Readonly<Record<string, T>>, op: string, fn: string): T =>
  known[fn] ?? fail('unsupported-onnx', `The op ${op} with the function ${fn} has no translation to ONNX.`);

const binaryOps: Readonly<Record<string, string>> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  pow: 'Pow',
  min: 'Min',
  max: 'Max',
};

/** Comparisons, whose answer is a whole number here. */
const comparisons: Readonly<Record<string, string>> = {
  equal: 'Equal',
  less: 'Less',
  lessEqual: 'LessOrEqual',
  greater: 'Greater',
  greaterEqual: 'GreaterOrEqual',
  and: 'And',
  or: 'Or',
};

const INT32 = 6;
const BOOL = 9;
const FLOAT = 1;

const isTrue = (e: OnnxEmitter, x: string): string => e.op('Cast', [x], { to: BOOL });

function compared(e: OnnxEmitter, fn: string, inputs: readonly string[]): string {
  const given = fn === 'and' || fn === 'or' ? inputs.map((x) => isTrue(e, x)) : inputs;
  return e.op('Cast', [e.op(comparisons[fn]!, given)], { to: INT32 });
}

const reduceOps: Readonly<Record<ReduceAttrs['fn'], string>> = {
  sum: 'ReduceSum',
  mean: 'ReduceMean',
  max: 'ReduceMax',
  min: 'ReduceMin',
};

/** Axes along which `to` was stretched to `from`. */
const stretched = (from: readonly number[], to: readonly number[]): number[] => {
  const lead = from.length - to.length;
  return from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []));
};

/** The last two axes exchanged. */
const swapped = (e: OnnxEmitter, x: string, rank: number): string =>
  e.transpose(x, [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2]);

export const pointwise: Readonly<Record<string, Lowering>> = {
  unary: lowering<UnaryAttrs>((e, [x], { attrs }) => [named(values, 'unary', attrs.fn)(e, x!)]),
  unaryGrad: lowering<UnaryGradAttrs>((e, [x, dy], { attrs }) => [
    e.op('Mul', [dy!, named(slopes, 'unaryGrad', attrs.fn)(e, x!)]),
  ]),
  binary: lowering<BinaryAttrs>((e, inputs, { attrs: { fn } }) => [
    Object.hasOwn(comparisons, fn) ? compared(e, fn, inputs) : e.op(named(binaryOps, 'binary', fn), inputs),
  ]),
  cast: lowering<CastAttrs>((e, [x], { attrs }) => [
    e.op('Cast', [x!], { to: attrs.to === 'i32' ? INT32 : FLOAT }),
  ]),
  where: (e, [condition, a, b]) => [e.op('Where', [isTrue(e, condition!), a!, b!])],
  softmax: (e, [x]) => [e.op('Softmax', [x!], { axis: -1 })],
  softmaxGrad: lowering<SoftmaxGradAttrs>((e, [y, dy], { inputs, attrs: { log } }) => {
    const axis = [inputs[0]!.shape.length - 1];
    const sum = (x: string): string => e.op('ReduceSum', [x, e.ints(axis)], { keepdims: 1 });
    if (log) return [e.op('Sub', [dy!, e.op('Mul', [e.op('Exp', [y!]), sum(dy!)])])];
    return [e.op('Mul', [y!, e.op('Sub', [dy!, sum(e.op('Mul', [y!, dy!]))])])];
  }),
  logSoftmax: (e, [x]) => [e.op('LogSoftmax', [x!], { axis: -1 })],
  addN: (e, inputs) => [inputs.reduce((sum, x) => e.op('Add', [sum, x]))],
  scale: lowering<ScaleAttrs>((e, [x], { attrs }) => [e.op('Mul', [x!, e.scalar(attrs.by)])]),
  reduce: lowering<ReduceAttrs>((e, [x], { attrs: { fn, axes, keepdims } }) => [
    e.op(reduceOps[fn], [x!, e.ints(axes)], { keepdims: keepdims ? 1 : 0, noop_with_empty_axes: 1 }),
  ]),
  sumTo: (e, [x], { inputs, outputs }) => {
    const axes = stretched(inputs[0]!.shape, outputs[0]!.shape);
    return [e.reshape(e.reduce('ReduceSum', x!, axes), outputs[0]!.shape)];
  },
  linear: lowering<LinearAttrs>((e, [x, w, b], { inputs, outputs, attrs }) => {
    const inner = inputs[1]!.shape[1]!;
    const flat = e.reshape(x!, [sizeOf(inputs[0]!.shape) / inner, inner]);
    const product = e.op('Gemm', b === undefined ? [flat, w!] : [flat, w!, b], { transB: 1 });
    const pre = e.reshape(product, outputs[0]!.shape);
    return [named(values, 'linear', attrs.activation)(e, pre), pre];
  }),
  matmul: lowering<MatmulAttrs>((e, [a, b], { inputs, attrs: { transA, transB, alpha } }) => {
    const [aRank, bRank] = inputs.map((v) => v.shape.length) as [number, number];
    if (aRank === 2 && bRank === 2) {
      const attributes = { transA: Number(transA), transB: Number(transB) };
      return [e.op('Gemm', [a!, b!], { ...attributes, alpha: { kind: 'float', value: alpha } })];
    }
    const product = e.op('MatMul', [
      transA ? swapped(e, a!, aRank) : a!,
      transB ? swapped(e, b!, bRank) : b!,
    ]);
    return [alpha === 1 ? product : e.op('Mul', [product, e.scalar(alpha)])];
  }),
};
