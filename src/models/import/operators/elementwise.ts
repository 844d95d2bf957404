/**
 * Operators that work element by element, activations among them. Their functions are the engine's own (ops/scalar.ts,
 * ops/elementwise.ts); constants are computed by them at double precision and rounded to float32, so that overflow to infinity happens
 * where the exporter's runtime had it. Every result lies in an array of `allocate`, which counts it before it is there.
 */

import { broadcastShapes, broadcastStrides, forEachRow, sameShape } from '../../../graph/shape.ts';
import type { Value } from '../../../graph/types.ts';
import { say } from '../../../lib/say.ts';
import { dtypeOfCode, isFloat, type OnnxDType } from '../../../onnx/types.ts';
import { described } from '../../../ops/elementwise.ts';
import * as op from '../../../ops/index.ts';
import { type ScalarName, scalarFunction } from '../../../ops/scalar.ts';
import { allocate, type Numbers } from '../importBudget.ts';
import type { IrValue, Known } from '../ir.ts';
import {
  alike,
  type Context,
  derive,
  dtypeOf,
  type Emission,
  float,
  type Inferred,
  input,
  int,
  numberLike,
  type Operator,
  type Operators,
  one,
  type Results,
  refuse,
  reshape,
  text,
} from './operator.ts';

/** Rounds to what a type can hold: float32 and coarser as float32; whole numbers truncate. */
export function rounding(dtype: OnnxDType): (x: number) => number {
  if (dtype === 'double') return (x) => x;
  if (isFloat(dtype)) return Math.fround;
  return dtype === 'bool' ? (x) => (x !== 0 ? 1 : 0) : Math.trunc;
}

/** Whether the numbers repeat after `run` of them. */
export function repeats(data: Numbers, run: number): boolean {
  for (let i = run; i < data.length; i++) if (!Object.is(data[i], data[i - run])) return false;
  return true;
}

/** Masks of millions of entries are the same for every example: one is computed and the others copied. */
const LARGE = 1 << 16;

function map1(dtype: OnnxDType, x: Known, f: (x: number) => number): Known {
  const round = rounding(dtype);
  const run = x.data.length / (x.shape[0] ?? 1);
  const once = x.data.length >= LARGE && run < x.data.length && repeats(x.data, run) ? run : x.data.length;
  const data = allocate(dtype, x.shape);
  for (let i = 0; i < once; i++) data[i] = round(f(x.data[i]!));
  for (let at = once; at < data.length; at += once) data.copyWithin(at, 0, once);
  return { dtype, shape: x.shape, data };
}

/** A tensor of one repeated number, as that number: `shape` of ones. */
function condensed(x: Known): Known {
  if (x.data.length < 2 || !repeats(x.data, 1)) return x;
  return { dtype: x.dtype, shape: x.shape.map(() => 1), data: x.data.subarray(0, 1) };
}

/** The numbers of `x` from `base` on, at these strides, as a tensor of `shape`. */
export function strided(x: Known, shape: readonly number[], strides: readonly number[], base = 0): Known {
  const data = allocate(x.dtype, shape);
  const step = strides.at(-1) ?? 0;
  const { data: source } = x;
  forEachRow(shape, [strides], (to, length, [from]) => {
    for (let i = 0, at = base + from!; i < length; i++, at += step) data[to + i] = source[at]!;
  });
  return { dtype: x.dtype, shape, data };
}

/** The tensor stretched to `shape`. */
export function stretched(x: Known, shape: readonly number[]): Known {
  if (sameShape(x.shape, shape)) return { ...x, shape };
  const first = x.shape.findIndex((d) => d !== 1);
  const inner = first < 0 ? [] : x.shape.slice(first);
  if (!sameShape(inner, shape.slice(shape.length - inner.length)))
    return strided(x, shape, broadcastStrides(x.shape, shape));
  // Whole copies one after the other.
  const data = allocate(x.dtype, shape);
  if (x.data.length === 1) data.fill(x.data[0]!);
  else if (x.data.length > 0) for (let at = 0; at < data.length; at += x.data.length) data.set(x.data, at);
  return { dtype: x.dtype, shape, data };
}

/**
 * A function of several tensors, element by element: of one repeated number each only once.
 * @param row computes a row of the result: its place and length, the numbers of the operands, where theirs begin and their strides
 */
function mapAll(
  name: string,
  dtype: OnnxDType,
  operands: readonly Known[],
  row: (
    out: Numbers,
    place: { readonly to: number; readonly length: number },
    x: readonly Numbers[],
    from: readonly number[],
    steps: readonly number[],
  ) => void,
): Known {
  const shape = broadcastShapes(name, ...operands.map((x) => x.shape));
  const least = operands.map(condensed);
  const inner = broadcastShapes(name, ...least.map((x) => x.shape));
  const strides = least.map((x) => broadcastStrides(x.shape, inner));
  const steps = strides.map((s) => s.at(-1) ?? 0);
  const numbers = least.map((x) => x.data);
  const data = allocate(dtype, inner);
  forEachRow(inner, strides, (to, length, from) => row(data, { to, length }, numbers, from, steps));
  return stretched({ dtype, shape: inner, data }, shape);
}

