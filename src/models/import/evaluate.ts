/**
 * Evaluates ONNX nodes on the CPU for constant folding: element by element. The data-moving ops are in evaluateMoves.ts.
 * float32 results are rounded to float32 so that overflow to infinity happens where the exporter's runtime had it. Every result lies in
 * an array of `allot`, which counts it before it is there, and nothing of a result's size is made beside it.
 */
import { broadcastShapes, broadcastStrides, sameShape } from '../../graph/shape.ts';
import { isFloat } from '../../onnx/dtype.ts';
import type { OnnxDType } from '../../onnx/types.ts';
import { erf } from '../../ops/scalar.ts';
import type { Known } from './folded.ts';
import { allot, checkedSize, type Numbers, work } from './room.ts';

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
export function repeats(data: Numbers, run: number): boolean {
  for (let i = run; i < data.length; i++) if (!Object.is(data[i], data[i - run])) return false;
  return true;
}

/** Masks of millions of entries are the same for every example: one is computed and the others copied. */
const LARGE = 1 << 16;

export function map1(dtype: OnnxDType, x: Known, f: (x: number) => number): Known {
  const round = rounding(dtype);
  const run = x.data.length / (x.shape[0] ?? 1);
  const once = x.data.length >= LARGE && run < x.data.length && repeats(x.data, run) ? run : x.data.length;
  const data = allot(dtype, x.shape);
  for (let i = 0; i < once; i++) data[i] = round(f(x.data[i]!));
  for (let at = once; at < data.length; at += once) data.copyWithin(at, 0, once);
  return { dtype, shape: x.shape, data };
}

/** A tensor of one repeated number, as that number: `shape` of ones. */
function condensed(x: Known): Known {
  if (x.data.length < 2 || !repeats(x.data, 1)) return x;
  return { dtype: x.dtype, shape: x.shape.map(() => 1), data: x.data.subarray(0, 1) };
}

/**
 * Calls `row` for every row of the last axis of `shape`, in order, with the row's first place in each of some tensors that are read
 * through strides: there and at every stride from there lie its numbers.
 *
 * @param strides by tensor and axis
 */
function forEachRow(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  row: (to: number, length: number, from: readonly number[]) => void,
): void {
  const size = checkedSize(shape);
  if (size === 0) return;
  const last = shape.length - 1;
  const length = shape[last] ?? 1;
  const index = shape.map(() => 0);
  const from = strides.map(() => 0);
  for (let to = 0; to < size; to += length) {
    row(to, length, from);
    for (let d = last - 1; d >= 0; d--) {
      const wraps = ++index[d]! === shape[d]!;
      for (let t = 0; t < from.length; t++)
        from[t]! += wraps ? -strides[t]![d]! * (shape[d]! - 1) : strides[t]![d]!;
      if (!wraps) break;
      index[d] = 0;
    }
  }
}

const lastOf = (strides: readonly number[]): number => strides.at(-1) ?? 0;

/** The numbers of `x` from `base` on, at these strides, as a tensor of `shape`. */
export function strided(x: Known, shape: readonly number[], strides: readonly number[], base = 0): Known {
  const data = allot(x.dtype, shape);
  const step = lastOf(strides);
  const { data: source } = x;
  forEachRow(shape, [strides], (to, length, [from]) => {
    for (let i = 0, at = base + from!; i < length; i++, at += step) data[to + i] = source[at]!;
  });
  return { dtype: x.dtype, shape, data };
}

/** The data of `x` stretched to `shape`; itself where it has that shape. */
export function broadcastData(x: Known, shape: readonly number[]): Numbers {
  if (sameShape(x.shape, shape)) return x.data;
  const first = x.shape.findIndex((d) => d !== 1);
  const inner = first < 0 ? [] : x.shape.slice(first);
  if (sameShape(inner, shape.slice(shape.length - inner.length))) {
    // Whole copies one after the other.
    const data = allot(x.dtype, shape);
    if (x.data.length === 1) return data.fill(x.data[0]!);
    if (x.data.length > 0) for (let at = 0; at < data.length; at += x.data.length) data.set(x.data, at);
    return data;
  }
  return strided(x, shape, broadcastStrides(x.shape, shape)).data;
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
  const [left, right] = [x, y].map((k) => broadcastStrides(k.shape, least)) as [number[], number[]];
  const [p, q] = [lastOf(left), lastOf(right)];
  const data = allot(dtype, least);
  const round = rounding(dtype);
  forEachRow(least, [left, right], (to, length, [i, j]) => {
    for (let n = 0; n < length; n++) data[to + n] = round(f(x.data[i! + n * p]!, y.data[j! + n * q]!));
  });
  return { dtype, shape, data: broadcastData({ dtype, shape: least, data }, shape) };
}

export function where(cond: Known, a: Known, b: Known): Known {
  const { dtype } = a;
  const shape = broadcastShapes('Where', cond.shape, a.shape, b.shape);
  const [c, yes, no] = [cond, a, b].map(condensed) as [Known, Known, Known];
  const least = broadcastShapes('Where', c.shape, yes.shape, no.shape);
  const strides = [c, yes, no].map((k) => broadcastStrides(k.shape, least));
  const [r, s, t] = strides.map(lastOf) as [number, number, number];
  const data = allot(dtype, least);
  forEachRow(least, strides, (to, length, [i, j, k]) => {
    for (let n = 0; n < length; n++)
      data[to + n] = c.data[i! + n * r] !== 0 ? yes.data[j! + n * s]! : no.data[k! + n * t]!;
  });
  return { dtype, shape, data: broadcastData({ dtype, shape: least, data }, shape) };
}

export function matmul(a: Known, b: Known): Known {
  const m = a.shape.at(-2) ?? 1;
  const k = a.shape.at(-1) ?? 1;
  const n = b.shape.at(-1) ?? 1;
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, m, n];
  work(checkedSize(shape) * k);
  const data = allot(a.dtype, shape);
  const round = rounding(a.dtype);
  const [left, right] = [a, b].map((x) => broadcastStrides(x.shape.slice(0, -2), batch)) as [
    number[],
    number[],
  ];
  // A row of the walk is one product: its axis is one more, of one place.
  forEachRow(
    [...batch, 1],
    [
      [...left, 0],
      [...right, 0],
    ],
    (o, _, [i, j]) => {
      product(a.data, i! * m * k, b.data, j! * k * n, [m, k, n], (at, sum) => {
        data[o * m * n + at] = round(sum);
      });
    },
  );
  return { dtype: a.dtype, shape, data };
}

/** The product of two matrices, number by number. */
function product(
  a: Numbers,
  left: number,
  b: Numbers,
  right: number,
  [m, k, n]: readonly [number, number, number],
  put: (at: number, sum: number) => void,
): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let t = 0; t < k; t++) sum += a[left + i * k + t]! * b[right + t * n + j]!;
      put(i * n + j, sum);
    }
  }
}
