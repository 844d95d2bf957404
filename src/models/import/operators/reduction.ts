/** Operators along axes: sums and extremes, running sums, the place of the largest, softmax. */

import { sizeOf, stridesOf } from '../../../graph/shape.ts';
import type { Value } from '../../../graph/types.ts';
import { say } from '../../../lib/say.ts';
import * as op from '../../../ops/index.ts';
import { allocate, ascending, spend } from '../importBudget.ts';
import { numbers } from '../ir.ts';
import { rounding } from './elementwise.ts';
import {
  alike,
  axisOf,
  derive,
  dtypeOf,
  type Emission,
  input,
  int,
  list,
  type Operator,
  type Operators,
  one,
  refuse,
  reshape,
} from './operator.ts';

type Reduction = 'sum' | 'mean' | 'max' | 'min' | 'prod';

const reducers: Readonly<
  Record<Reduction, readonly [start: number, add: (acc: number, x: number) => number]>
> = {
  sum: [0, (acc, x) => acc + x],
  mean: [0, (acc, x) => acc + x],
  max: [Number.NEGATIVE_INFINITY, Math.max],
  min: [Number.POSITIVE_INFINITY, Math.min],
  prod: [1, (acc, x) => acc * x],
};

/** The shape without some axes, or with 1 in their place. */
const without = (shape: readonly number[], axes: readonly number[], keepdims: boolean): number[] =>
  keepdims ? shape.map((d, i) => (axes.includes(i) ? 1 : d)) : shape.filter((_, i) => !axes.includes(i));

/** A node Reduce… */
const reduceBy = (fn: Reduction): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const wanted = list(c, 1, 'axes');
    const all = !wanted || wanted.length === 0;
    if (all && int(c, 'noop_with_empty_axes', 0) === 1) return reshape(x, x.shape);
    const rank = x.shape.length;
    const axes = (all ? x.shape.map((_, i) => i) : wanted).map((a) => axisOf(a, rank)).sort((a, b) => a - b);
    const keepdims = int(c, 'keepdims', 1) === 1;
    return one('Reduce', [x], { fn, axes, keepdims }, x.dtype, without(x.shape, axes, keepdims));
  },
});

/** What all of them become. */
const reduce: Operator = {
  fold([x], attrs, shape) {
    const axes = numbers(attrs.axes);
    const kept = without(x!.shape, axes, true);
    const strides = stridesOf(kept).map((s, d) => (kept[d] === 1 ? 0 : s));
    const [start, add] = reducers[attrs.fn as Reduction];
    const sums = allocate('double', kept).fill(start);
    const index = kept.map(() => 0);
    spend(6 * x!.data.length);
    for (const v of x!.data) {
      let at = 0;
      for (let d = 0; d < index.length; d++) at += index[d]! * strides[d]!;
      sums[at] = add(sums[at]!, v);
      for (let d = index.length - 1; d >= 0 && ++index[d]! === x!.shape[d]!; d--) index[d] = 0;
    }
    const count = attrs.fn === 'mean' ? sizeOf(axes.map((a) => x!.shape[a]!)) : 1;
    const data = allocate(x!.dtype, shape);
    const round = rounding(x!.dtype);
    for (let i = 0; i < data.length; i++) data[i] = round(sums[i]! / count);
    return { dtype: x!.dtype, shape, data };
  },
  /** Whole numbers are counted as floats: exact up to 2^24. */
  emit({ g, x, attrs }) {
    const v = x(0);
    const y = op.reduce(g, v.dtype === 'f32' ? v : op.cast(g, v, { to: 'f32' }), {
      fn: attrs.fn as op.ReduceName,
      axes: numbers(attrs.axes),
      keepdims: attrs.keepdims as boolean,
    });
    return v.dtype === 'f32' ? y : op.cast(g, y, { to: v.dtype });
  },
  emits: ({ attrs }) => attrs.fn !== 'prod',
};

/** √Σx² or Σx² along axes. */
const squares = (root: boolean): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const axes = (list(c, 1, 'axes') ?? x.shape.map((_, i) => i)).map((a) => axisOf(a, x.shape.length));
    const keepdims = int(c, 'keepdims', 1) === 1;
    const shape = without(x.shape, axes, keepdims);
    const square = derive('Square', [x], {}, x.shape);
    const sum = derive('Reduce', [square], { fn: 'sum', axes, keepdims }, shape);
    return [root ? derive('Sqrt', [sum], {}, shape) : sum];
  },
});

/** A permutation that swaps `axis` with the last one. */
export function swapLast(rank: number, axis: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i));
}

/** Applies an op of the last axis along another one. */
function alongAxis({ g, shape, attrs }: Emission, x: Value, f: (x: Value) => Value): Value {
  const axis = attrs.axis as number;
  if (axis === shape.length - 1) return f(x);
  const perm = swapLast(shape.length, axis);
  return op.transpose(g, f(op.transpose(g, x, { perm })), { perm });
}

