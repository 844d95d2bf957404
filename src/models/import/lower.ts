/**
 * Brings one ONNX node of any opset (11 to 21) into the importer's canonical spelling: shapes, axes and permutations become whole,
 * non-negative attributes, optional forms are filled in, and the result's type is known. This table says which ONNX ops exist here at
 * all; whether an op can also run on the GPU is the emitter's business.
 */
import { broadcastShapes, sizeOf } from '../../graph/shape.ts';
import { dtypeOfCode } from '../../onnx/dtype.ts';
import type { OnnxDType, OnnxNode } from '../../onnx/types.ts';
import { tensorToNumbers } from '../../onnx/values.ts';
import { binaryFns, comparisons, unaryFns } from './evaluate.ts';
import type { Attr, FoldedValue } from './folded.ts';
import { knownValue } from './folded.ts';

export interface Lowered {
  readonly op: string;
  readonly inputs: readonly (FoldedValue | null)[];
  readonly attrs: Readonly<Record<string, Attr>>;
  readonly outputs: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[];
}

/** Why a node cannot be imported. */
export interface Refusal {
  readonly refusal: string;
}

interface Context {
  readonly node: OnnxNode;
  readonly inputs: readonly (FoldedValue | null)[];
  readonly opset: number;
}

class Refused extends Error {}

const refuse = (reason: string): never => {
  throw new Refused(reason);
};

export function lower(context: Context): Lowered | Refusal {
  const rule = context.node.domain === '' ? rules[context.node.opType] : undefined;
  if (!rule) return { refusal: 'the operator is not supported' };
  try {
    return rule(context);
  } catch (error) {
    if (error instanceof Refused) return { refusal: error.message };
    throw error;
  }
}

const int = (c: Context, name: string, otherwise: number): number => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'int' ? a.value : otherwise;
};
const float = (c: Context, name: string, otherwise: number): number => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'float' || a?.kind === 'int' ? a.value : otherwise;
};
const text = (c: Context, name: string, otherwise: string): string => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'string' ? a.value : otherwise;
};
const ints = (c: Context, name: string): readonly number[] | null => {
  const a = c.node.attributes.get(name);
  return a?.kind === 'ints' ? a.value : null;
};
const input = (c: Context, i: number): FoldedValue => c.inputs[i] ?? refuse(`input ${i} is missing`);

/** A list that newer opsets give as input `i` and older ones as attribute `name`. */
function list(c: Context, i: number, name: string): readonly number[] | null {
  const attribute = ints(c, name);
  if (attribute) return attribute;
  const v = c.inputs[i];
  if (!v) return null;
  if (!v.known) return refuse(`its ${name} depend on the data`);
  return [...v.known()];
}

const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

const _same = (x: FoldedValue): { dtype: OnnxDType; shape: readonly number[] } => ({
  dtype: x.dtype,
  shape: x.shape,
});

function one(
  op: string,
  inputs: readonly (FoldedValue | null)[],
  attrs: Readonly<Record<string, Attr>>,
  dtype: OnnxDType,
  shape: readonly number[],
): Lowered {
  return { op, inputs, attrs, outputs: [{ dtype, shape }] };
}

const reshape = (x: FoldedValue, shape: readonly number[]): Lowered =>
  one('Reshape', [x], { shape }, x.dtype, shape);

function reduce(fn: string): (c: Context) => Lowered {
  return (c) => {
    const x = input(c, 0);
    const given = list(c, 1, 'axes');
    if ((!given || given.length === 0) && int(c, 'noop_with_empty_axes', 0) === 1) return reshape(x, x.shape);
    const rank = x.shape.length;
    const axes = (given && given.length > 0 ? given : x.shape.map((_, i) => i))
      .map((a) => axisOf(a, rank))
      .sort((a, b) => a - b);
    const keepdims = int(c, 'keepdims', 1) === 1;
    const shape = keepdims
      ? x.shape.map((d, i) => (axes.includes(i) ? 1 : d))
      : x.shape.filter((_, i) => !axes.includes(i));
    return one('Reduce', [x], { fn, axes, keepdims }, x.dtype, shape);
  };
}

