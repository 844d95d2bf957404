/** Operators that move, shape, select or count. Axes are counted from the front; a fold looks at no more of an operand than it gives. */
import { broadcastShapes, sameShape, sizeOf, stridesOf } from '../../../graph/shape.ts';
import type { Value } from '../../../graph/types.ts';
import { fail } from '../../../lib/errors.ts';
import { say } from '../../../lib/say.ts';
import { tensorToNumbers } from '../../../onnx/tensor.ts';
import type { OnnxDType } from '../../../onnx/types.ts';
import * as op from '../../../ops/index.ts';
import { allocate, spend } from '../importBudget.ts';
import { type IrValue, type Known, knownValue, numbers, toKnown } from '../ir.ts';
import { stretched, strided } from './elementwise.ts';
import {
  alike,
  axisOf,
  type Context,
  type Emission,
  type Inferred,
  input,
  int,
  ints,
  list,
  numberLike,
  type Operator,
  type Operators,
  one,
  refuse,
  reshape,
  text,
} from './operator.ts';

/** A list of whole numbers as a constant of one axis. */
function counts(name: string, values: readonly number[]): Inferred {
  const shape = [values.length];
  return reshape(knownValue(name, { dtype: 'int64', shape, data: Float64Array.from(values) }), shape);
}

/** Visits every index of `shape` in row-major order. */
function forEachIndex(shape: readonly number[], f: (index: readonly number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  // A call for each is dearer than a copy.
  spend(6 * size);
  for (let o = 0; o < size; o++) {
    f(index, o);
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++index[d]! < shape[d]!) break;
      index[d] = 0;
    }
  }
}

const sliceEnds = (starts: readonly number[], steps: readonly number[], shape: readonly number[]): number[] =>
  starts.map((s, i) => Math.max(-1, s + shape[i]! * steps[i]!));

function sliceKnown(
  x: Known,
  starts: readonly number[],
  steps: readonly number[],
  shape: readonly number[],
): Known {
  if (sameShape(shape, x.shape) && steps.every((s) => s === 1)) return x;
  const strides = stridesOf(x.shape);
  const base = starts.reduce((n, s, d) => n + s * strides[d]!, 0);
  const stepped = strides.map((s, d) => s * steps[d]!);
  return strided(x, shape, stepped, base);
}

const slice: Operator = {
  infer(c) {
    const x = input(c, 0);
    const rank = x.shape.length;
    const starts = list(c, 1, 'starts') ?? refuse(say`it has no starts`);
    const ends = list(c, 2, 'ends') ?? refuse(say`it has no ends`);
    const axes = list(c, 3, 'axes') ?? starts.map((_, i) => i);
    const steps = list(c, 4, 'steps') ?? starts.map(() => 1);
    const from = x.shape.map(() => 0);
    const by = x.shape.map(() => 1);
    const shape = [...x.shape];
    if ([starts, ends, steps].some(({ length }) => length !== axes.length) || steps.includes(0))
      return refuse(say`it takes from [${starts}] to [${ends}] by [${steps}] along [${axes}]`);
    axes.forEach((a, i) => {
      const axis = axisOf(a, rank);
      const d = x.shape[axis]!;
      const step = steps[i]!;
      const clamp = (v: number): number => {
        const at = v < 0 ? v + d : v;
        return step > 0 ? Math.min(Math.max(at, 0), d) : Math.min(Math.max(at, -1), d - 1);
      };
      from[axis] = clamp(starts[i]!);
      by[axis] = step;
      // For a negative step an end of −(huge) means "past the front".
      const end = step < 0 && ends[i]! < -d ? -1 : clamp(ends[i]!);
      shape[axis] = Math.max(0, Math.ceil((end - from[axis]!) / step));
    });
    return one('Slice', [x], { starts: from, steps: by, shape }, x.dtype, shape);
  },
  fold: ([x], a) => sliceKnown(x!, numbers(a.starts), numbers(a.steps), numbers(a.shape)),
  emit({ g, x, attrs, shape }) {
    const [starts, steps] = [numbers(attrs.starts), numbers(attrs.steps)];
    return op.slice(g, x(0), { starts, steps, ends: sliceEnds(starts, steps, shape) });
  },
};

/** The parts that a Split takes of its operand: where each begins and its shape. */
function partsOf(
  { shape }: Pick<Known, 'shape'>,
  { axis, sizes }: Emission['attrs'],
): { readonly starts: readonly number[]; readonly shape: readonly number[] }[] {
  let at = 0;
  return numbers(sizes).map((n) => {
    const starts = shape.map((_, i) => (i === axis ? at : 0));
    at += n;
    return { starts, shape: shape.with(axis as number, n) };
  });
}