/** A function of two tensors. */
export function map2(
  dtype: OnnxDType,
  name: string,
  operands: readonly Known[],
  f: (a: number, b: number) => number,
): Known {
  const round = rounding(dtype);
  return mapAll(name, dtype, operands, (out, { to, length }, [a, b], [i, j], [p, q]) => {
    for (let n = 0; n < length; n++) out[to + n] = round(f(a![i! + n * p!]!, b![j! + n * q!]!));
  });
}

/** Half to even, as ONNX's Round. */
function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 ? 2 * Math.round(x / 2) : r;
}

/** A function of one tensor; `truth`: gives a truth value. */
function pointwise(value: (x: number) => number, kernel: op.UnaryName | null, truth = false): Operator {
  const typeOf = (x: { readonly dtype: OnnxDType }): OnnxDType => (truth ? 'bool' : x.dtype);
  return {
    infer: (c) => one(c.node.opType, [input(c, 0)], {}, typeOf(input(c, 0)), input(c, 0).shape),
    value: value,
    fold: ([x]) => map1(typeOf(x!), x!, value),
    ...(kernel && { emit: emitUnary(kernel) }),
  };
}

const emitUnary =
  (fn: op.UnaryName) =>
  ({ g, x }: Emission): Value =>
    op.unary(g, x(0), { fn });

const unary = (fn: Exclude<ScalarName, 'none'>): Operator => pointwise(scalarFunction(fn).value, fn);

const integerDivision = (a: number, b: number): number => Math.trunc(a / b);

const joined = (name: string, [a, b]: readonly [IrValue, IrValue], truth = false): Inferred =>
  one(name, [a, b], {}, truth ? 'bool' : a.dtype, broadcastShapes(name, a.shape, b.shape));

/** A function of two tensors with a kernel, or of truth values without one. */
function binary(fn: op.BinaryName | 'xor'): Operator {
  const { value, truth = false } =
    fn === 'xor'
      ? { value: (a: number, b: number) => Number((a !== 0) !== (b !== 0)), truth: true }
      : described(fn);
  return {
    infer: (c) => joined(c.node.opType, [input(c, 0), input(c, 1)], truth),
    value: value,
    fold: (x) => {
      const { dtype } = x[0]!;
      const f = fn === 'div' && !isFloat(dtype) ? integerDivision : value;
      return map2(truth ? 'bool' : dtype, fn, x, f);
    },
    ...(fn !== 'xor' && { emit: ({ g, x }) => op.binary(g, x(0), x(1), { fn }) }),
  };
}

/** Sum, Min and Max of any number of operands: two at a time, from the left. */
const variadic =
  (name: 'Add' | 'Min' | 'Max') =>
  (c: Context): Inferred | Results => {
    const a = input(c, 0);
    if (c.inputs.length === 1) return reshape(a, a.shape);
    if (c.inputs.length === 2) return joined(name, [a, input(c, 1)]);
    return [c.inputs.map((_, i) => input(c, i)).reduce((x, y) => join(c, name, x, y))];
  };

/** Two values joined by an operator of two, as a node of their own. */
export const join = (c: Context, name: string, a: IrValue, b: IrValue): IrValue =>
  derive(name, [a, b], {}, broadcastShapes(c.node.opType, a.shape, b.shape), c.node);

const cast: Operator = {
  infer(c) {
    const x = input(c, 0);
    const to = dtypeOfCode(int(c, 'to', 1)) ?? refuse(say`it casts to an unknown type`);
    return one('Cast', [x], { to }, to, x.shape);
  },
  fold: ([x], a) => map1(a.to as OnnxDType, x!, (v) => v),
  emit({ g, x, node, attrs }) {
    const v = x(0);
    if (attrs.to === 'bool')
      return op.unary(g, op.binary(g, v, numberLike(v, g, 0), { fn: 'equal' }), { fn: 'not' });
    return op.cast(g, v, { to: dtypeOf(node.outputs[0]!) });
  },
};

const where: Operator = {
  infer(c) {
    const [cond, a, b] = [input(c, 0), input(c, 1), input(c, 2)];
    return one('Where', [cond, a, b], {}, a.dtype, broadcastShapes('Where', cond.shape, a.shape, b.shape));
  },
  fold: (x) =>
    mapAll('Where', x[1]!.dtype, x, (out, { to, length }, [c, yes, no], [i, j, k], [r, s, t]) => {
      for (let n = 0; n < length; n++)
        out[to + n] = c![i! + n * r!] !== 0 ? yes![j! + n * s!]! : no![k! + n * t!]!;
    }),
  emit: ({ g, x }) => op.where(g, x(0), x(1), x(2)),
};

