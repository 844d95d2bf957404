/** Rules for ONNX ops that move, shape or select. */
import { broadcastShapes, sizeOf } from '../../graph/shape.ts';
import { fail } from '../../lib/errors.ts';
import { dtypeOfCode } from '../../onnx/dtype.ts';
import { tensorToNumbers } from '../../onnx/values.ts';
import { knownValue } from './folded.ts';
import type { Context, Lowered } from './lowering.ts';
import { axisOf, input, int, ints, list, one, refuse, reshape } from './lowering.ts';
import { allot } from './room.ts';

export function sliceRule(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  const starts = list(c, 1, 'starts') ?? refuse('it has no starts');
  const ends = list(c, 2, 'ends') ?? refuse('it has no ends');
  const axes = list(c, 3, 'axes') ?? starts.map((_, i) => i);
  const steps = list(c, 4, 'steps') ?? starts.map(() => 1);
  const from = x.shape.map(() => 0);
  const by = x.shape.map(() => 1);
  const shape = [...x.shape];
  if ([starts, ends, steps].some(({ length }) => length !== axes.length) || steps.includes(0))
    return refuse(`it takes from [${starts}] to [${ends}] by [${steps}] along [${axes}]`);
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
}

export function splitRule(c: Context): Lowered {
  const x = input(c, 0);
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const d = x.shape[axis]!;
  const count = c.node.outputs.length;
  const part = Math.ceil(d / (int(c, 'num_outputs', 0) || count));
  const sizes =
    list(c, 1, 'split') ?? c.node.outputs.map((_, i) => Math.max(0, Math.min(part, d - i * part)));
  if (sizes.length !== count || sizes.reduce((n, size) => n + size, 0) !== d)
    return refuse(`it splits ${d} into [${sizes}]`);
  const outputs = sizes.map((n) => ({ dtype: x.dtype, shape: x.shape.map((s, i) => (i === axis ? n : s)) }));
  return { op: 'Split', inputs: [x], attrs: { axis, sizes }, outputs };
}

export function reshapeRule(c: Context): Lowered {
  const x = input(c, 0);
  const wanted = list(c, 1, 'shape') ?? refuse('it has no shape');
  const shape = wanted.map((d, i) => (d === 0 && int(c, 'allowzero', 0) === 0 ? x.shape[i]! : d));
  const rest = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const free = shape.indexOf(-1);
  if (free >= 0) shape[free] = rest === 0 ? 0 : sizeOf(x.shape) / rest;
  if (sizeOf(shape) !== sizeOf(x.shape) || !shape.every(Number.isInteger))
    return refuse(`[${x.shape}] cannot become [${wanted}]`);
  return reshape(x, shape);
}

export function squeeze(c: Context): Lowered {
  const x = input(c, 0);
  const axes = list(c, 1, 'axes')?.map((a) => axisOf(a, x.shape.length));
  return reshape(
    x,
    x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1)),
  );
}

export function unsqueeze(c: Context): Lowered {
  const x = input(c, 0);
  const given = list(c, 1, 'axes') ?? refuse('it has no axes');
  const rank = x.shape.length + given.length;
  const axes = new Set(given.map((a) => axisOf(a, rank)));
  if (axes.size < given.length) return refuse(`it names an axis of [${given}] twice`);
  const rest = [...x.shape];
  return reshape(
    x,
    Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!)),
  );
}

export function expandRule(c: Context): Lowered {
  const x = input(c, 0);
  const wanted = list(c, 1, 'shape') ?? refuse('it has no shape');
  const shape = broadcastShapes('Expand', x.shape, wanted);
  return one('Expand', [x], { shape }, x.dtype, shape);
}

export function castRule(c: Context): Lowered {
  const x = input(c, 0);
  const to = dtypeOfCode(int(c, 'to', 1)) ?? refuse('it casts to an unknown type');
  return one('Cast', [x], { to }, to, x.shape);
}

export function constantOfShape(c: Context): Lowered {
  const shape = list(c, 0, 'shape') ?? [];
  const a = c.node.attributes.get('value');
  const dtype = a?.kind === 'tensor' ? a.value.dtype : 'float32';
  const value = a?.kind === 'tensor' ? (tensorToNumbers(a.value, 'saturate')[0] ?? 0) : 0;
  const fill = knownValue('fill', { dtype, shape: [], data: Float64Array.of(value) });
  return one('Expand', [fill], { shape }, dtype, shape);
}