const split: Operator = {
  infer(c) {
    const x = input(c, 0);
    const axis = axisOf(int(c, 'axis', 0), x.shape.length);
    const d = x.shape[axis]!;
    const count = c.node.outputs.length;
    const part = Math.ceil(d / (int(c, 'num_outputs', 0) || count));
    const sizes =
      list(c, 1, 'split') ?? c.node.outputs.map((_, i) => Math.max(0, Math.min(part, d - i * part)));
    if (sizes.length !== count || sizes.reduce((n, size) => n + size, 0) !== d)
      return refuse(say`it splits ${d} into [${sizes}]`);
    const outputs = sizes.map((n) => ({ dtype: x.dtype, shape: x.shape.with(axis, n) }));
    return { op: 'Split', inputs: [x], attrs: { axis, sizes }, outputs };
  },
  fold: ([x], a) => {
    const steps = x!.shape.map(() => 1);
    return partsOf(x!, a).map(({ starts, shape }) => sliceKnown(x!, starts, steps, shape));
  },
  emit: ({ g, x, node, attrs }) =>
    partsOf(node.inputs[0]!, attrs).map(({ starts, shape }) => {
      const steps = shape.map(() => 1);
      return op.slice(g, x(0), { starts, steps, ends: sliceEnds(starts, steps, shape) });
    }),
};

const concat: Operator = {
  infer(c) {
    const parts = c.inputs.map((_, i) => input(c, i));
    const first = parts[0] ?? refuse(say`it has no inputs`);
    const axis = axisOf(int(c, 'axis', 0), first.shape.length);
    const odd = parts.find(
      ({ shape }) =>
        shape.length !== first.shape.length || shape.some((d, i) => i !== axis && d !== first.shape[i]),
    );
    if (odd)
      fail('shape', say`Concat: [${first.shape}] and [${odd.shape}] cannot become one along axis ${axis}.`, {
        shapes: [first.shape, odd.shape],
      });
    const length = parts.reduce((n, p) => n + p.shape[axis]!, 0);
    return one('Concat', parts, { axis }, first.dtype, first.shape.with(axis, length));
  },
  fold(parts, { axis }, shape) {
    const { dtype } = parts[0]!;
    const inner = sizeOf(shape.slice((axis as number) + 1));
    const outer = sizeOf(shape.slice(0, axis as number));
    const data = allocate(dtype, shape);
    let at = 0;
    for (let o = 0; o < outer; o++) {
      for (const p of parts) {
        const run = p.shape[axis as number]! * inner;
        // Calls cost more than copying when the runs are short.
        if (run > 16) data.set(p.data.subarray(o * run, (o + 1) * run), at);
        else for (let i = 0; i < run; i++) data[at + i] = p.data[o * run + i]!;
        at += run;
      }
    }
    return { dtype, shape, data };
  },
  emit: ({ g, x, node, attrs }) =>
    op.concat(
      g,
      node.inputs.map((_, i) => x(i)),
      { axis: attrs.axis as number },
    ),
};