const clip: Operator = {
  infer(c) {
    const bound = (i: number, name: string, otherwise: number): number => {
      const v = c.inputs[i];
      if (!v) return float(c, name, otherwise);
      return v.known?.()[0] ?? refuse(say`its bounds depend on the data`);
    };
    const x = input(c, 0);
    const min = bound(1, 'min', Number.NEGATIVE_INFINITY);
    return alike('Clip', [x], { min, max: bound(2, 'max', Number.POSITIVE_INFINITY) });
  },
  fold: ([x], a) => map1(x!.dtype, x!, (v) => Math.min(Math.max(v, a.min as number), a.max as number)),
  emit({ g, x, attrs }) {
    const [min, max] = [attrs.min as number, attrs.max as number];
    let v = x(0);
    if (min !== Number.NEGATIVE_INFINITY) v = op.binary(g, v, numberLike(v, g, min), { fn: 'max' });
    if (max !== Number.POSITIVE_INFINITY) v = op.binary(g, v, numberLike(v, g, max), { fn: 'min' });
    return v;
  },
};

/** com.microsoft's Gelu, BiasGelu and FastGelu: of x + bias. */
const biasGelu = (fn: 'Gelu' | 'GeluTanh'): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const sum = c.inputs[1] ? join(c, 'Add', x, c.inputs[1]) : x;
    return [derive(fn, [sum], {}, sum.shape)];
  },
});

/** x · sigmoid(alpha · x): QuickGelu, and ONNX 24's Swish. */
const swish = (usual: number): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const alpha = float(c, 'alpha', usual);
    if (alpha === 1) return [derive('Silu', [x], {}, x.shape)];
    if (Math.abs(alpha - 1.702) < 1e-6) return [derive('QuickGelu', [x], {}, x.shape)];
    const gate = derive('Sigmoid', [derive('Scale', [x], { by: alpha }, x.shape)], {}, x.shape);
    return [derive('Mul', [x, gate], {}, x.shape)];
  },
});

export const elementwise: Operators = {
  Neg: unary('neg'),
  Abs: unary('abs'),
  Sqrt: unary('sqrt'),
  Exp: unary('exp'),
  Log: unary('log'),
  Reciprocal: unary('reciprocal'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Round: pointwise(roundEven, null),
  Sign: pointwise(Math.sign, null),
  Erf: unary('erf'),
  Tanh: unary('tanh'),
  Sigmoid: unary('sigmoid'),
  Relu: unary('relu'),
  Sin: unary('sin'),
  Cos: unary('cos'),
  Not: pointwise((x) => Number(x === 0), 'not', true),
  IsNaN: pointwise((x) => Number(Number.isNaN(x)), 'isNaN', true),
  Add: binary('add'),
  Sub: binary('sub'),
  Mul: binary('mul'),
  Div: binary('div'),
  Pow: binary('pow'),
  Equal: binary('equal'),
  Less: binary('less'),
  LessOrEqual: binary('lessEqual'),
  Greater: binary('greater'),
  GreaterOrEqual: binary('greaterEqual'),
  And: binary('and'),
  Or: binary('or'),
  Xor: binary('xor'),
  Min: { ...binary('min'), infer: variadic('Min') },
  Max: { ...binary('max'), infer: variadic('Max') },
  Sum: { infer: variadic('Add') },
  Mod: {
    ...binary('mod'),
    // The kernel's is Python's remainder, with the sign of the divisor.
    infer: (c) =>
      int(c, 'fmod', 0) === 1
        ? refuse(say`it is a C-style remainder (fmod)`)
        : joined('Mod', [input(c, 0), input(c, 1)]),
  },
  Where: where,
  Clip: clip,
  Cast: cast,
  CastLike: {
    infer: (c) => one('Cast', [input(c, 0)], { to: input(c, 1).dtype }, input(c, 1).dtype, input(c, 0).shape),
  },
  // Of inference; training dropout is the adapters' and the trainer's business.
  Dropout: { infer: (c) => reshape(input(c, 0), input(c, 0).shape) },
  Identity: { infer: (c) => reshape(input(c, 0), input(c, 0).shape) },
  Gelu: {
    infer: (c) => alike(text(c, 'approximate', 'none') === 'tanh' ? 'GeluTanh' : 'Gelu', [input(c, 0)]),
    emit: emitUnary('gelu'),
  },
  GeluTanh: { emit: emitUnary('geluTanh') },
  Silu: { emit: emitUnary('silu') },
  QuickGelu: { emit: emitUnary('quickGelu') },
  Square: { emit: emitUnary('square') },
  Rsqrt: { emit: emitUnary('rsqrt') },
  Scale: { emit: ({ g, x, attrs }) => op.scale(g, x(0), { by: attrs.by as number }) },
  Swish: swish(1),
  'com.microsoft.QuickGelu': swish(1.702),
  'com.microsoft.Gelu': biasGelu('Gelu'),
  'com.microsoft.BiasGelu': biasGelu('Gelu'),
  'com.microsoft.FastGelu': biasGelu('GeluTanh'),
};
