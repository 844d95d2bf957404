/**
 * Elementwise functions of tensors with broadcasting, and the sums and expansions that undo it: where, binary, scale, addN, axpy,
 * expand, sumTo, reduce. They stand in one file because they are one another's gradients.
 */

import { broadcastShapes, broadcastStrides, sameShape, sizeOf, stridesOf } from '../graph/shape.ts';
import type { Dispatch, DType, Emitter, Kernel, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { addParts } from './addParts.ts';
import { cast } from './cast.ts';
import {
  axes,
  divisor,
  eight,
  MAX_RANK,
  mergeAxes,
  mergeBroadcast,
  perElement,
  rowRanges,
  spread,
  WORKGROUP,
} from './dispatch.ts';
import { stridedKernel, view } from './moves.ts';
import { INT32, isTrue } from './onnx.ts';
import { unary } from './unary.ts';

interface BinaryFunction {
  /** Its number in binary.wgsl. */
  readonly code: number;
  /** Its operator in ONNX. */
  readonly onnx: string;
  readonly value: (a: number, b: number) => number;
  /** A truth value: gives i32, 0 or 1. */
  readonly truth?: boolean;
}

const floorMod = (a: number, b: number): number => a - b * Math.floor(a / b);

const functions = {
  add: { code: 0, onnx: 'Add', value: (a, b) => a + b },
  sub: { code: 1, onnx: 'Sub', value: (a, b) => a - b },
  mul: { code: 2, onnx: 'Mul', value: (a, b) => a * b },
  div: { code: 3, onnx: 'Div', value: (a, b) => a / b },
  pow: { code: 4, onnx: 'Pow', value: (a, b) => a ** b },
  min: { code: 5, onnx: 'Min', value: Math.min },
  max: { code: 6, onnx: 'Max', value: Math.max },
  equal: { code: 7, onnx: 'Equal', value: (a, b) => Number(a === b), truth: true },
  less: { code: 8, onnx: 'Less', value: (a, b) => Number(a < b), truth: true },
  greater: { code: 9, onnx: 'Greater', value: (a, b) => Number(a > b), truth: true },
  lessEqual: { code: 10, onnx: 'LessOrEqual', value: (a, b) => Number(a <= b), truth: true },
  greaterEqual: { code: 11, onnx: 'GreaterOrEqual', value: (a, b) => Number(a >= b), truth: true },
  and: { code: 12, onnx: 'And', value: (a, b) => Number(a !== 0 && b !== 0), truth: true },
  or: { code: 13, onnx: 'Or', value: (a, b) => Number(a !== 0 || b !== 0), truth: true },
  mod: { code: 14, onnx: 'Mod', value: floorMod },
} as const satisfies Record<string, BinaryFunction>;

export type BinaryName = keyof typeof functions;

export interface BinaryAttrs {
  readonly fn: BinaryName;
}

export const described = (fn: BinaryName): BinaryFunction => functions[fn];

/** Output = fn(input 0, input 1). Shared with columnScale. */
export function binaryKernel(inputs: readonly TensorType[], output: TensorType, fn: BinaryName): Kernel {
  const [a, b] = inputs as [TensorType, TensorType];
  const n = sizeOf(output.shape);
  const { shape, strides } = mergeBroadcast(output.shape, a.shape, b.shape);
  const { code, truth } = described(fn);
  return {
    dispatches: [
      {
        shader: 'binary.wgsl',
        entry: a.dtype === 'i32' ? 'whole' : truth ? 'compare' : 'floats',
        constants: { WG: WORKGROUP, FN: code, RANK: shape.length },
        params: [n, 0, 0, 0, ...axes(shape, strides[0]!), ...eight(strides[1]!)],
        bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
        workgroups: perElement(n),
      },
    ],
  };
}

export const binaryOp = defineOp<BinaryAttrs>({
  name: 'binary',
  infer([a, b], { fn }) {
    const whole = a!.dtype === 'i32';
    if (a!.dtype !== b!.dtype || (!whole && a!.dtype !== 'f32')) {
      fail('shape', say`binary ${fn}: takes two f32 or two i32, not ${a!.dtype} and ${b!.dtype}.`);
    }
    if (whole ? fn === 'pow' : fn === 'and' || fn === 'or') {
      fail('shape', say`binary ${fn}: does not take ${a!.dtype}.`);
    }
    const shape = broadcastShapes(`binary ${fn}`, a!.shape, b!.shape);
    if (mergeBroadcast(shape, a!.shape, b!.shape).shape.length > MAX_RANK) {
      fail(
        'shape',
        say`binary ${fn}: [${a!.shape}] and [${b!.shape}] broadcast over more than ${MAX_RANK} axes.`,
      );
    }
    const dtype: DType = whole || described(fn).truth ? 'i32' : 'f32';
    return [{ dtype, shape }];
  },
  gradient(g, node, [dY], wants) {
    const [a, b] = node.inputs as [Value, Value];
    const y = node.outputs[0]!;
    const d = dY!;
    const both = (da: () => Value, db: () => Value) => [
      wants[0] ? sumTo(g, da(), a.shape) : null,
      wants[1] ? sumTo(g, db(), b.shape) : null,
    ];
    switch (node.attrs.fn) {
      case 'add':
        return both(
          () => d,
          () => d,
        );
      case 'sub':
        return both(
          () => d,
          () => scale(g, d, { by: -1 }),
        );
      case 'mul':
        return both(
          () => binary(g, d, b, { fn: 'mul' }),
          () => binary(g, d, a, { fn: 'mul' }),
        );
      case 'div':
        return both(
          () => binary(g, d, b, { fn: 'div' }),
          () => scale(g, binary(g, binary(g, d, y, { fn: 'mul' }), b, { fn: 'div' }), { by: -1 }),
        );
      case 'pow': {
        const one = g.constant({ dtype: 'f32', shape: [] }, Float32Array.of(1), 'one');
        return both(
          () => {
            const power = binary(g, a, binary(g, b, one, { fn: 'sub' }), { fn: 'pow' });
            return binary(g, d, binary(g, b, power, { fn: 'mul' }), { fn: 'mul' });
          },
          () => binary(g, d, binary(g, y, unary(g, a, { fn: 'log' }), { fn: 'mul' }), { fn: 'mul' }),
        );
      }
      case 'min':
      case 'max': {
        const first = binary(g, a, b, { fn: node.attrs.fn === 'min' ? 'lessEqual' : 'greaterEqual' });
        return both(
          () => where(g, first, d, zero(g)),
          () => where(g, first, zero(g), d),
        );
      }
      default:
        return fail(
          'internal',
          `binary ${node.attrs.fn} is not differentiable but lies between a target and the loss.`,
        );
    }
  },
  kernel: ({ inputs, outputs, attrs: { fn } }) => binaryKernel(inputs, outputs[0]!, fn),
  onnx(e, inputs, { outputs, attrs: { fn } }) {
    const { onnx, truth } = described(fn);
    // ONNX's Mod takes the divisor's sign for whole numbers only.
    if (fn === 'mod' && outputs[0]!.dtype === 'f32') {
      const [a, b] = inputs as [string, string];
      return [e.op('Sub', [a, e.op('Mul', [b, e.op('Floor', [e.op('Div', [a, b])])])])];
    }
    if (!truth) return [e.op(onnx, inputs)];
    // A truth value is a whole number here.
    const given = fn === 'and' || fn === 'or' ? inputs.map((x) => isTrue(e, x)) : inputs;
    return [e.op('Cast', [e.op(onnx, given)], { to: INT32 })];
  },
});

/** f(a, b) with broadcasting; comparisons, and, or give i32. */
export const binary = (g: Emitter, a: Value, b: Value, attrs: BinaryAttrs): Value =>
  g.emit(binaryOp, [a, b], attrs)[0]!;

/** The merged iteration space of operands broadcast to `shape`. */
export const merged = (inputs: readonly TensorType[], shape: readonly number[]) =>
  mergeBroadcast(shape, ...inputs.map((t) => t.shape));

export const whereOp = defineOp<Record<never, never>>({
  name: 'where',
  infer(inputs) {
    const [cond, a, b] = inputs as [TensorType, TensorType, TensorType];
    if (cond.dtype !== 'i32' || a.dtype !== b.dtype || a.dtype === 'f16') {
      fail(
        'shape',
        say`where: takes an i32 condition and two of one type, not ${cond.dtype}, ${a.dtype}, ${b.dtype}.`,
      );
    }
    const shape = broadcastShapes('where', cond.shape, a.shape, b.shape);
    if (merged(inputs, shape).shape.length > MAX_RANK) {
      fail(
        'shape',
        say`where: [${cond.shape}], [${a.shape}], [${b.shape}] broadcast over more than ${MAX_RANK} axes.`,
      );
    }
    return [{ dtype: a.dtype, shape }];
  },
  gradient(g, node, [dY], wants) {
    const [cond, a, b] = node.inputs as [Value, Value, Value];
    return [
      null,
      wants[1] ? sumTo(g, where(g, cond, dY!, zero(g)), a.shape) : null,
      wants[2] ? sumTo(g, where(g, cond, zero(g), dY!), b.shape) : null,
    ];
  },
  kernel({ inputs, outputs }) {
    const n = sizeOf(outputs[0]!.shape);
    const { shape, strides } = merged(inputs, outputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'where.wgsl',
          entry: 'choose',
          constants: { WG: WORKGROUP, RANK: shape.length },
          params: [n, 0, 0, 0, ...axes(shape, strides[0]!), ...strides.slice(1).flatMap((s) => eight(s))],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  onnx: (e, [condition, a, b]) => [e.op('Where', [isTrue(e, condition!), a!, b!])],
});

/** cond != 0 ? a : b with broadcasting. */
export const where = (g: Emitter, cond: Value, a: Value, b: Value): Value =>
  g.emit(whereOp, [cond, a, b], {})[0]!;

/** A zero that broadcasts to anything. */
export const zero = (g: Emitter): Value =>
  g.constant({ dtype: 'f32', shape: [] }, Float32Array.of(0), 'zero');

export interface ScaleAttrs {
  readonly by: number;
}

export const scaleOp = defineOp<ScaleAttrs>({
  name: 'scale',
  infer([x]) {
    if (x!.dtype !== 'f32') fail('shape', say`scale: takes f32, not ${x!.dtype}.`);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: (g, node, [dY]) => [scale(g, dY!, node.attrs)],
  kernel({ inputs, attrs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'elementwise.wgsl',
          entry: 'scale',
          constants: { WG: WORKGROUP },
          params: [n, { f32: attrs.by }],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  onnx: (e, [x], { attrs }) => [e.op('Mul', [x!, e.scalar(attrs.by)])],
});

/** by · x. */
export const scale = (g: Emitter, x: Value, attrs: ScaleAttrs): Value => g.emit(scaleOp, [x], attrs)[0]!;

/** A stage binds eight storage buffers at least: seven terms and the sum. */
const MOST = 7;

/** `T3` to `T7`: whether there is a third term, and so on. */
const termConditions = (terms: number): Record<string, boolean> =>
  Object.fromEntries([3, 4, 5, 6, 7].map((n) => [`T${n}`, terms >= n]));

export const addNOp = defineOp<Record<never, never>>({
  name: 'addN',
  infer(inputs) {
    if (inputs.length < 2 || inputs.length > MOST)
      fail('shape', say`addN: takes 2 to ${MOST} tensors, not ${inputs.length}.`);
    const first = inputs[0]!;
    for (const t of inputs) {
      if (t.dtype !== 'f32' || !sameShape(t.shape, first.shape)) {
        fail(
          'shape',
          say`addN: takes f32 tensors of one shape, not ${t.dtype} [${t.shape}] beside [${first.shape}].`,
        );
      }
    }
    return [{ dtype: 'f32', shape: first.shape }];
  },
  gradient: (_g, node, [dY]) => node.inputs.map(() => dY!),
  kernel({ inputs }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'elementwise.wgsl',
          entry: 'add',
          conditions: termConditions(inputs.length),
          constants: { WG: WORKGROUP },
          params: [n],
          bindings: [{ out: 0 }, ...inputs.map((_, i) => ({ in: i }))],
          workgroups: perElement(n),
        },
      ],
    };
  },
  onnx: (e, inputs) => [inputs.reduce((sum, x) => e.op('Add', [sum, x]))],
});

/** The sum of any number of tensors of one shape, in order; a single one is returned as it is. */
export function addN(g: Emitter, terms: readonly Value[]): Value {
  if (terms.length === 1) return terms[0]!;
  if (terms.length <= MOST) return g.emit(addNOp, terms, {})[0]!;
  const sum = g.emit(addNOp, terms.slice(0, MOST), {})[0]!;
  return addN(g, [sum, ...terms.slice(MOST)]);
}

/** acc (state) f32, x f32 of the same shape, keep f32 [1]: acc ← keep·acc + x; keep = 0 is plain assignment. */
export const axpyOp = defineOp<Record<string, never>>({
  name: 'axpy',
  infer: ([acc, x, keep]) => {
    if (!sameShape(acc!.shape, x!.shape)) fail('shape', say`axpy: [${acc!.shape}] and [${x!.shape}] differ.`);
    if (keep?.shape.join() !== '1') fail('shape', say`axpy: keep must be [1], not [${keep?.shape ?? ''}].`);
    return [];
  },
  gradient: null,
  mutates: [0],
  kernel: ({ inputs }) => {
    const count = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'elementwise.wgsl',
          entry: 'accumulate',
          constants: { WG: WORKGROUP },
          params: [count],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }],
          workgroups: perElement(count),
        },
      ],
    };
  },
});