const transpose: Operator = {
  infer(c) {
    const x = input(c, 0);
    const perm = ints(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
    if (perm.length !== x.shape.length || perm.toSorted((a, b) => a - b).some((p, i) => p !== i))
      return refuse(say`it turns [${x.shape}] by [${perm}]`);
    const shape = perm.map((p) => x.shape[p]!);
    return one('Transpose', [x], { perm }, x.dtype, shape);
  },
  fold([x], { perm }, shape) {
    const strides = stridesOf(x!.shape);
    const turned = numbers(perm).map((p) => strides[p]!);
    return strided(x!, shape, turned);
  },
  emit: ({ g, x, attrs }) => op.transpose(g, x(0), { perm: numbers(attrs.perm) }),
};

type Shaped = { readonly shape: readonly number[] };
const gathered = (x: Shaped, ids: Shaped, axis: number): number[] => [
  ...x.shape.slice(0, axis),
  ...ids.shape,
  ...x.shape.slice(axis + 1),
];

const gather: Operator = {
  infer(c) {
    const [x, ids] = [input(c, 0), input(c, 1)];
    const axis = axisOf(int(c, 'axis', 0), x.shape.length);
    return one('Gather', [x, ids], { axis }, x.dtype, gathered(x, ids, axis));
  },
  fold([x, ids], attrs) {
    const axis = attrs.axis as number;
    const shape = gathered(x!, ids!, axis);
    const { dtype, data: from } = x!;
    const n = x!.shape[axis]!;
    const beyond = ids!.data.find((id) => id < -n || id >= n);
    if (beyond !== undefined) return refuse(say`it asks for row ${beyond} of ${n}`);
    const outer = sizeOf(x!.shape.slice(0, axis));
    const run = sizeOf(x!.shape.slice(axis + 1));
    const data = allocate(dtype, shape);
    let at = 0;
    for (let o = 0; o < outer; o++) {
      for (const id of ids!.data) {
        const first = (o * n + (id < 0 ? id + n : id)) * run;
        for (let i = 0; i < run; i++) data[at++] = from[first + i]!;
      }
    }
    return { dtype, shape, data };
  },
  emit({ g, x, node, attrs }) {
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
  },
};

const gatherElements: Operator = {
  infer(c) {
    const [x, ids] = [input(c, 0), input(c, 1)];
    const last = x.shape.length - 1;
    if (axisOf(int(c, 'axis', 0), x.shape.length) !== last)
      return refuse(say`it takes along another axis than the last`);
    if (x.shape.some((d, i) => i !== last && d !== ids.shape[i]))
      return refuse(say`its indices [${ids.shape}] leave out rows of [${x.shape}]`);
    return one('GatherElements', [x, ids], {}, x.dtype, ids.shape);
  },
  fold([x, ids], _, shape) {
    const [n, taken] = [x!.shape.at(-1)!, shape.at(-1)!];
    const data = allocate(x!.dtype, shape);
    for (let i = 0; i < data.length; i++) {
      const id = ids!.data[i]!;
      data[i] = x!.data[Math.floor(i / taken) * n + (id < 0 ? id + n : id)]!;
    }
    return { dtype: x!.dtype, shape, data };
  },
  /** Along the last axis. Rows of known indices that repeat over leading axes (DeBERTa's distances) are kept once. */
  emit({ g, x, node }) {
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
  },
};

/** Calls `visit` with the place of every tuple of indices of the leading axes of `x`, and of its run in `x`. */
function forEachTuple(x: Known, ids: Known, visit: (row: number, at: number, run: number) => void): void {
  const depth = ids.shape.at(-1)!;
  const strides = stridesOf(x.shape);
  const run = sizeOf(x.shape.slice(depth));
  const rows = sizeOf(ids.shape.slice(0, -1));
  for (let r = 0; r < rows; r++) {
    let at = 0;
    for (let d = 0; d < depth; d++) {
      const i = ids.data[r * depth + d]!;
      at += (i < 0 ? i + x.shape[d]! : i) * strides[d]!;
    }
    visit(r, at, run);
  }
}

const gatherNd: Operator = {
  infer(c) {
    const [x, ids] = [input(c, 0), input(c, 1)];
    if (int(c, 'batch_dims', 0) !== 0) return refuse(say`it has batch dimensions`);
    const depth = ids.shape.at(-1) ?? 0;
    if (depth < 1 || depth > x.shape.length)
      return refuse(say`its indices [${ids.shape}] are no places in [${x.shape}]`);
    const shape = [...ids.shape.slice(0, -1), ...x.shape.slice(depth)];
    return one('GatherND', [x, ids], {}, x.dtype, shape);
  },
  fold([x, ids], _, shape) {
    const data = allocate(x!.dtype, shape);
    forEachTuple(x!, ids!, (r, at, run) => data.set(x!.data.subarray(at, at + run), r * run));
    return { dtype: x!.dtype, shape, data };
  },
  /** Rows of the leading axes by tuples of indices (non-negative), as rows of one axis. */
  emit({ g, x, shape }) {
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
  },
};

const scatterNd: Operator = {
  infer(c) {
    if (text(c, 'reduction', 'none') !== 'none') return refuse(say`it reduces while scattering`);
    return alike('ScatterND', [input(c, 0), input(c, 1), input(c, 2)]);
  },
  fold([x, ids, updates], _, shape) {
    spend(sizeOf(ids!.shape.slice(0, -1)) * sizeOf(shape.slice(ids!.shape.at(-1)!)));
    const data = allocate(x!.dtype, shape);
    data.set(x!.data);
    forEachTuple(x!, ids!, (r, at, run) => {
      for (let i = 0; i < run; i++) data[at + i] = updates!.data[r * run + i]!;
    });
    return { dtype: x!.dtype, shape, data };
  },
};

/** True when `ids` names every element (or row) of a tensor of `shape` once and in order: the scatter writes all of it. */
export function coversAll(ids: Known, shape: readonly number[]): boolean {
  const depth = ids.shape.at(-1)!;
  const outer = shape.slice(0, depth);
  if (sizeOf(ids.shape.slice(0, -1)) !== sizeOf(outer)) return false;
  let whole = true;
  forEachIndex(outer, (index, flat) => {
    for (let d = 0; d < depth; d++) if (ids.data[flat * depth + d] !== index[d]) whole = false;
  });
  return whole;
}

/** Whether the place (row, column) is in the triangle that a Trilu keeps. */
const isKept = ({ k, upper }: Emission['attrs'], row: number, column: number): boolean =>
  upper ? column - row >= (k as number) : column - row <= (k as number);

const trilu: Operator = {
  infer(c) {
    const x = input(c, 0);
    const k = c.inputs[1] ? (c.inputs[1].known?.()[0] ?? refuse(say`its diagonal depends on the data`)) : 0;
    return alike('Trilu', [x], { k, upper: int(c, 'upper', 1) === 1 });
  },
  fold([x], attrs, shape) {
    const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
    const data = allocate(x!.dtype, shape);
    for (let i = 0; i < data.length; i++)
      if (isKept(attrs, Math.floor(i / columns) % rows, i % columns)) data[i] = x!.data[i]!;
    return { dtype: x!.dtype, shape, data };
  },
  emit({ g, x, attrs, shape }) {
    const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
    const inside = allocate('bool', [rows, columns]);
    for (let i = 0; i < inside.length; i++)
      inside[i] = Number(isKept(attrs, Math.floor(i / columns), i % columns));
    const kept = g.constant({ dtype: 'i32', shape: [rows, columns] }, Int32Array.from(inside), 'triangle');
    const v = x(0);
    return op.where(g, kept, v, numberLike(v, g, 0));
  },
};

/** Each axis d becomes [repeats, d]. */
const spread = (shape: readonly number[], repeats: readonly number[]): number[] =>
  shape.flatMap((d, i) => [repeats[i]!, d]);

const tile: Operator = {
  infer(c) {
    const x = input(c, 0);
    const repeats = list(c, 1, 'repeats') ?? refuse(say`it has no repeats`);
    if (repeats.length !== x.shape.length) return refuse(say`it repeats [${x.shape}] by [${repeats}]`);
    const shape = x.shape.map((d, i) => d * repeats[i]!);
    return one('Tile', [x], { repeats }, x.dtype, shape);
  },
  fold([x], { repeats }, shape) {
    const strides = stridesOf(x!.shape).flatMap((s) => [0, s]);
    return { ...strided(x!, spread(x!.shape, numbers(repeats)), strides), shape };
  },
  emit({ g, x, attrs, shape }): Value {
    const v = x(0);
    const apart = v.shape.flatMap((d) => [1, d]);
    const wide = op.expand(g, op.view(g, v, apart), { shape: spread(v.shape, numbers(attrs.repeats)) });
    return op.view(g, wide, shape);
  },
};

function countNonZero({ data }: Known): number {
  let count = 0;
  for (const x of data) if (x !== 0) count++;
  return count;
}

const nonZero: Operator = {
  infer(c) {
    const x = input(c, 0);
    if (!x.known) return refuse(say`its result depends on the data`);
    spend(sizeOf(x.shape));
    return one('NonZero', [x], {}, 'int64', [x.shape.length, countNonZero(toKnown(x))]);
  },
  fold([x], _, shape) {
    const [rank, count] = shape as [number, number];
    const data = allocate('int64', shape);
    let found = 0;
    forEachIndex(x!.shape, (index, flat) => {
      if (x!.data[flat] === 0) return;
      for (let d = 0; d < rank; d++) data[d * count + found] = index[d]!;
      found++;
    });
    return { dtype: 'int64', shape, data };
  },
};

function reshapeRule(c: Context): Inferred {
  const x = input(c, 0);
  const wanted = list(c, 1, 'shape') ?? refuse(say`it has no shape`);
  const shape = wanted.map((d, i) => (d === 0 && int(c, 'allowzero', 0) === 0 ? x.shape[i]! : d));
  const rest = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const free = shape.indexOf(-1);
  if (free >= 0) shape[free] = rest === 0 ? 0 : sizeOf(x.shape) / rest;
  if (sizeOf(shape) !== sizeOf(x.shape) || !shape.every(Number.isInteger))
    return refuse(say`[${x.shape}] cannot become [${wanted}]`);
  return reshape(x, shape);
}

function squeeze(c: Context): Inferred {
  const x = input(c, 0);
  const axes = list(c, 1, 'axes')?.map((a) => axisOf(a, x.shape.length));
  const shape = x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1));
  return reshape(x, shape);
}

