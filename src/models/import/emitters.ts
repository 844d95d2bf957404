/** The import table: how every canonical or fused node becomes ops of the engine. */
import type { Builder } from '../../graph/builder.ts';
import { sizeOf } from '../../graph/shape.ts';
import type { DType, Value } from '../../graph/types.ts';
import { isFloat } from '../../onnx/dtype.ts';
import * as op from '../../ops/index.ts';
import { type Attr, type FoldedNode, type FoldedValue, numbers } from './folded.ts';
import { allot, counted } from './room.ts';

/** Inputs and attributes of the node at hand, as engine values. */
export interface Emission {
  readonly g: Builder;
  readonly node: FoldedNode;
  readonly attrs: Readonly<Record<string, Attr>>;
  readonly shape: readonly number[];
  readonly module: string | undefined;
  /** Operand i; fails where it was left out. */
  x(i: number): Value;
  optional(i: number): Value | null;
}

export const dtypeOf = (v: FoldedValue): DType => (isFloat(v.dtype) ? 'f32' : 'i32');

const unary =
  (fn: op.UnaryName) =>
  ({ g, x }: Emission): Value =>
    op.unary(g, x(0), { fn });

const binary =
  (fn: op.BinaryName) =>
  ({ g, x }: Emission): Value =>
    op.binary(g, x(0), x(1), { fn });

const number = (g: Builder, value: number): Value =>
  g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(value), 'number');
const whole = (g: Builder, value: number): Value =>
  g.constant({ dtype: 'i32', shape: [1] }, Int32Array.of(value), 'number');

/** A permutation that swaps `axis` with the last one. */
function swapLast(rank: number, axis: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i));
}

/** Applies an op of the last axis along another one. */
function alongAxis(e: Emission, f: (x: Value) => Value): Value {
  const { g, x, shape, attrs } = e;
  const axis = attrs.axis as number;
  if (axis === shape.length - 1) return f(x(0));
  const perm = swapLast(shape.length, axis);
  return op.transpose(g, f(op.transpose(g, x(0), { perm })), { perm });
}

function cast({ g, x, node, attrs }: Emission): Value {
  const to = attrs.to as FoldedValue['dtype'];
  const v = x(0);
  if (to === 'bool') {
    const zero = v.dtype === 'f32' ? number(g, 0) : whole(g, 0);
    return op.unary(g, op.binary(g, v, zero, { fn: 'equal' }), { fn: 'not' });
  }
  return op.cast(g, v, { to: dtypeOf(node.outputs[0]!) });
}

function matmul({ g, node, x }: Emission): Value {
  // Σ over the last axis of both operands, where an export transposed the second for it.
  const b = x(1);
  const source = b.producer;
  const rank = b.shape.length;
  const perm = source?.op.name === 'transpose' ? (source.attrs as { perm: readonly number[] }).perm : null;
  if (perm && node.outputs[0]!.shape.length >= 2 && perm.every((p, i) => p === swapLast(rank, rank - 2)[i])) {
    return op.matmul(g, x(0), source!.inputs[0]!, { transB: true });
  }
  return op.matmul(g, x(0), b);
}

function gemm({ g, x, optional, attrs }: Emission): Value {
  const product = op.matmul(g, x(0), x(1), {
    transA: attrs.transA as boolean,
    transB: attrs.transB as boolean,
    alpha: attrs.alpha as number,
  });
  const c = optional(2);
  if (!c) return product;
  return op.binary(g, product, attrs.beta === 1 ? c : op.scale(g, c, { by: attrs.beta as number }), {
    fn: 'add',
  });
}

function gather({ g, x, node, attrs }: Emission): Value {
  const axis = attrs.axis as number;
  const [table, ids] = [x(0), x(1)];
  if (axis === 0) return op.gather(g, table, ids);
  // Rows of another axis: bring it to the front and put it back.
  const rank = table.shape.length;
  const front = [axis, ...Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis)];
  const rows = op.gather(g, op.transpose(g, table, { perm: front }), ids);
  const n = node.inputs[1]!.shape.length;
  const back = Array.from({ length: rank - 1 + n }, (_, i) =>
    i < axis ? n + i : i < axis + n ? i - axis : i,
  );
  return op.transpose(g, rows, { perm: back });
}

function slice({ g, x, attrs, shape }: Emission): Value {
  const starts = numbers(attrs.starts);
  const steps = numbers(attrs.steps);
  return op.slice(g, x(0), { starts, steps, ends: sliceEnds(starts, steps, shape) });
}

export const sliceEnds = (
  starts: readonly number[],
  steps: readonly number[],
  shape: readonly number[],
): number[] => starts.map((s, i) => Math.max(-1, s + shape[i]! * steps[i]!));