/** acc ← keep·acc + x, where `acc` is a state. */
export function axpy(g: Emitter, acc: Value, x: Value, keep: Value): void {
  g.emit(axpyOp, [acc, x, keep], {});
}

export interface ExpandAttrs {
  readonly shape: readonly number[];
}

export const expandOp = defineOp<ExpandAttrs>({
  name: 'expand',
  infer([x], { shape }) {
    if (
      x!.dtype === 'f16' ||
      shape.length > MAX_RANK ||
      !sameShape(broadcastShapes('expand', x!.shape, shape), shape)
    ) {
      fail('shape', say`expand: ${x!.dtype} [${x!.shape}] does not broadcast to [${shape}].`);
    }
    return [{ dtype: x!.dtype, shape }];
  },
  gradient: (g, node, [dY]) => [sumTo(g, dY!, node.inputs[0]!.shape)],
  kernel: ({ inputs, attrs }) =>
    stridedKernel(attrs.shape, broadcastStrides(inputs[0]!.shape, attrs.shape), 0),
  onnx: (e, [x], { attrs }) => [e.op('Expand', [x!, e.ints(attrs.shape)])],
});

/** x broadcast to `shape`. */
export const expand = (g: Emitter, x: Value, attrs: ExpandAttrs): Value =>
  sameShape(x.shape, attrs.shape) ? x : g.emit(expandOp, [x], attrs)[0]!;

