/** reduce: sum, mean, maximum or minimum over axes. Results are in a fixed order of additions. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf, stridesOf } from '../graph/shape.ts';
import type { Dispatch, Emitter, Kernel, OpCase, Tensor, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { eight, forEachStrided, MAX_RANK, mergeAxes, perElement, spread, WORKGROUP } from './dispatch.ts';
import { expand } from './expand.ts';
import { emptyTensor } from './reference.ts';
import { scale } from './scale.ts';
import { view } from './view.ts';

export type ReduceName = 'sum' | 'mean' | 'max' | 'min';

export interface ReduceAttrs {
  readonly fn: ReduceName;
  /** Non-negative, each once. */
  readonly axes: readonly number[];
  readonly keepdims: boolean;
}

const CODE: Readonly<Record<ReduceName, number>> = { sum: 0, mean: 0, max: 1, min: 2 };

const pick = (values: readonly number[], axes: readonly number[]): number[] =>
  values
    .map((v, i) => [v, i] as const)
    .filter(([, i]) => axes.includes(i))
    .map(([v]) => v);

/** `shape` with each of `axes` replaced by 1. */
const kept = (shape: readonly number[], axes: readonly number[]): number[] =>
  shape.map((d, i) => (axes.includes(i) ? 1 : d));

/** The kernel of a fold of `shape` over `axes`, in one pass or in chunks and a second pass. Shared with sumTo. */
export function reduceKernel(shape: readonly number[], axes: readonly number[], fn: ReduceName): Kernel {
  const others = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const strides = stridesOf(shape);
  const keptAxes = mergeAxes(pick(shape, others), [pick(strides, others)]);
  const reducedAxes = mergeAxes(pick(shape, axes), [pick(strides, axes)]);
  const count = sizeOf(keptAxes.shape);
  const reduced = sizeOf(reducedAxes.shape);
  const byRows = reduced >= 32 && reducedAxes.strides[0]!.at(-1) === 1;
  // Long folds of few results are cut, so that a device has work for all its units.
  const least = byRows ? 4096 : 64;
  const wanted = byRows ? Math.ceil(64 / count) : Math.ceil(8192 / count);
  const chunk = Math.ceil(reduced / Math.max(1, Math.min(wanted, Math.floor(reduced / least), 256)));
  const chunks = Math.ceil(reduced / chunk);
  const factor = fn === 'mean' ? 1 / reduced : 1;
  const fold = (last: boolean): Dispatch['params'] => [
    ...[count, reduced, chunk, chunks],
    ...[{ f32: last ? factor : 1 }, 0, 0, 0],
    ...[...eight(keptAxes.shape, 1), ...eight(keptAxes.strides[0]!)],
    ...[...eight(reducedAxes.shape, 1), ...eight(reducedAxes.strides[0]!)],
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
  };
}

/** The fold in float64, with the reduced axes kept as 1. Shared with sumTo. */
export function reduceReference(x: Tensor, axes: readonly number[], fn: ReduceName): Tensor {
  const others = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const strides = stridesOf(x.shape);
  const y = emptyTensor('f32', kept(x.shape, axes));
  const reducedShape = pick(x.shape, axes);
  const reducedStrides = pick(strides, axes);
  forEachStrided(pick(x.shape, others), [pick(strides, others)], (i, [base]) => {
    let value = fn === 'max' ? -Infinity : fn === 'min' ? Infinity : 0;
    forEachStrided(reducedShape, [reducedStrides], (_, [at]) => {
      const v = x.data[base! + at!]!;
      value = fn === 'max' ? Math.max(value, v) : fn === 'min' ? Math.min(value, v) : value + v;
    });
    y.data[i] = fn === 'mean' ? value / sizeOf(reducedShape) : value;
  });
  return y;
}

const reduceCase = (
  fn: ReduceName,
  shape: number[],
  axes: number[],
  keepdims = false,
): OpCase<ReduceAttrs> => ({
  name: `${fn} of [${shape}] over [${axes}]`,
  inputs: [{ dtype: 'f32', shape }],
  attrs: { fn, axes, keepdims },
  ...(sizeOf(shape) > 2000 ? { gradientInputs: [] } : {}),
});

export const reduceOp = defineOp<ReduceAttrs>({
  name: 'reduce',
  infer([x], { fn, axes, keepdims }) {
    const { dtype, shape } = x!;
    if (
      dtype !== 'f32' ||
      axes.some((a) => a < 0 || a >= shape.length) ||
      new Set(axes).size !== axes.length
    ) {
      fail('shape', `reduce ${fn}: ${dtype} [${shape}] has no axes [${axes}] to fold.`);
    }
    if (shape.length > MAX_RANK || shape.includes(0)) fail('shape', `reduce ${fn}: cannot fold [${shape}].`);
    return [
      { dtype: 'f32', shape: keepdims ? kept(shape, axes) : shape.filter((_, i) => !axes.includes(i)) },
    ];
  },
  gradient(g, node, [dY]) {
    const x = node.inputs[0]!;
    const { fn, axes } = node.attrs;
    const shape = kept(x.shape, axes);
    const d = view(g, dY!, shape);
    const reduced = sizeOf(pick(x.shape, axes));
    if (fn === 'sum') return [expand(g, d, { shape: x.shape })];
    if (fn === 'mean') return [expand(g, scale(g, d, { by: 1 / reduced }), { shape: x.shape })];
    // Equal extremes share the gradient, as in PyTorch's amax.
    const y = view(g, node.outputs[0]!, shape);
    const mask = cast(g, binary(g, x, y, { fn: 'equal' }), { to: 'f32' });
    const ties = reduce(g, mask, { fn: 'sum', axes, keepdims: true });
    return [binary(g, mask, binary(g, d, ties, { fn: 'div' }), { fn: 'mul' })];
  },
  kernel: ({ inputs, attrs }) => reduceKernel(inputs[0]!.shape, attrs.axes, attrs.fn),
  reference([x], { fn, axes, keepdims }) {
    const y = reduceReference(x!, axes, fn);
    return [keepdims ? y : { ...y, shape: x!.shape.filter((_, i) => !axes.includes(i)) }];
  },
  cases: [
    reduceCase('sum', [5, 7], [1]),
    reduceCase('sum', [5, 7], [0], true),
    reduceCase('sum', [3, 70], [1], true),
    reduceCase('sum', [2, 3, 4, 5], [1, 3]),
    reduceCase('sum', [2, 3, 4, 5], [0, 2], true),
    reduceCase('sum', [4, 6], [0, 1]),
    reduceCase('sum', [4], []),
    reduceCase('mean', [3, 40], [1]),
    reduceCase('mean', [2, 5, 3], [1]),
    reduceCase('max', [3, 41], [1]),
    reduceCase('max', [6, 5], [0]),
    reduceCase('min', [3, 33], [1], true),
    reduceCase('min', [6, 5], [0]),
    reduceCase('sum', [700, 9], [0]),
    reduceCase('max', [700, 9], [0]),
    reduceCase('mean', [9000], [0]),
    reduceCase('min', [2, 9000], [1]),
  ],
});

/** Sum, mean, max or min of x over `axes`; without keepdims the axes are dropped. */
export const reduce = (
  g: Emitter,
  x: Value,
  attrs: { fn: ReduceName; axes: readonly number[]; keepdims?: boolean },
): Value => g.emit(reduceOp, [x], { keepdims: false, ...attrs })[0]!;
