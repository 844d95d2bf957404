/** Constant folding of ops that select, move, count or reduce. All axes are normalised (not negative) by the caller. */
import { sameShape, sizeOf, stridesOf } from '../../graph/shape.ts';
import { broadcastData, rounding, strided } from './evaluate.ts';
import type { Known } from './folded.ts';
import { allot, work } from './room.ts';

export const reshaped = (x: Known, shape: readonly number[]): Known => ({
  dtype: x.dtype,
  shape,
  data: x.data,
});

/** Visits every index of `shape` in row-major order. */
function forEachIndex(shape: readonly number[], f: (index: readonly number[], flat: number) => void): void {
  const index = shape.map(() => 0);
  const size = sizeOf(shape);
  // A call for each is dearer than a copy.
  work(6 * size);
  for (let o = 0; o < size; o++) {
    f(index, o);
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++index[d]! < shape[d]!) break;
      index[d] = 0;
    }
  }
}

export function transpose(x: Known, perm: readonly number[]): Known {
  const strides = stridesOf(x.shape);
  const shape = perm.map((p) => x.shape[p]!);
  const turned = perm.map((p) => strides[p]!);
  return strided(x, shape, turned);
}

export const expand = (x: Known, shape: readonly number[]): Known => ({
  dtype: x.dtype,
  shape,
  data: broadcastData(x, shape),
});

export function slice(
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

export function concat(parts: readonly Known[], axis: number): Known {
  const first = parts[0]!;
  const shape = first.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + p.shape[axis]!, 0) : d));
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const data = allot(first.dtype, shape);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const p of parts) {
      const run = p.shape[axis]! * inner;
      // Calls cost more than copying when the runs are short.
      if (run > 16) data.set(p.data.subarray(o * run, (o + 1) * run), at);
      else for (let i = 0; i < run; i++) data[at + i] = p.data[o * run + i]!;
      at += run;
    }
  }
  return { dtype: first.dtype, shape, data };
}

export function gather(x: Known, ids: Known, axis: number): Known {
  const n = x.shape[axis]!;
  const outer = sizeOf(x.shape.slice(0, axis));
  const run = sizeOf(x.shape.slice(axis + 1));
  const shape = [...x.shape.slice(0, axis), ...ids.shape, ...x.shape.slice(axis + 1)];
  const data = allot(x.dtype, shape);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const id of ids.data) {
      const from = (o * n + (id < 0 ? id + n : id)) * run;
      for (let i = 0; i < run; i++) data[at++] = x.data[from + i]!;
    }
  }
  return { dtype: x.dtype, shape, data };
}

/** Entries of the last axis, row by row. */
export function gatherElements(x: Known, ids: Known): Known {
  const [length, taken] = [x.shape.at(-1)!, ids.shape.at(-1)!];
  const data = allot(x.dtype, ids.shape);
  ids.data.forEach((id, i) => {
    data[i] = x.data[Math.floor(i / taken) * length + (id < 0 ? id + length : id)]!;
  });
  return { dtype: x.dtype, shape: ids.shape, data };
}

export function gatherNd(x: Known, ids: Known): Known {
  const depth = ids.shape.at(-1)!;
  const strides = stridesOf(x.shape);
  const run = sizeOf(x.shape.slice(depth));
  const rows = sizeOf(ids.shape.slice(0, -1));
  const shape = [...ids.shape.slice(0, -1), ...x.shape.slice(depth)];
  const data = allot(x.dtype, shape);
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
  const rows = sizeOf(ids.shape.slice(0, -1));
  work(rows * run);
  const data = allot(x.dtype, x.shape);
  data.set(x.data);
  for (let r = 0; r < rows; r++) {
    let at = 0;
    for (let d = 0; d < depth; d++) {
      const i = ids.data[r * depth + d]!;
      at += (i < 0 ? i + x.shape[d]! : i) * strides[d]!;
    }
    for (let i = 0; i < run; i++) data[at + i] = updates.data[r * run + i]!;
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
  const data = allot(x.dtype, x.shape);
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
  const data = allot(x.dtype, x.shape);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let t = 0; t < n; t++) {
        const at = (o * n + (reverse ? n - 1 - t : t)) * inner + i;
        const before = sum;
        sum += x.data[at]!;
        data[at] = rounding(x.dtype)(exclusive ? before : sum);
      }
    }
  }
  return { dtype: x.dtype, shape: x.shape, data };
}

export function tile(x: Known, repeats: readonly number[]): Known {
  // Each axis d becomes [repeats, d] with stride 0 for the repeats.
  const spread = x.shape.flatMap((d, i) => [repeats[i]!, d]);
  const { data } = strided(
    x,
    spread,
    stridesOf(x.shape).flatMap((s) => [0, s]),
  );
  return { dtype: x.dtype, shape: x.shape.map((d, i) => d * repeats[i]!), data };
}

export function countNonZero({ data }: Known): number {
  let count = 0;
  for (const x of data) if (x !== 0) count++;
  return count;
}

export function nonZero(x: Known): Known {
  const rank = x.shape.length;
  const shape = [rank, countNonZero(x)];
  const data = allot('int64', shape);
  let found = 0;
  forEachIndex(x.shape, (index, flat) => {
    if (x.data[flat] === 0) return;
    for (let d = 0; d < rank; d++) data[d * shape[1]! + found] = index[d]!;
    found++;
  });
  return { dtype: 'int64', shape, data };
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
  const sums = allot('double', kept).fill(start);
  const f = reducers[fn]!;
  forEachIndex(x.shape, (index, flat) => {
    let at = 0;
    for (let d = 0; d < index.length; d++) if (kept[d] !== 1) at += index[d]! * strides[d]!;
    sums[at] = f(sums[at]!, x.data[flat]!);
  });
  const count = sizeOf(axes.map((a) => x.shape[a]!));
  const data = allot(x.dtype, kept);
  const round = rounding(x.dtype);
  for (let i = 0; i < data.length; i++) data[i] = round(fn === 'mean' ? sums[i]! / count : sums[i]!);
  return { dtype: x.dtype, shape: keepdims ? kept : x.shape.filter((_, i) => !axes.includes(i)), data };
}

export function argMax(x: Known, axis: number, keepdims: boolean): Known {
  const inner = sizeOf(x.shape.slice(axis + 1));
  const n = x.shape[axis]!;
  const outer = sizeOf(x.shape.slice(0, axis));
  const shape = x.shape.map((d, i) => (i === axis ? 1 : d)).filter((_, i) => keepdims || i !== axis);
  const data = allot('int64', shape);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      let best = 0;
      for (let t = 1; t < n; t++) {
        if (x.data[(o * n + t) * inner + i]! > x.data[(o * n + best) * inner + i]!) best = t;
      }
      data[o * inner + i] = best;
    }
  }
  return { dtype: 'int64', shape, data };
}
