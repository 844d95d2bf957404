/** Constant folding of ops that select, move, count or reduce. All axes are normalised (not negative) by the caller. */
import { sizeOf, stridesOf } from '../../graph/shape.ts';
import { forEachBroadcast, roundTo } from './evaluate.ts';
import type { Known } from './folded.ts';

export const reshaped = (x: Known, shape: readonly number[]): Known => ({
  dtype: x.dtype,
  shape,
  data: x.data,
});

/** Visits every index of `shape` in row-major order. */
function forEachIndex(shape: readonly number[], f: (index: readonly number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  for (let o = 0; o < size; o++) {
    f(index, o);
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++index[d]! < shape[d]!) break;
      index[d] = 0;
    }
  }
}

/** Result of `shape` whose element at `index` is `x` at the flat position `at(index)`. */
function pick(x: Known, shape: readonly number[], at: (index: readonly number[]) => number): Known {
  const data = new Float64Array(sizeOf(shape));
  forEachIndex(shape, (index, o) => {
    data[o] = x.data[at(index)]!;
  });
  return { dtype: x.dtype, shape, data };
}

export function transpose(x: Known, perm: readonly number[]): Known {
  const strides = stridesOf(x.shape);
  return pick(
    x,
    perm.map((p) => x.shape[p]!),
    (index) => perm.reduce((n, p, i) => n + index[i]! * strides[p]!, 0),
  );
}

export function expand(x: Known, shape: readonly number[]): Known {
  const data = new Float64Array(sizeOf(shape));
  forEachBroadcast(shape, [x.shape], (o, at) => {
    data[o] = x.data[at[0]!]!;
  });
  return { dtype: x.dtype, shape, data };
}

export function slice(
  x: Known,
  starts: readonly number[],
  steps: readonly number[],
  shape: readonly number[],
): Known {
  const strides = stridesOf(x.shape);
  return pick(x, shape, (index) =>
    index.reduce((n, i, d) => n + (starts[d]! + i * steps[d]!) * strides[d]!, 0),
  );
}

export function concat(parts: readonly Known[], axis: number): Known {
  const first = parts[0]!;
  const shape = first.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + p.shape[axis]!, 0) : d));
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const data = new Float64Array(sizeOf(shape));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const p of parts) {
      const run = p.shape[axis]! * inner;
      data.set(p.data.subarray(o * run, (o + 1) * run), at);
      at += run;
    }
  }
  return { dtype: first.dtype, shape, data };
}

export function gather(x: Known, ids: Known, axis: number): Known {
  const strides = stridesOf(x.shape);
  const rank = ids.shape.length;
  const idStrides = stridesOf(ids.shape);
  const shape = [...x.shape.slice(0, axis), ...ids.shape, ...x.shape.slice(axis + 1)];
  return pick(x, shape, (index) => {
    let at = 0;
    for (let d = 0; d < axis; d++) at += index[d]! * strides[d]!;
    let id = 0;
    for (let d = 0; d < rank; d++) id += index[axis + d]! * idStrides[d]!;
    const i = ids.data[id]!;
    at += (i < 0 ? i + x.shape[axis]! : i) * strides[axis]!;
    for (let d = axis + 1; d < x.shape.length; d++) at += index[d + rank - 1]! * strides[d]!;
    return at;
  });
}

export function gatherNd(x: Known, ids: Known): Known {
  const depth = ids.shape.at(-1)!;
  const strides = stridesOf(x.shape);
  const run = sizeOf(x.shape.slice(depth));
  const rows = sizeOf(ids.shape.slice(0, -1));
  const shape = [...ids.shape.slice(0, -1), ...x.shape.slice(depth)];
  const data = new Float64Array(rows * run);
  for (let r = 0; r < rows; r++) {
    let at = 0;
    for (let d = 0; d < depth; d++) {
      const i = ids.data[r * depth + d]!;
      at += (i < 0 ? i + x.shape[d]! : i) * strides[d]!;
    }
    data.set(x.data.subarray(at, at + run), r * run);
  }
  return { dtype: x.dtype, shape, data };
}