export interface SumToAttrs {
  readonly shape: readonly number[];
}

/** Axes of `from` that broadcasting `to` to it stretches. */
export const stretched = (from: readonly number[], to: readonly number[]): number[] => {
  const lead = from.length - to.length;
  return from.flatMap((d, i) => (i < lead || (to[i - lead] === 1 && d !== 1) ? [i] : []));
};

export const sumToOp = defineOp<SumToAttrs>({
  name: 'sumTo',
  infer([x], { shape }) {
    const fits =
      shape.length <= x!.shape.length &&
      broadcastStrides(shape, x!.shape).length === x!.shape.length &&
      shape.every((d, i) => d === 1 || d === x!.shape[x!.shape.length - shape.length + i]);
    if (!fits || x!.dtype !== 'f32' || x!.shape.length > MAX_RANK) {
      fail('shape', say`sumTo: [${shape}] does not broadcast to ${x!.dtype} [${x!.shape}].`);
    }
    return [{ dtype: 'f32', shape }];
  },
  gradient: (g, node, [dY]) => [expand(g, dY!, { shape: node.inputs[0]!.shape })],
  kernel: ({ inputs, attrs }) =>
    reduceKernel(inputs[0]!.shape, stretched(inputs[0]!.shape, attrs.shape), 'sum'),
  onnx(e, [x], { inputs, outputs }) {
    const axes = stretched(inputs[0]!.shape, outputs[0]!.shape);
    return [e.reshape(e.reduce('ReduceSum', x!, axes), outputs[0]!.shape)];
  },
});

