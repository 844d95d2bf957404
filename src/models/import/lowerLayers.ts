/** Rules for ONNX ops that compute: products, convolutions, norms, reductions. */
import { broadcastShapes } from '../../graph/shape.ts';
import type { Context, Lowered } from './lowering.ts';
import { axisOf, float, input, int, ints, list, one, refuse, reshape, text } from './lowering.ts';

export function reduce(fn: string): (c: Context) => Lowered {
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

/** Sum, Min and Max of one operand or two; `expand.ts` makes a chain of those that have more. */
export function variadic(op: string): (c: Context) => Lowered {
  return (c) => {
    if (c.inputs.length === 1) return reshape(input(c, 0), input(c, 0).shape);
    const [a, b] = [input(c, 0), input(c, 1)];
    return one(op, [a, b], {}, a.dtype, broadcastShapes(op, a.shape, b.shape));
  };
}

/** Convolutions over a sequence are pictures of height 1 here: kernel, stride and padding always have two axes. */
export function conv(c: Context): Lowered {
  const [x, w] = [input(c, 0), input(c, 1)];
  const spatial = w.shape.length - 2;
  if (spatial !== 1 && spatial !== 2)
    return refuse(`it is a convolution over ${spatial} dimensions; one and two are supported`);
  if (int(c, 'group', 1) !== 1) return refuse('it is a grouped convolution');
  if ((ints(c, 'dilations') ?? []).some((d) => d !== 1)) return refuse('it is a dilated convolution');
  const strides = ints(c, 'strides') ?? w.shape.slice(2).map(() => 1);
  const auto = text(c, 'auto_pad', 'NOTSET');
  if (auto !== 'NOTSET' && auto !== 'VALID') return refuse(`it pads by ${auto}`);
  const padding = ints(c, 'pads') ?? [...strides, ...strides].map(() => 0);
  const out = w.shape
    .slice(2)
    .map((k, i) => Math.floor((x.shape[2 + i]! + padding[i]! + padding[spatial + i]! - k) / strides[i]!) + 1);
  const flat = spatial === 1;
  const attrs = {
    kernel: flat ? [1, w.shape[2]!] : w.shape.slice(2),
    stride: flat ? [1, strides[0]!] : strides,
    pads: flat ? [0, padding[0]!, 0, padding[1]!] : padding,
  };
  return one('Conv', [x, w, c.inputs[2] ?? null], attrs, x.dtype, [x.shape[0]!, w.shape[0]!, ...out]);
}

export function resize(c: Context): Lowered {
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

export function gemm(c: Context): Lowered {
  const [a, b] = [input(c, 0), input(c, 1)];
  const transA = int(c, 'transA', 0) === 1;
  const transB = int(c, 'transB', 0) === 1;
  const m = a.shape[transA ? 1 : 0]!;
  const n = b.shape[transB ? 0 : 1]!;
  const attrs = { transA, transB, alpha: float(c, 'alpha', 1), beta: float(c, 'beta', 1) };
  return one('Gemm', [a, b, c.inputs[2] ?? null], attrs, a.dtype, [m, n]);
}

export function matmul(c: Context): Lowered {
  const [a, b] = [input(c, 0), input(c, 1)];
  if (a.shape.length < 2 || b.shape.length < 2) return refuse('it multiplies by a vector');
  if (a.shape.at(-1) !== b.shape.at(-2))
    return refuse(`its shapes [${a.shape}] and [${b.shape}] do not go together`);
  const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  return one('MatMul', [a, b], {}, a.dtype, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
}

export function softmax(op: string): (c: Context) => Lowered {
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

export function clip(c: Context): Lowered {
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

export function layerNorm(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  if (axisOf(int(c, 'axis', -1), rank) !== rank - 1)
    return refuse('it normalises over more than the last axis');
  const attrs = { eps: float(c, 'epsilon', 1e-5) };
  return one('LayerNorm', [x, input(c, 1), c.inputs[2] ?? null], attrs, x.dtype, x.shape);
}

export function rmsNorm(c: Context): Lowered {
  const x = input(c, 0);
  const rank = x.shape.length;
  if (axisOf(int(c, 'axis', -1), rank) !== rank - 1)
    return refuse('it normalises over more than the last axis');
  return one('RmsNorm', [x, input(c, 1)], { eps: float(c, 'epsilon', 1e-5) }, x.dtype, x.shape);
}

export function cumSum(c: Context): Lowered {
  const x = input(c, 0);
  const axis = axisOf(input(c, 1).known?.()[0] ?? refuse('its axis depends on the data'), x.shape.length);
  const attrs = { axis, exclusive: int(c, 'exclusive', 0) === 1, reverse: int(c, 'reverse', 0) === 1 };
  return one('CumSum', [x], attrs, x.dtype, x.shape);
}

export function argMax(c: Context): Lowered {
  const x = input(c, 0);
  if (int(c, 'select_last_index', 0) === 1) return refuse('it looks for the last of equal entries');
  const axis = axisOf(int(c, 'axis', 0), x.shape.length);
  const keepdims = int(c, 'keepdims', 1) === 1;
  const shape = x.shape.map((d, i) => (i === axis ? 1 : d)).filter((_, i) => keepdims || i !== axis);
  return one('ArgMax', [x], { axis, keepdims }, 'int64', shape);
}