/** Sum, Min and Max take any number of operands; they become a chain only when there are two. */
function variadic(op: string): (c: Context) => Lowered {
  return (c) => {
    if (c.inputs.length === 1) return reshape(input(c, 0), input(c, 0).shape);
    if (c.inputs.length !== 2) return refuse(`it has ${c.inputs.length} operands; two are supported`);
    const [a, b] = [input(c, 0), input(c, 1)];
    return one(op, [a, b], {}, a.dtype, broadcastShapes(op, a.shape, b.shape));
  };
}

function conv(c: Context): Lowered {
  const [x, w] = [input(c, 0), input(c, 1)];
  const spatial = w.shape.length - 2;
  if (spatial !== 2) return refuse(`it is a convolution over ${spatial} dimension(s); two are supported`);
  if (int(c, 'group', 1) !== 1) return refuse('it is a grouped convolution');
  if ((ints(c, 'dilations') ?? []).some((d) => d !== 1)) return refuse('it is a dilated convolution');
  const stride = ints(c, 'strides') ?? [1, 1];
  const auto = text(c, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') return refuse(`it pads by ${auto}`);
  const pads = ints(c, 'pads') ?? [0, 0, 0, 0];
  const kernel = w.shape.slice(2);
  const out = kernel.map(
    (k, i) => Math.floor((x.shape[2 + i]! + pads[i]! + pads[2 + i]! - k) / stride[i]!) + 1,
  );
  return one('Conv', [x, w, c.inputs[2] ?? null], { kernel, stride, pads }, x.dtype, [
    x.shape[0]!,
    w.shape[0]!,
    ...out,
  ]);
}

function resize(c: Context): Lowered {
  const x = input(c, 0);
  const sizes = c.inputs[3]?.known?.();
  const scales = c.inputs[2]?.known?.();
  const shape = sizes
    ? [...sizes]
    : scales && scales.length === x.shape.length
      ? x.shape.map((d, i) => Math.floor(d * scales[i]!))
      : refuse('its size depends on the data');
  if (shape.some((d, i) => d !== x.shape[i]))
    return refuse(`it resizes [${x.shape}] to [${shape}]; use inputs of the model's own size`);
  // Every interpolation is the identity when the size stays.
  return reshape(x, x.shape);
}

function gemm(c: Context): Lowered {
  const [a, b] = [input(c, 0), input(c, 1)];
  const transA = int(c, 'transA', 0) === 1;
  const transB = int(c, 'transB', 0) === 1;
  const m = a.shape[transA ? 1 : 0]!;
  const n = b.shape[transB ? 0 : 1]!;
  const attrs = { transA, transB, alpha: float(c, 'alpha', 1), beta: float(c, 'beta', 1) };
  return one('Gemm', [a, b, c.inputs[2] ?? null], attrs, a.dtype, [m, n]);
}

function matmul(c: Context): Lowered {
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a.shape.length < 2 || b.shape.length < 2) return refuse('it multiplies by a vector');
  if (a.shape.at(-1) !== b.shape.at(-2))
    return refuse(`its shapes [${a.shape}] and [${b.shape}] do not go together`);
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  return one('MatMul', [a, b], {}, a.dtype, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

function sliceRule(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  const starts = list(c, 1, 'starts') ?? refuse('it has no starts');
  const ends = list(c, 2, 'ends') ?? refuse('it has no ends');
  const axes = list(c, 3, 'axes') ?? starts.map((_, i) => i);
  const steps = list(c, 4, 'steps') ?? starts.map(() => 1);
  const from = x.shape.map(() => 0);
  const by = x.shape.map(() => 1);
  const shape = [...x.shape];
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

function splitRule(c: Context): Lowered {
  const x = input(c, 0);
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const d = x.shape[axis]!;
  const count = c.node.outputs.length;
  const part = Math.ceil(d / (int(c, 'num_outputs', 0) || count));
  const sizes = list(c, 1, 'split') ?? c.node.outputs.map((_, i) => Math.min(part, d - i * part));
  const outputs = sizes.map((n) => ({ dtype: x.dtype, shape: x.shape.map((s, i) => (i === axis ? n : s)) }));
  return { op: 'Split', inputs: [x], attrs: { axis, sizes }, outputs };
}

function reshapeRule(c: Context): Lowered {
  const x = input(c, 0);
  const wanted = list(c, 1, 'shape') ?? refuse('it has no shape');
  const shape = wanted.map((d, i) => (d === 0 && int(c, 'allowzero', 0) === 0 ? x.shape[i]! : d));
  const rest = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  const free = shape.indexOf(-1);
  if (free >= 0) shape[free] = rest === 0 ? 0 : sizeOf(x.shape) / rest;
  if (sizeOf(shape) !== sizeOf(x.shape)) return refuse(`[${x.shape}] cannot become [${wanted}]`);
  return reshape(x, shape);
}

function squeeze(c: Context): Lowered {
  const x = input(c, 0);
  const axes = list(c, 1, 'axes')?.map((a) => axisOf(a, x.shape.length));
  return reshape(
    x,
    x.shape.filter((d, i) => (axes ? !axes.includes(i) : d !== 1)),
  );
}

function unsqueeze(c: Context): Lowered {
  const x = input(c, 0);
  const given = list(c, 1, 'axes') ?? refuse('it has no axes');
  const rank = x.shape.length + given.length;
  const axes = given.map((a) => axisOf(a, rank));
  const rest = [...x.shape];
  return reshape(
    x,
    Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
  );
}

function softmax(op: string): (c: Context) => Lowered {
  return (c) => {
    const x = input(c, 0);
    const rank = x.shape.length;
    const axis = axisOf(int(c, 'axis', c.opset >= 13 ? -1 : 1), rank);
    // Before opset 13 everything from `axis` on is one row.
    if (c.opset < 13 && x.shape.slice(axis).filter((d) => d !== 1).length > 1 && axis !== rank - 1) {
      return refuse('it normalises over several axes at once');
    }
    return one(op, [x], { axis }, x.dtype, x.shape);
  };
}

function expandRule(c: Context): Lowered {
  const x = input(c, 0);
  const wanted = list(c, 1, 'shape') ?? refuse('it has no shape');
  const shape = broadcastShapes('Expand', x.shape, wanted);
  return one('Expand', [x], { shape }, x.dtype, shape);
}

function castRule(c: Context): Lowered {
  const x = input(c, 0);
  const to = dtypeOfCode(int(c, 'to', 1)) ?? refuse('it casts to an unknown type');
  return one('Cast', [x], { to }, to, x.shape);
}

function constantOfShape(c: Context): Lowered {
  const shape = list(c, 0, 'shape') ?? [];
  const a = c.node.attributes.get('value');
  const dtype = a?.kind === 'tensor' ? a.value.dtype : 'float32';
  const value = a?.kind === 'tensor' ? (tensorToNumbers(a.value, 'saturate')[0] ?? 0) : 0;
  const fill = knownValue('fill', { dtype, shape: [], data: Float64Array.of(value) });
  return one('Expand', [fill], { shape }, dtype, shape);
}

function range(c: Context): Lowered {
  const [start, limit, delta] = [0, 1, 2].map(
    (i) => input(c, i).known?.()[0] ?? refuse('its bounds depend on the data'),
  ) as [number, number, number];
  const n = Math.max(0, Math.ceil((limit - start) / delta));
  const { dtype } = input(c, 0);
  const x = knownValue('range', {
    dtype,
    shape: [n],
    data: Float64Array.from({ length: n }, (_, i) => start + i * delta),
  });
  return reshape(x, [n]);
}

function clip(c: Context): Lowered {
  const x = input(c, 0);
  const bound = (i: number, name: string, otherwise: number): number => {
    const v = c.inputs[i];
    if (!v) return float(c, name, otherwise);
    return v.known?.()[0] ?? refuse('its bounds depend on the data');
  };
  const attrs = {
    min: bound(1, 'min', Number.NEGATIVE_INFINITY),
    max: bound(2, 'max', Number.POSITIVE_INFINITY),
  };
  return one('Clip', [x], attrs, x.dtype, x.shape);
}

function layerNorm(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  if (axisOf(int(c, 'axis', -1), rank) !== rank - 1)
    return refuse('it normalises over more than the last axis');
  const attrs = { eps: float(c, 'epsilon', 1e-5) };
  return one('LayerNorm', [x, input(c, 1), c.inputs[2] ?? null], attrs, x.dtype, x.shape);
}

function rmsNorm(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  if (axisOf(int(c, 'axis', -1), rank) !== rank - 1)
    return refuse('it normalises over more than the last axis');
  return one('RmsNorm', [x, input(c, 1)], { eps: float(c, 'epsilon', 1e-5) }, x.dtype, x.shape);
}

function transposeRule(c: Context): Lowered {
  const x = input(c, 0);
  const perm = ints(c, 'perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i);
  return one(
    'Transpose',
    [x],
    { perm },
    x.dtype,
    perm.map((p) => x.shape[p]!),
  );
}

function gather(c: Context): Lowered {
  const [x, ids] = [input(c, 0), input(c, 1)];
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...ids.shape, ...x.shape.slice(axis + 1)];
  return one('Gather', [x, ids], { axis }, x.dtype, shape);
}

function gatherNd(c: Context): Lowered {
  const [x, ids] = [input(c, 0), input(c, 1)];
  if (int(c, 'batch_dims', 0) !== 0) return refuse('it has batch dimensions');
  return one('GatherND', [x, ids], {}, x.dtype, [
    ...ids.shape.slice(0, -1),
    ...x.shape.slice(ids.shape.at(-1)!),
  ]);
}

function concatRule(c: Context): Lowered {
  const parts = c.inputs.map((_, i) => input(c, i));
  const first = parts[0] ?? refuse('it has no inputs');
  const axis = axisOf(int(c, 'axis', 0), first.shape.length);
  const shape = first.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + p.shape[axis]!, 0) : d));
  return one('Concat', parts, { axis }, first.dtype, shape);
}