/** Running sums along an axis as a product with a triangle of ones; exact for the counts they are used for. */
function cumSum(e: Emission): Value {
  const { g, x, attrs, shape, node } = e;
  const axis = attrs.axis as number;
  const n = shape[axis]!;
  const ones = allot('float32', [n, n]) as Float32Array<ArrayBuffer>;
  for (let from = 0; from < n; from++) {
    for (let to = 0; to < n; to++) {
      const distance = attrs.reverse ? from - to : to - from;
      if (attrs.exclusive ? distance > 0 : distance >= 0) ones[from * n + to] = 1;
    }
  }
  const triangle = g.constant({ dtype: 'f32', shape: [n, n] }, ones, 'triangle');
  const source = x(0);
  const sums = alongAxis({ ...e, x: () => op.cast(g, source, { to: 'f32' }) }, (v) => {
    const flat = op.view(g, v, [sizeOf(v.shape) / n, n]);
    return op.view(g, op.matmul(g, flat, triangle), v.shape);
  });
  return op.cast(g, sums, { to: dtypeOf(node.outputs[0]!) });
}

/** Whole numbers are counted as floats: exact up to 2^24. */
function reduce({ g, x, attrs }: Emission): Value {
  const v = x(0);
  const y = op.reduce(g, v.dtype === 'f32' ? v : op.cast(g, v, { to: 'f32' }), {
    fn: attrs.fn as op.ReduceName,
    axes: numbers(attrs.axes),
    keepdims: attrs.keepdims as boolean,
  });
  return v.dtype === 'f32' ? y : op.cast(g, y, { to: v.dtype });
}

function trilu({ g, x, attrs, shape }: Emission): Value {
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  const k = attrs.k as number;
  const inside = allot('bool', [rows, columns]);
  for (let i = 0; i < inside.length; i++) {
    const d = (i % columns) - Math.floor(i / columns);
    inside[i] = Number(attrs.upper ? d >= k : d <= k);
  }
  const kept = Int32Array.from(inside);
  const v = x(0);
  const zero = v.dtype === 'f32' ? number(g, 0) : whole(g, 0);
  return op.where(g, g.constant({ dtype: 'i32', shape: [rows, columns] }, kept, 'triangle'), v, zero);
}

function tile({ g, x, attrs, shape }: Emission): Value {
  const v = x(0);
  const repeats = numbers(attrs.repeats);
  const spread = op.view(
    g,
    v,
    v.shape.flatMap((d) => [1, d]),
  );
  return op.view(g, op.expand(g, spread, { shape: v.shape.flatMap((d, i) => [repeats[i]!, d]) }), shape);
}

function clip({ g, x, attrs }: Emission): Value {
  let v = x(0);
  const bound = (n: number): Value => (v.dtype === 'f32' ? number(g, n) : whole(g, n));
  if (attrs.min !== Number.NEGATIVE_INFINITY) v = op.binary(g, v, bound(attrs.min as number), { fn: 'max' });
  if (attrs.max !== Number.POSITIVE_INFINITY) v = op.binary(g, v, bound(attrs.max as number), { fn: 'min' });
  return v;
}

export const emitters: Readonly<Record<string, (e: Emission) => Value>> = {
  Reshape: ({ g, x, shape }) => op.view(g, x(0), shape),
  Expand: ({ g, x, shape }) => op.expand(g, x(0), { shape }),
  Cast: cast,
  Transpose: ({ g, x, attrs }) => op.transpose(g, x(0), { perm: numbers(attrs.perm) }),
  Slice: slice,
  Concat: ({ g, x, node, attrs }) =>
    op.concat(
      g,
      node.inputs.map((_, i) => x(i)),
      { axis: attrs.axis as number },
    ),
  Gather: gather,
  GatherND: gatherNd,
  GatherElements: gatherElements,
  ArgMax: argMax,
  Where: ({ g, x }) => op.where(g, x(0), x(1), x(2)),
  Trilu: trilu,
  Tile: tile,
  CumSum: cumSum,
  Clip: clip,
  MatMul: matmul,
  Gemm: gemm,
  Softmax: (e) => alongAxis(e, (v) => op.softmax(e.g, v)),
  LogSoftmax: (e) => alongAxis(e, (v) => op.logSoftmax(e.g, v)),
  Reduce: reduce,
  LayerNorm: ({ g, x, optional, attrs }) =>
    op.layerNorm(g, x(0), optional(1), optional(2), { eps: attrs.eps as number })[0],
  RmsNorm: ({ g, x, optional, attrs }) => op.rmsNorm(g, x(0), optional(1), { eps: attrs.eps as number })[0],
  Linear: ({ g, x, optional, module }) =>
    op.linear(g, x(0), x(1), optional(2), module === undefined ? {} : { module }),
  Unfold: ({ g, x, attrs }) =>
    op.unfold(g, x(0), { kernel: pair(attrs.kernel), stride: pair(attrs.stride), pads: four(attrs.pads) }),
  Rope: ({ g, x, attrs }) =>
    op.rope(g, x(0), x(1), x(2), {
      heads: attrs.heads as number,
      headDim: attrs.headDim as number,
      rotaryDim: (attrs.rotaryDim ?? attrs.headDim) as number,
      interleaved: attrs.interleaved === true,
    }),
  Attention: ({ g, x, optional, attrs }) =>
    op.attention(g, x(0), x(1), x(2), optional(3), {
      heads: attrs.heads as number,
      kvHeads: attrs.kvHeads as number,
      headDim: attrs.headDim as number,
      scale: attrs.scale as number,
      causal: attrs.causal as boolean,
    }),
  Scale: ({ g, x, attrs }) => op.scale(g, x(0), { by: attrs.by as number }),
  Gelu: unary('gelu'),
  GeluTanh: unary('geluTanh'),
  Silu: unary('silu'),
  QuickGelu: unary('quickGelu'),
  Square: unary('square'),
  Rsqrt: unary('rsqrt'),
  Sqrt: unary('sqrt'),
  Reciprocal: unary('reciprocal'),
  Neg: unary('neg'),
  Abs: unary('abs'),
  Exp: unary('exp'),
  Log: unary('log'),
  Erf: unary('erf'),
  Tanh: unary('tanh'),
  Sigmoid: unary('sigmoid'),
  Relu: unary('relu'),
  Sin: unary('sin'),
  Cos: unary('cos'),
  Floor: unary('floor'),
  Ceil: unary('ceil'),
  Not: unary('not'),
  IsNaN: unary('isNaN'),
  Add: binary('add'),
  Sub: binary('sub'),
  Mul: binary('mul'),
  Div: binary('div'),
  Pow: binary('pow'),
  Min: binary('min'),
  Max: binary('max'),
  Mod: binary('mod'),
  Equal: binary('equal'),
  Less: binary('less'),
  Greater: binary('greater'),
  LessOrEqual: binary('lessEqual'),
  GreaterOrEqual: binary('greaterEqual'),
  And: binary('and'),
  Or: binary('or'),
};