function unsqueeze(c: Context): Inferred {
  const x = input(c, 0);
  const wanted = list(c, 1, 'axes') ?? refuse(say`it has no axes`);
  const rank = x.shape.length + wanted.length;
  const axes = new Set(wanted.map((a) => axisOf(a, rank)));
  if (axes.size < wanted.length) return refuse(say`it names an axis of [${wanted}] twice`);
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!));
  return reshape(x, shape);
}

function constantOfShape(c: Context): Inferred {
  const shape = list(c, 0, 'shape') ?? [];
  const a = c.node.attributes.get('value');
  const dtype = a?.kind === 'tensor' ? a.value.dtype : 'float32';
  const value = a?.kind === 'tensor' ? (tensorToNumbers(a.value, 'saturate')[0] ?? 0) : 0;
  const fill = knownValue('fill', { dtype, shape: [], data: Float64Array.of(value) });
  return one('Expand', [fill], { shape }, dtype, shape);
}

const range: Operator = {
  infer(c) {
    const [start, limit, delta] = [0, 1, 2].map(
      (i) => input(c, i).known?.()[0] ?? refuse(say`its bounds depend on the data`),
    ) as [number, number, number];
    const n = Math.max(0, Math.ceil((limit - start) / delta));
    const { dtype } = input(c, 0);
    return one('Range', [], { start, delta, dtype }, dtype, [n]);
  },
  fold(_, attrs, shape) {
    const [start, delta, dtype] = [attrs.start as number, attrs.delta as number, attrs.dtype as OnnxDType];
    const data = allocate(dtype, shape);
    for (let i = 0; i < data.length; i++) data[i] = start + i * delta;
    return { dtype, shape, data };
  },
};