function cumSum(c: Context): Lowered {
  const x = input(c, 0);
  const axis = axisOf(input(c, 1).known?.()[0] ?? refuse('its axis depends on the data'), x.shape.length);
  const attrs = { axis, exclusive: int(c, 'exclusive', 0) === 1, reverse: int(c, 'reverse', 0) === 1 };
  return one('CumSum', [x], attrs, x.dtype, x.shape);
}

function trilu(c: Context): Lowered {
  const x = input(c, 0);
  const k = c.inputs[1] ? (c.inputs[1].known?.()[0] ?? refuse('its diagonal depends on the data')) : 0;
  return one('Trilu', [x], { k, upper: int(c, 'upper', 1) === 1 }, x.dtype, x.shape);
}

function tile(c: Context): Lowered {
  const x = input(c, 0);
  const repeats = list(c, 1, 'repeats') ?? refuse('it has no repeats');
  return one(
    'Tile',
    [x],
    { repeats },
    x.dtype,
    x.shape.map((d, i) => d * repeats[i]!),
  );
}

function argMax(c: Context): Lowered {
  const x = input(c, 0);
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const keepdims = int(c, 'keepdims', 1) === 1;
  const shape = x.shape.map((d, i) => (i === axis ? 1 : d)).filter((_, i) => keepdims || i !== axis);
  return one('ArgMax', [x], { axis, keepdims }, 'int64', shape);
}

