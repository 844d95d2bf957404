/**
 * Evaluates ONNX nodes on the CPU for constant folding: element by element. The data-moving ops are in evaluateMoves.ts.
 * float32 results are rounded to float32 so that overflow to infinity happens where the exporter's runtime had it.
 */
import { broadcastShapes, broadcastStrides, sizeOf } from '../../graph/shape.ts';
import type { OnnxDType } from '../../onnx/types.ts';
import { erf } from '../../ops/scalar.ts';
import type { Known } from './folded.ts';
import { isFloat } from './folded.ts';

/** Rounds to what `dtype` can hold (float32 and coarser as float32; whole numbers truncate). */
export function roundTo(dtype: OnnxDType, x: number): number {
  if (dtype === 'double') return x;
  if (isFloat(dtype)) return Math.fround(x);
  if (dtype === 'bool') return x !== 0 ? 1 : 0;
  return Math.trunc(x);
}

/** Half to even, as ONNX's Round. */
function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 ? 2 * Math.round(x / 2) : r;
}

export const unaryFns: Readonly<Record<string, (x: number) => number>> = {
  Neg: (x) => -x,
  Abs: Math.abs,
  Sqrt: Math.sqrt,
  Exp: Math.exp,
  Log: Math.log,
  Reciprocal: (x) => 1 / x,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Round: roundEven,
  Sign: Math.sign,
  Erf: erf,
  Tanh: Math.tanh,
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  Relu: (x) => Math.max(0, x),
  Sin: Math.sin,
  Cos: Math.cos,
  Not: (x) => (x === 0 ? 1 : 0),
  IsNaN: (x) => (Number.isNaN(x) ? 1 : 0),
};

export const binaryFns: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Min: Math.min,
  Max: Math.max,
  // Python's sign rule for whole numbers; fmod = 1 is treated by the caller.
  Mod: (a, b) => a - b * Math.floor(a / b),
  Equal: (a, b) => (a === b ? 1 : 0),
  Less: (a, b) => (a < b ? 1 : 0),
  LessOrEqual: (a, b) => (a <= b ? 1 : 0),
  Greater: (a, b) => (a > b ? 1 : 0),
  GreaterOrEqual: (a, b) => (a >= b ? 1 : 0),
  And: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  Or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  Xor: (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
};

/** Binary ops whose result is a boolean. */
export const comparisons: ReadonlySet<string> = new Set([
  'Equal',
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'And',
  'Or',
  'Xor',
]);

export function map1(dtype: OnnxDType, x: Known, f: (x: number) => number): Known {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = roundTo(dtype, f(x.data[i]!));
  return { dtype, shape: x.shape, data };
}

/** Calls `f` with the flat index of the result and of each broadcast operand. */
export function forEachBroadcast(
  shape: readonly number[],
  operands: readonly (readonly number[])[],
  f: (out: number, at: readonly number[]) => void,
): void {
  const strides = operands.map((s) => broadcastStrides(s, shape));
  const at = operands.map(() => 0);
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  for (let o = 0; o < size; o++) {
    f(o, at);
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d]!++;
      for (let k = 0; k < at.length; k++) at[k]! += strides[k]![d]!;
      if (index[d]! < shape[d]!) break;
      for (let k = 0; k < at.length; k++) at[k]! -= strides[k]![d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

export function map2(
  dtype: OnnxDType,
  op: string,
  a: Known,
  b: Known,
  f: (a: number, b: number) => number,
): Known {
  const shape = broadcastShapes(op, a.shape, b.shape);
  const data = new Float64Array(sizeOf(shape));
  forEachBroadcast(shape, [a.shape, b.shape], (o, at) => {
    data[o] = roundTo(dtype, f(a.data[at[0]!]!, b.data[at[1]!]!));
  });
  return { dtype, shape, data };
}

export function where(cond: Known, a: Known, b: Known): Known {
  const shape = broadcastShapes('Where', cond.shape, a.shape, b.shape);
  const data = new Float64Array(sizeOf(shape));
  forEachBroadcast(shape, [cond.shape, a.shape, b.shape], (o, at) => {
    data[o] = cond.data[at[0]!] !== 0 ? a.data[at[1]!]! : b.data[at[2]!]!;
  });
  return { dtype: a.dtype, shape, data };
}

export function matmul(a: Known, b: Known): Known {
  const m = a.shape.at(-2) ?? 1;
  const k = a.shape.at(-1) ?? 1;
  const n = b.shape.at(-1) ?? 1;
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const data = new Float64Array(sizeOf(batch) * m * n);
  forEachBroadcast(batch, [a.shape.slice(0, -2), b.shape.slice(0, -2)], (o, at) => {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let t = 0; t < k; t++)
          sum += a.data[at[0]! * m * k + i * k + t]! * b.data[at[1]! * k * n + t * n + j]!;
        data[o * m * n + i * n + j] = roundTo(a.dtype, sum);
      }
    }
  });
  return { dtype: a.dtype, shape: [...batch, m, n], data };
}
