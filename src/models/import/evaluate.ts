/**
 * Evaluates ONNX nodes on the CPU for constant folding: element by element. The data-moving ops are in evaluateMoves.ts.
 * float32 results are rounded to float32 so that overflow to infinity happens where the exporter's runtime had it.
 */
import { broadcastShapes, broadcastStrides, sameShape, sizeOf } from '../../graph/shape.ts';
import type { OnnxDType } from '../../onnx/types.ts';
import { erf } from '../../ops/scalar.ts';
import type { Known } from './folded.ts';
import { isFloat } from './folded.ts';

/** Rounds to what a type can hold: float32 and coarser as float32; whole numbers truncate. */
export function rounding(dtype: OnnxDType): (x: number) => number {
  if (dtype === 'double') return (x) => x;
  if (isFloat(dtype)) return Math.fround;
  return dtype === 'bool' ? (x) => (x !== 0 ? 1 : 0) : Math.trunc;
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

/** Whether the numbers repeat after `run` of them. */
export function repeats(data: Float64Array, run: number): boolean {
  for (let i = run; i < data.length; i++) if (!Object.is(data[i], data[i - run])) return false;
  return true;
}

/** Masks of millions of entries are the same for every example: one is computed and the others copied. */
const LARGE = 1 << 16;

export function map1(dtype: OnnxDType, x: Known, f: (x: number) => number): Known {
  const round = rounding(dtype);
  const run = x.data.length / (x.shape[0] ?? 1);
  const once = x.data.length >= LARGE && run < x.data.length && repeats(x.data, run) ? run : x.data.length;
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < once; i++) data[i] = round(f(x.data[i]!));
  for (let at = once; at < data.length; at += once) data.copyWithin(at, 0, once);
  return { dtype, shape: x.shape, data };
}

/** A tensor of one repeated number, as that number: `shape` of ones. */
function condensed(x: Known): Known {
  if (x.data.length < 2 || !repeats(x.data, 1)) return x;
  return { dtype: x.dtype, shape: x.shape.map(() => 1), data: x.data.subarray(0, 1) };
}

/** Flat positions base + Σ index·stride of every index of `shape`, in row-major order. */
export function stridedPositions(shape: readonly number[], strides: readonly number[], base = 0): Int32Array {
  const positions = new Int32Array(sizeOf(shape));
  if (positions.length === 0) return positions;
  positions[0] = base;
  // From the last axis outwards, each axis repeats what stands so far at its stride.
  let length = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const n = shape[d]!;
    const stride = strides[d]!;
    for (let i = 1; i < n; i++) {
      const to = i * length;
      for (let j = 0; j < length; j++) positions[to + j] = positions[j]! + i * stride;
    }
    length *= n;
  }
  return positions;
}

/** The data of `x` stretched to `shape`; itself where it has that shape. */
export function broadcastData(x: Known, shape: readonly number[]): Float64Array {
  if (sameShape(x.shape, shape)) return x.data;
  const size = sizeOf(shape);
  const first = x.shape.findIndex((d) => d !== 1);
  const inner = first < 0 ? [] : x.shape.slice(first);
  if (sameShape(inner, shape.slice(shape.length - inner.length))) {
    // Whole copies one after the other.
    const data = new Float64Array(size);
    if (x.data.length === 1) return data.fill(x.data[0]!);
    if (x.data.length > 0) for (let at = 0; at < size; at += x.data.length) data.set(x.data, at);
    return data;
  }
  const positions = stridedPositions(shape, broadcastStrides(x.shape, shape));
  const data = new Float64Array(positions.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[positions[i]!]!;
  return data;
}

export function map2(
  dtype: OnnxDType,
  op: string,
  a: Known,
  b: Known,
  f: (a: number, b: number) => number,
): Known {
  const shape = broadcastShapes(op, a.shape, b.shape);
  const [x, y] = [condensed(a), condensed(b)];
  const least = broadcastShapes(op, x.shape, y.shape);
  const left = broadcastData(x, least);
  const right = broadcastData(y, least);
  const data = new Float64Array(left.length);
  const round = rounding(dtype);
  for (let i = 0; i < data.length; i++) data[i] = round(f(left[i]!, right[i]!));
  return { dtype, shape, data: broadcastData({ dtype, shape: least, data }, shape) };
}

export function where(cond: Known, a: Known, b: Known): Known {
  const shape = broadcastShapes('Where', cond.shape, a.shape, b.shape);
  const parts = [cond, a, b].map(condensed) as [Known, Known, Known];
  const least = broadcastShapes('Where', ...(parts.map((k) => k.shape) as [number[], number[], number[]]));
  const [c, yes, no] = parts.map((k) => broadcastData(k, least)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const data = new Float64Array(c.length);
  for (let i = 0; i < data.length; i++) data[i] = c[i] !== 0 ? yes[i]! : no[i]!;
  return { dtype: a.dtype, shape, data: broadcastData({ dtype: a.dtype, shape: least, data }, shape) };
}

export function matmul(a: Known, b: Known): Known {
  const m = a.shape.at(-2) ?? 1;
  const k = a.shape.at(-1) ?? 1;
  const n = b.shape.at(-1) ?? 1;
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const data = new Float64Array(sizeOf(batch) * m * n);
  const round = rounding(a.dtype);
  const starts = [a, b].map((x) => {
    const lead = x.shape.slice(0, -2);
    return stridedPositions(batch, broadcastStrides(lead, batch));
  }) as [Int32Array, Int32Array];
  for (let o = 0; o < starts[0].length; o++) {
    const left = starts[0][o]! * m * k;
    const right = starts[1][o]! * k * n;
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let t = 0; t < k; t++) sum += a.data[left + i * k + t]! * b.data[right + t * n + j]!;
        data[o * m * n + i * n + j] = round(sum);
      }
    }
  }
  return { dtype: a.dtype, shape: [...batch, m, n], data };
}