/** x summed over the axes by which it exceeds `shape`. */
export const sumTo = (g: Emitter, x: Value, shape: readonly number[]): Value =>
  sameShape(x.shape, shape)
    ? x
    : stretched(x.shape, shape).every((a) => x.shape[a] === 1)
      ? view(g, x, shape)
      : g.emit(sumToOp, [x], { shape })[0]!;

export type ReduceName = 'sum' | 'mean' | 'max' | 'min';

export interface ReduceAttrs {
  readonly fn: ReduceName;
  /** Non-negative, each once. */
  readonly axes: readonly number[];
  readonly keepdims: boolean;
}

const CODE: Readonly<Record<ReduceName, number>> = { sum: 0, mean: 0, max: 1, min: 2 };

const REDUCE_ONNX: Readonly<Record<ReduceName, string>> = {
  sum: 'ReduceSum',
  mean: 'ReduceMean',
  max: 'ReduceMax',
  min: 'ReduceMin',
};

/** The entries of some axes. */
export const axesOf = (values: readonly number[], axes: readonly number[]): number[] =>
  values
    .map((v, i) => [v, i] as const)
    .filter(([, i]) => axes.includes(i))
    .map(([v]) => v);

/** `shape` with each of `axes` replaced by 1. */
export const kept = (shape: readonly number[], axes: readonly number[]): number[] =>
  shape.map((d, i) => (axes.includes(i) ? 1 : d));