/** Shape and Size need only the operand's shape, which is always known here. */
function shapeRule(c: Context): Lowered {
  const { shape } = input(c, 0);
  const rank = shape.length;
  const start = Math.max(0, axisOf(int(c, 'start', 0), rank));
  const end = Math.min(rank, axisOf(int(c, 'end', rank), rank));
  const dims = shape.slice(start, end);
  const data = Float64Array.from(dims);
  return reshape(knownValue('shape', { dtype: 'int64', shape: [dims.length], data }), [dims.length]);
}

const rules: Record<string, (c: Context) => Lowered> = {
  Identity: (c) => reshape(input(c, 0), input(c, 0).shape),
  // Inference form; training dropout is the adapters' and the trainer's business.
  Dropout: (c) => reshape(input(c, 0), input(c, 0).shape),
  Shape: shapeRule,
  Size: (c) => {
    const size = Float64Array.of(sizeOf(input(c, 0).shape));
    return reshape(knownValue('size', { dtype: 'int64', shape: [], data: size }), []);
  },
  Reshape: reshapeRule,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Flatten: (c) => {
    const x = input(c, 0);
    const axis = axisOf(int(c, 'axis', 1), x.shape.length);
    return reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
  },
  Expand: expandRule,
  ConstantOfShape: constantOfShape,
  Range: range,
  Cast: castRule,
  CastLike: (c) =>
    one('Cast', [input(c, 0)], { to: input(c, 1).dtype }, input(c, 1).dtype, input(c, 0).shape),
  Transpose: transposeRule,
  Slice: sliceRule,
  Split: splitRule,
  Concat: concatRule,
  Gather: gather,
  GatherND: gatherNd,
  ScatterND: (c) => {
    if (text(c, 'reduction', 'none') !== 'none') return refuse('it reduces while scattering');
    return one(
      'ScatterND',
      [input(c, 0), input(c, 1), input(c, 2)],
      {},
      input(c, 0).dtype,
      input(c, 0).shape,
    );
  },
  Where: (c) => {
    const [cond, a, b] = [input(c, 0), input(c, 1), input(c, 2)];
    return one('Where', [cond, a, b], {}, a.dtype, broadcastShapes('Where', cond.shape, a.shape, b.shape));
  },
  Trilu: trilu,
  Tile: tile,
  CumSum: cumSum,
  ArgMax: argMax,
  NonZero: (c) => {
    const known = input(c, 0).known ?? refuse('its result depends on the data');
    return one('NonZero', [input(c, 0)], {}, 'int64', [
      input(c, 0).shape.length,
      known().filter((x) => x !== 0).length,
    ]);
  },
  Clip: clip,
  Resize: resize,
  MatMul: matmul,
  Gemm: gemm,
  Conv: conv,
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  Gelu: (c) =>
    one(
      text(c, 'approximate', 'none') === 'tanh' ? 'GeluTanh' : 'Gelu',
      [input(c, 0)],
      {},
      input(c, 0).dtype,
      input(c, 0).shape,
    ),
  ReduceMean: reduce('mean'),
  ReduceSum: reduce('sum'),
  ReduceMax: reduce('max'),
  ReduceMin: reduce('min'),
  ReduceProd: reduce('prod'),
  Sum: variadic('Add'),
  Min: variadic('Min'),
  Max: variadic('Max'),
  Mod: (c) => {
    if (int(c, 'fmod', 0) === 1) return refuse('it is a C-style remainder (fmod)');
    const [a, b] = [input(c, 0), input(c, 1)];
    return one('Mod', [a, b], {}, a.dtype, broadcastShapes('Mod', a.shape, b.shape));
  },
};

for (const op of Object.keys(unaryFns)) {
  rules[op] = (c) => {
    const x = input(c, 0);
    return one(op, [x], {}, op === 'Not' || op === 'IsNaN' ? 'bool' : x.dtype, x.shape);
  };
}
for (const op of Object.keys(binaryFns)) {
  rules[op] ??= (c) => {
    const [a, b] = [input(c, 0), input(c, 1)];
    return one(op, [a, b], {}, comparisons.has(op) ? 'bool' : a.dtype, broadcastShapes(op, a.shape, b.shape));
  };
}
