/** Ops without shaders, for tests of the scheduler: each names a `shader` that `runPlan` (planExecutor.ts) knows. */
// Registers the project's own ops first, so that their order does not depend on which test file a worker runs first.
import '../../src/ops/checks.ts';
import { defineCheck } from '../../src/graph/interpret.ts';
import { sizeOf } from '../../src/graph/shape.ts';
import type { AnyOp, FinishSums, Tensor, TensorType, Value } from '../../src/graph/types.ts';
import { defineOp } from '../../src/graph/types.ts';

const like = (t: TensorType, data: Float64Array): Tensor => ({ dtype: t.dtype, shape: t.shape, data });
const cases = [{ name: 'none', inputs: [], attrs: undefined }];
const one: [number, number, number] = [1, 1, 1];

/** a + 2 b. */
export const addOp = defineOp<undefined>({
  name: 'add',
  infer: ([a]) => [a!],
  gradient: null,
  kernel: () => ({
    dispatches: [
      {
        shader: 'add',
        entry: 'main',
        params: [],
        bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
        workgroups: one,
      },
    ],
  }),
});
defineCheck(addOp, {
  reference: ([a, b]) => [
    like(
      a!,
      a!.data.map((x, i) => x + 2 * b!.data[i]!),
    ),
  ],
  cases,
});

/** Two outputs from one dispatch: a + 1 and a · 3. */
export const forkOp = defineOp<undefined>({
  name: 'fork',
  infer: ([a]) => [a!, a!],
  gradient: null,
  kernel: () => ({
    dispatches: [
      {
        shader: 'fork',
        entry: 'main',
        params: [],
        bindings: [{ in: 0 }, { out: 0 }, { out: 1 }],
        workgroups: one,
      },
    ],
  }),
});
defineCheck(forkOp, {
  reference: ([a]) => [
    like(
      a!,
      a!.data.map((x) => x + 1),
    ),
    like(
      a!,
      a!.data.map((x) => 3 * x),
    ),
  ],
  cases,
});

/** Two dispatches: scratch = a − 1, out 0 = a + 1; then out 1 = scratch · out 0, which reads what the first wrote. */
export const stagedOp = defineOp<undefined>({
  name: 'staged',
  infer: ([a]) => [a!, a!],
  gradient: null,
  kernel: ({ inputs }) => ({
    scratchBytes: [sizeOf(inputs[0]!.shape) * 4],
    dispatches: [
      {
        shader: 'stage1',
        entry: 'main',
        params: [],
        bindings: [{ in: 0 }, { scratch: 0 }, { out: 0 }],
        workgroups: one,
      },
      {
        shader: 'stage2',
        entry: 'main',
        params: [],
        bindings: [{ scratch: 0 }, { out: 0 }, { out: 1 }],
        workgroups: one,
      },
    ],
  }),
});
defineCheck(stagedOp, {
  reference: ([a]) => [
    like(
      a!,
      a!.data.map((x) => x + 1),
    ),
    like(
      a!,
      a!.data.map((x) => (x - 1) * (x + 1)),
    ),
  ],
  cases,
});

/** 3 a, as the sum of the parts a and 2 a, which may be added up later. */
export const sumOp = defineOp<undefined>({
  name: 'sum',
  infer: ([a]) => [a!],
  gradient: null,
  kernel: ({ inputs }) => {
    const count = sizeOf(inputs[0]!.shape);
    const dispatch = { entry: 'main', params: [], workgroups: one };
    return {
      scratchBytes: [2 * count * 4],
      dispatches: [
        { ...dispatch, shader: 'parts', bindings: [{ in: 0 }, { scratch: 0 }] },
        { ...dispatch, shader: 'total', bindings: [{ scratch: 0 }, { out: 0 }] },
      ],
      partials: { sums: [{ scratch: 0, out: 0, parts: 2, count }], finish: finishSums },
    };
  },
});
const finishSums: FinishSums = (sums) => ({
  table: Uint32Array.from(sums.flatMap(({ from, parts, count, to }) => [from, parts, count, to])),
  dispatch: { shader: 'totals', entry: 'main', params: [], workgroups: one },
});
defineCheck(sumOp, {
  reference: ([a]) => [
    like(
      a!,
      a!.data.map((x) => 3 * x),
    ),
  ],
  cases,
});

/** state ← state · 0.5 + x, in place. */
export const decayOp = defineOp<undefined>({
  name: 'decay',
  infer: () => [],
  gradient: null,
  mutates: [0],
  kernel: () => ({
    dispatches: [
      { shader: 'decay', entry: 'main', params: [], bindings: [{ in: 0 }, { in: 1 }], workgroups: one },
    ],
  }),
});
defineCheck(decayOp, {
  reference: ([s, x]) => [
    like(
      s!,
      s!.data.map((v, i) => v * 0.5 + x!.data[i]!),
    ),
  ],
  cases,
});

/** A contiguous part, in elements. */
export const partOp = defineOp<{ shape: readonly number[]; offset: number }>({
  name: 'part',
  infer: ([a], { shape }) => [{ dtype: a!.dtype, shape }],
  gradient: null,
  alias: ({ attrs }) => ({ kind: 'view', byteOffsets: [attrs.offset * 4] }),
});
defineCheck(partOp, {
  reference: ([a], { shape, offset }) => [
    { dtype: a!.dtype, shape, data: a!.data.slice(offset, offset + sizeOf(shape)) },
  ],
  cases: [{ name: 'none', inputs: [], attrs: { shape: [], offset: 0 } }],
});

/** Lays its inputs at `offsets` (elements) of a vector of `size`; zero in between. */
export const packOp = defineOp<{ offsets: readonly number[]; size: number }>({
  name: 'pack',
  infer: ([a], { size }) => [{ dtype: a!.dtype, shape: [size] }],
  gradient: null,
  alias: ({ attrs }) => ({ kind: 'pack', byteOffsets: attrs.offsets.map((o) => o * 4) }),
});
defineCheck(packOp, {
  reference: (inputs, { offsets, size }) => {
    const data = new Float64Array(size);
    inputs.forEach((t, i) => {
      data.set(t.data, offsets[i]);
    });
    return [{ dtype: 'f32', shape: [size], data }];
  },
  cases: [{ name: 'none', inputs: [], attrs: { offsets: [], size: 0 } }],
});

/** Emits a node of one output. */
export function emit<A>(
  g: { emit(op: AnyOp, inputs: readonly Value[], attrs: A): readonly Value[] },
  op: AnyOp,
  inputs: readonly Value[],
  attrs?: A,
): Value {
  return g.emit(op, inputs, attrs as A)[0]!;
}