/** Numbers per range, and ranges, of a fold of long rows. */
function rangesOfRow(count: number, reduced: number): { readonly chunk: number; readonly chunks: number } {
  const wanted = Math.min(Math.ceil(64 / count), Math.floor(reduced / 4096), 256);
  const chunk = Math.ceil(reduced / Math.max(1, wanted));
  return { chunk, chunks: Math.ceil(reduced / chunk) };
}

/** The kernel of a fold of `shape` over some axes, in one pass or in chunks and a second pass. Shared with sumTo. */
export function reduceKernel(shape: readonly number[], over: readonly number[], fn: ReduceName): Kernel {
  const others = shape.map((_, i) => i).filter((i) => !over.includes(i));
  const strides = stridesOf(shape);
  const keptAxes = mergeAxes(axesOf(shape, others), [axesOf(strides, others)]);
  const reducedAxes = mergeAxes(axesOf(shape, over), [axesOf(strides, over)]);
  const count = sizeOf(keptAxes.shape);
  const reduced = sizeOf(reducedAxes.shape);
  const byRows = reduced >= 32 && reducedAxes.strides[0]!.at(-1) === 1;
  // Long folds of few results are cut, so that a device has work for all its units.
  const { chunk, chunks } = byRows
    ? rangesOfRow(count, reduced)
    : rowRanges({ rows: reduced, columns: count });
  const factor = fn === 'mean' ? 1 / reduced : 1;
  const fold = (last: boolean): Dispatch['params'] => [
    ...divisor(count),
    ...[reduced, chunk, chunks, { f32: last ? factor : 1 }],
    ...[...axes(keptAxes.shape, keptAxes.strides[0]!), ...axes(reducedAxes.shape, reducedAxes.strides[0]!)],
  ];
  const first: Dispatch = {
    shader: 'reduce.wgsl',
    entry: byRows ? 'rows' : 'columns',
    constants: {
      WG: WORKGROUP,
      FN: CODE[fn],
      KEPT: keptAxes.shape.length,
      REDUCED: reducedAxes.shape.length,
    },
    params: fold(chunks === 1),
    bindings: [{ in: 0 }, chunks === 1 ? { out: 0 } : { scratch: 0 }],
    workgroups: byRows ? spread(count * chunks) : perElement(count * chunks),
  };
  if (chunks === 1) return { dispatches: [first] };
  return {
    scratchBytes: [count * chunks * 4],
    dispatches: [
      first,
      {
        shader: 'reduce.wgsl',
        entry: 'finish',
        constants: { WG: WORKGROUP, FN: CODE[fn] },
        params: fold(true),
        bindings: [{ scratch: 0 }, { out: 0 }],
        workgroups: perElement(count),
      },
    ],
    ...(fn === 'sum' && { partials: addParts([{ scratch: 0, out: 0, parts: chunks, count }]) }),
  };
}