/** Needs only the operand's shape, which is always known here. */
function shapeRule(c: Context): Inferred {
  const { shape } = input(c, 0);
  const rank = shape.length;
  const clamped = (at: number): number => Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
  const [start, end] = [clamped(int(c, 'start', 0)), clamped(int(c, 'end', rank))];
  return counts('shape', shape.slice(start, end));
}

function resize(c: Context): Inferred {
  const x = input(c, 0);
  const sizes = c.inputs[3]?.known?.();
  const scales = c.inputs[2]?.known?.();
  const shape = sizes
    ? [...sizes]
    : scales && scales.length === x.shape.length
      ? x.shape.map((d, i) => Math.floor(d * scales[i]!))
      : refuse(say`its size depends on the data`);
  if (shape.some((d, i) => d !== x.shape[i]))
    return refuse(say`it resizes [${x.shape}] to [${shape}]; use inputs of the model's own size`);
  // Every interpolation is the identity when the size stays.
  return reshape(x, x.shape);
}

const size = (x: IrValue): IrValue =>
  knownValue('size', { dtype: 'int64', shape: [], data: Float64Array.of(sizeOf(x.shape)) });

export const movement: Operators = {
  Reshape: {
    infer: reshapeRule,
    fold: ([x], _, shape) => ({ ...x!, shape }),
    emit: ({ g, x, shape }) => op.view(g, x(0), shape),
  },
  Shape: { infer: shapeRule },
  Size: { infer: (c) => reshape(size(input(c, 0)), []) },
  Squeeze: { infer: squeeze },
  Unsqueeze: { infer: unsqueeze },
  Flatten: {
    infer(c) {
      const x = input(c, 0);
      const axis = axisOf(int(c, 'axis', 1), x.shape.length, 'end');
      return reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
    },
  },
  Expand: {
    infer(c) {
      const x = input(c, 0);
      const shape = broadcastShapes('Expand', x.shape, list(c, 1, 'shape') ?? refuse(say`it has no shape`));
      return one('Expand', [x], { shape }, x.dtype, shape);
    },
    fold: ([x], _, shape) => stretched(x!, shape),
    emit: ({ g, x, shape }) => op.expand(g, x(0), { shape }),
  },
  ConstantOfShape: { infer: constantOfShape },
  Range: range,
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Gather: gather,
  GatherND: gatherNd,
  GatherElements: gatherElements,
  ScatterND: scatterNd,
  Trilu: trilu,
  Tile: tile,
  NonZero: nonZero,
  Resize: { infer: resize },
};