export function range(c: Context): Lowered {
  const [start, limit, delta] = [0, 1, 2].map(
    (i) => input(c, i).known?.()[0] ?? refuse('its bounds depend on the data'),
  ) as [number, number, number];
  const n = Math.max(0, Math.ceil((limit - start) / delta));
  const { dtype } = input(c, 0);
  const data = allot(dtype, [n]);
  for (let i = 0; i < n; i++) data[i] = start + i * delta;
  return reshape(knownValue('range', { dtype, shape: [n], data }), [n]);
}

export function transposeRule(c: Context): Lowered {
  const x = input(c, 0);
  const perm = ints(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  if (perm.length !== x.shape.length || perm.toSorted((a, b) => a - b).some((p, i) => p !== i))
    return refuse(`it turns [${x.shape}] by [${perm}]`);
  return one(
    'Transpose',
    [x],
    { perm },
    x.dtype,
    perm.map((p) => x.shape[p]!),
  );
}

export function gather(c: Context): Lowered {
  const [x, ids] = [input(c, 0), input(c, 1)];
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...ids.shape, ...x.shape.slice(axis + 1)];
  return one('Gather', [x, ids], { axis }, x.dtype, shape);
}

export function gatherElements(c: Context): Lowered {
  const [x, ids] = [input(c, 0), input(c, 1)];
  const last = x.shape.length - 1;
  if (axisOf(int(c, 'axis', 0), x.shape.length) !== last)
    return refuse('it takes along another axis than the last');
  if (x.shape.some((d, i) => i !== last && d !== ids.shape[i]))
    return refuse(`its indices [${ids.shape}] leave out rows of [${x.shape}]`);
  return one('GatherElements', [x, ids], {}, x.dtype, ids.shape);
}

export function gatherNd(c: Context): Lowered {
  const [x, ids] = [input(c, 0), input(c, 1)];
  if (int(c, 'batch_dims', 0) !== 0) return refuse('it has batch dimensions');
  return one('GatherND', [x, ids], {}, x.dtype, [
    ...ids.shape.slice(0, -1),
    ...x.shape.slice(ids.shape.at(-1)!),
  ]);
}

export function concatRule(c: Context): Lowered {
  const parts = c.inputs.map((_, i) => input(c, i));
  const first = parts[0] ?? refuse('it has no inputs');
  const axis = axisOf(int(c, 'axis', 0), first.shape.length);
  const odd = parts.find(
    ({ shape }) =>
      shape.length !== first.shape.length || shape.some((d, i) => i !== axis && d !== first.shape[i]),
  );
  if (odd) fail('shape', `Concat: [${first.shape}] and [${odd.shape}] cannot become one along axis ${axis}.`);
  const shape = first.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + p.shape[axis]!, 0) : d));
  return one('Concat', parts, { axis }, first.dtype, shape);
}

export function trilu(c: Context): Lowered {
  const x = input(c, 0);
  const k = c.inputs[1] ? (c.inputs[1].known?.()[0] ?? refuse('its diagonal depends on the data')) : 0;
  return one('Trilu', [x], { k, upper: int(c, 'upper', 1) === 1 }, x.dtype, x.shape);
}

export function tile(c: Context): Lowered {
  const x = input(c, 0);
  const repeats = list(c, 1, 'repeats') ?? refuse('it has no repeats');
  if (repeats.length !== x.shape.length) return refuse(`it repeats [${x.shape}] by [${repeats}]`);
  return one(
    'Tile',
    [x],
    { repeats },
    x.dtype,
    x.shape.map((d, i) => d * repeats[i]!),
  );
}

/** Shape and Size need only the operand's shape, which is always known here. */
export function shapeRule(c: Context): Lowered {
  const { shape } = input(c, 0);
  const rank = shape.length;
  const clamped = (at: number): number => Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
  const [start, end] = [clamped(int(c, 'start', 0)), clamped(int(c, 'end', rank))];
  const dims = shape.slice(start, end);
  const data = Float64Array.from(dims);
  return reshape(knownValue('shape', { dtype: 'int64', shape: [dims.length], data }), [dims.length]);
}
