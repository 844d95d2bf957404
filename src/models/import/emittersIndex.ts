/** Emitters of ops that look for places or select by computed ones: ArgMax, GatherND, GatherElements. */
import { sizeOf } from '../../graph/shape.ts';
import type { Value } from '../../graph/types.ts';
import * as op from '../../ops/index.ts';
import type { Emission } from './emitters.ts';
import { counted } from './room.ts';

/** The first place of the largest entry. Whole numbers are compared as floats: exact up to 2^24. */
export function argMax({ g, x, attrs, node }: Emission): Value {
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
export function gatherNd({ g, x, shape }: Emission): Value {
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
export function gatherElements({ g, x, node }: Emission): Value {
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