const softmax = (emit: (g: Emission['g'], x: Value) => Value): Operator => ({
  infer(c) {
    const x = input(c, 0);
    const rank = x.shape.length;
    const axis = axisOf(int(c, 'axis', c.opset >= 13 ? -1 : 1), rank);
    // Before opset 13 everything from `axis` on is one row.
    if (c.opset < 13 && x.shape.slice(axis).filter((d) => d !== 1).length > 1 && axis !== rank - 1)
      return refuse(say`it normalises over several axes at once`);
    return alike(c.node.opType, [x], { axis });
  },
  emit: (e) => alongAxis(e, e.x(0), (v) => emit(e.g, v)),
});

/** Places along an axis, before and after it. */
const extentsOf = (shape: readonly number[], axis: number): readonly [number, number, number] => [
  shape[axis]!,
  sizeOf(shape.slice(0, axis)),
  sizeOf(shape.slice(axis + 1)),
];

const cumSum: Operator = {
  infer(c) {
    const x = input(c, 0);
    const axis = axisOf(
      input(c, 1).known?.()[0] ?? refuse(say`its axis depends on the data`),
      x.shape.length,
    );
    const attrs = { axis, exclusive: int(c, 'exclusive', 0) === 1, reverse: int(c, 'reverse', 0) === 1 };
    return alike('CumSum', [x], attrs);
  },
  fold([x], { axis, exclusive, reverse }, shape) {
    const [n, outer, inner] = extentsOf(shape, axis as number);
    const data = allocate(x!.dtype, shape);
    const round = rounding(x!.dtype);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let t = 0; t < n; t++) {
          const at = (o * n + (reverse ? n - 1 - t : t)) * inner + i;
          const before = sum;
          sum += x!.data[at]!;
          data[at] = round(exclusive ? before : sum);
        }
      }
    }
    return { dtype: x!.dtype, shape, data };
  },
  /** As a product with a triangle of ones; exact for the counts they are used for. */
  emit(e) {
    const { g, x, attrs, shape, node } = e;
    const n = shape[attrs.axis as number]!;
    const ones = allocate('float32', [n, n]) as Float32Array<ArrayBuffer>;
    for (let from = 0; from < n; from++) {
      for (let to = 0; to < n; to++) {
        const distance = attrs.reverse ? from - to : to - from;
        if (attrs.exclusive ? distance > 0 : distance >= 0) ones[from * n + to] = 1;
      }
    }
    const triangle = g.constant({ dtype: 'f32', shape: [n, n] }, ones, 'triangle');
    const source = x(0);
    const sums = alongAxis(e, op.cast(g, source, { to: 'f32' }), (v) => {
      const flat = op.view(g, v, [sizeOf(v.shape) / n, n]);
      return op.view(g, op.matmul(g, flat, triangle), v.shape);
    });
    return op.cast(g, sums, { to: dtypeOf(node.outputs[0]!) });
  },
};

const argMax: Operator = {
  infer(c) {
    const x = input(c, 0);
    if (int(c, 'select_last_index', 0) === 1) return refuse(say`it looks for the last of equal entries`);
    const axis = axisOf(int(c, 'axis', 0), x.shape.length);
    const keepdims = int(c, 'keepdims', 1) === 1;
    return one('ArgMax', [x], { axis, keepdims }, 'int64', without(x.shape, [axis], keepdims));
  },
  fold([x], { axis }, shape) {
    const [n, outer, inner] = extentsOf(x!.shape, axis as number);
    const data = allocate('int64', shape);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        let best = 0;
        for (let t = 1; t < n; t++) {
          if (x!.data[(o * n + t) * inner + i]! > x!.data[(o * n + best) * inner + i]!) best = t;
        }
        data[o * inner + i] = best;
      }
    }
    return { dtype: 'int64', shape, data };
  },
  /** The first place of the largest entry. Whole numbers are compared as floats: exact up to 2^24. */
  emit({ g, x, attrs, shape }) {
    const v = op.cast(g, x(0), { to: 'f32' });
    const axis = attrs.axis as number;
    const n = v.shape[axis]!;
    const data = ascending('float32', n) as Float32Array<ArrayBuffer>;
    const places = g.constant(
      { dtype: 'f32', shape: v.shape.map((_, i) => (i === axis ? n : 1)) },
      data,
      'places',
    );
    const beyond = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(n), 'number');
    const largest = op.reduce(g, v, { fn: 'max', axes: [axis], keepdims: true });
    const found = op.where(g, op.binary(g, v, largest, { fn: 'equal' }), places, beyond);
    const first = op.reduce(g, found, { fn: 'min', axes: [axis], keepdims: attrs.keepdims as boolean });
    return op.view(g, op.cast(g, first, { to: 'i32' }), shape);
  },
};

export const reduction: Operators = {
  Reduce: reduce,
  ReduceSum: reduceBy('sum'),
  ReduceMean: reduceBy('mean'),
  ReduceMax: reduceBy('max'),
  ReduceMin: reduceBy('min'),
  ReduceProd: reduceBy('prod'),
  ReduceL2: squares(true),
  ReduceSumSquare: squares(false),
  CumSum: cumSum,
  ArgMax: argMax,
  Softmax: softmax((g, x) => op.softmax(g, x)),
  LogSoftmax: softmax((g, x) => op.logSoftmax(g, x)),
};