export const reduceOp = defineOp<ReduceAttrs>({
  name: 'reduce',
  infer([x], { fn, axes, keepdims }) {
    const { dtype, shape } = x!;
    if (
      dtype !== 'f32' ||
      axes.some((a) => a < 0 || a >= shape.length) ||
      new Set(axes).size !== axes.length
    ) {
      fail('shape', say`reduce ${fn}: ${dtype} [${shape}] has no axes [${axes}] to fold.`);
    }
    if (shape.length > MAX_RANK || shape.includes(0))
      fail('shape', say`reduce ${fn}: cannot fold [${shape}].`);
    return [
      { dtype: 'f32', shape: keepdims ? kept(shape, axes) : shape.filter((_, i) => !axes.includes(i)) },
    ];
  },
  gradient(g, node, [dY]) {
    const x = node.inputs[0]!;
    const { fn, axes } = node.attrs;
    const shape = kept(x.shape, axes);
    const d = view(g, dY!, shape);
    const reduced = sizeOf(axesOf(x.shape, axes));
    if (fn === 'sum') return [expand(g, d, { shape: x.shape })];
    if (fn === 'mean') return [expand(g, scale(g, d, { by: 1 / reduced }), { shape: x.shape })];
    // Equal extremes share the gradient, as in PyTorch's amax.
    const y = view(g, node.outputs[0]!, shape);
    const mask = cast(g, binary(g, x, y, { fn: 'equal' }), { to: 'f32' });
    const ties = reduce(g, mask, { fn: 'sum', axes, keepdims: true });
    return [binary(g, mask, binary(g, d, ties, { fn: 'div' }), { fn: 'mul' })];
  },
  kernel: ({ inputs, attrs }) => reduceKernel(inputs[0]!.shape, attrs.axes, attrs.fn),
  onnx: (e, [x], { attrs: { fn, axes, keepdims } }) => [
    e.op(REDUCE_ONNX[fn], [x!, e.ints(axes)], { keepdims: keepdims ? 1 : 0, noop_with_empty_axes: 1 }),
  ],
});

/** Sum, mean, max or min of x over `axes`; without keepdims the axes are dropped. */
export const reduce = (
  g: Emitter,
  x: Value,
  attrs: { fn: ReduceName; axes: readonly number[]; keepdims?: boolean },
): Value => g.emit(reduceOp, [x], { keepdims: false, ...attrs })[0]!;