const pair = (a: Attr | undefined): [number, number] => [numbers(a)[0]!, numbers(a)[1]!];
const four = (a: Attr | undefined): [number, number, number, number] =>
  numbers(a).slice(0, 4) as [number, number, number, number];

/** Whether the table has the op (Split aside, which has several outputs). */
export const canEmit = (node: FoldedNode): boolean => {
  if (node.op === 'Reduce') return node.attrs.fn !== 'prod';
  return node.op === 'Split' || Object.hasOwn(emitters, node.op);
};

// Emitters of ops that look for places or select by computed ones: ArgMax, GatherND, GatherElements.

/** The first place of the largest entry. Whole numbers are compared as floats: exact up to 2^24. */
function argMax({ g, x, attrs, node }: Emission): Value {
  const v = op.cast(g, x(0), { to: 'f32' });
  const axis = attrs.axis as number;
  const n = v.shape[axis]!;
  const shape = v.shape.map((_, i) => (i === axis ? n : 1));
  const places = g.constant(
    { dtype: 'f32', shape },
    counted('float32', n) as Float32Array<ArrayBuffer>,
    'places',
  );
  const beyond = g.constant({ dtype: 'f32', shape: [1] }, Float32Array.of(n), 'number');
  const largest = op.reduce(g, v, { fn: 'max', axes: [axis], keepdims: true });
  const found = op.where(g, op.binary(g, v, largest, { fn: 'equal' }), places, beyond);
  const first = op.reduce(g, found, { fn: 'min', axes: [axis], keepdims: attrs.keepdims as boolean });
  return op.view(g, op.cast(g, first, { to: 'i32' }), node.outputs[0]!.shape);
}

/** Rows of the leading axes by tuples of indices (non-negative), as rows of one axis. */
function gatherNd({ g, x, shape }: Emission): Value {
  const [table, tuples] = [x(0), x(1)];
  const depth = tuples.shape.at(-1)!;
  const count = sizeOf(tuples.shape.slice(0, -1));
  const lead = table.shape.slice(0, depth);
  const strides = Float32Array.from(lead, (_, d) => sizeOf(lead.slice(d + 1)));
  // A product with the strides; exact up to 2^24 rows.
  const flat = op.matmul(
    g,
    op.view(g, op.cast(g, tuples, { to: 'f32' }), [count, depth]),
    g.constant({ dtype: 'f32', shape: [depth, 1] }, strides, 'strides'),
  );
  const ids = op.cast(g, op.view(g, flat, [count]), { to: 'i32' });
  const rows = op.gather(g, op.view(g, table, [sizeOf(lead), sizeOf(table.shape.slice(depth))]), ids);
  return op.view(g, rows, shape);
}

/** Along the last axis. Rows of known indices that repeat over leading axes (DeBERTa's distances) are kept once. */
function gatherElements({ g, x, node }: Emission): Value {
  const ids = node.inputs[1]!;
  const taken = ids.shape.at(-1)!;
  const known = ids.known?.();
  if (!known) return op.takeAlong(g, x(0), op.view(g, x(1), [sizeOf(ids.shape.slice(0, -1)), taken]));
  const size = node.inputs[0]!.shape.at(-1)!;
  let length = known.length;
  for (const d of ids.shape.slice(0, -1)) {
    const run = length / d;
    if (!known.subarray(0, length).every((id, i) => id === known[i % run])) break;
    length = run;
  }
  const rows = Int32Array.from(known.subarray(0, length), (id) => (id < 0 ? id + size : id));
  const index = g.constant({ dtype: 'i32', shape: [length / taken, taken] }, rows, 'indices');
  return op.takeAlong(g, x(0), index);
}