export function scatterNd(x: Known, ids: Known, updates: Known): Known {
  const depth = ids.shape.at(-1)!;
  const strides = stridesOf(x.shape);
  const run = sizeOf(x.shape.slice(depth));
  const data = Float64Array.from(x.data);
  const rows = sizeOf(ids.shape.slice(0, -1));
  for (let r = 0; r < rows; r++) {
    let at = 0;
    for (let d = 0; d < depth; d++) {
      const i = ids.data[r * depth + d]!;
      at += (i < 0 ? i + x.shape[d]! : i) * strides[d]!;
    }
    data.set(updates.data.subarray(r * run, (r + 1) * run), at);
  }
  return { dtype: x.dtype, shape: x.shape, data };
}

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

export function trilu(x: Known, k: number, upper: boolean): Known {
  const rows = x.shape.at(-2)!;
  const columns = x.shape.at(-1)!;
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) {
    const c = i % columns;
    const r = Math.floor(i / columns) % rows;
    if (upper ? c - r >= k : c - r <= k) data[i] = x.data[i]!;
  }
  return { dtype: x.dtype, shape: x.shape, data };
}

export function cumSum(x: Known, axis: number, exclusive: boolean, reverse: boolean): Known {
  const inner = sizeOf(x.shape.slice(axis + 1));
  const n = x.shape[axis]!;
  const outer = sizeOf(x.shape.slice(0, axis));
  const data = new Float64Array(x.data.length);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let t = 0; t < n; t++) {
        const at = (o * n + (reverse ? n - 1 - t : t)) * inner + i;
        const before = sum;
        sum += x.data[at]!;
        data[at] = roundTo(x.dtype, exclusive ? before : sum);
      }
    }
  }
  return { dtype: x.dtype, shape: x.shape, data };
}

export function tile(x: Known, repeats: readonly number[]): Known {
  const strides = stridesOf(x.shape);
  return pick(
    x,
    x.shape.map((d, i) => d * repeats[i]!),
    (index) => index.reduce((n, i, d) => n + (i % x.shape[d]!) * strides[d]!, 0),
  );
}

export function nonZero(x: Known): Known {
  const found: number[][] = [];
  forEachIndex(x.shape, (index, flat) => {
    if (x.data[flat] !== 0) found.push([...index]);
  });
  const rank = x.shape.length;
  const data = new Float64Array(rank * found.length);
  found.forEach((index, j) => {
    for (let d = 0; d < rank; d++) data[d * found.length + j] = index[d]!;
  });
  return { dtype: 'int64', shape: [rank, found.length], data };
}

const reducers: Readonly<Record<string, (acc: number, x: number) => number>> = {
  sum: (acc, x) => acc + x,
  mean: (acc, x) => acc + x,
  max: Math.max,
  min: Math.min,
  prod: (acc, x) => acc * x,
};

export function reduce(x: Known, fn: string, axes: readonly number[], keepdims: boolean): Known {
  const kept = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const strides = stridesOf(kept);
  const start =
    fn === 'max' ? Number.NEGATIVE_INFINITY : fn === 'min' ? Number.POSITIVE_INFINITY : fn === 'prod' ? 1 : 0;
  const data = new Float64Array(sizeOf(kept)).fill(start);
  const f = reducers[fn]!;
  forEachIndex(x.shape, (index, flat) => {
    let at = 0;
    for (let d = 0; d < index.length; d++) if (kept[d] !== 1) at += index[d]! * strides[d]!;
    data[at] = f(data[at]!, x.data[flat]!);
  });
  const count = sizeOf(axes.map((a) => x.shape[a]!));
  for (let i = 0; i < data.length; i++)
    data[i] = roundTo(x.dtype, fn === 'mean' ? data[i]! / count : data[i]!);
  return { dtype: x.dtype, shape: keepdims ? kept : x.shape.filter((_, i) => !axes.includes(i)), data };
}

export function argMax(x: Known, axis: number, keepdims: boolean): Known {
  const inner = sizeOf(x.shape.slice(axis + 1));
  const n = x.shape[axis]!;
  const outer = sizeOf(x.shape.slice(0, axis));
  const data = new Float64Array(outer * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let best = 0;
      for (let t = 1; t < n; t++) {
        if (x.data[(o * n + t) * inner + i]! > x.data[(o * n + best) * inner + i]!) best = t;
      }
      data[o * inner + i] = best;
    }
  }
  const shape = x.shape.map((d, i) => (i === axis ? 1 : d)).filter((_, i) => keepdims || i !== axis);
  return { dtype: 'int64', shape, data };
}
