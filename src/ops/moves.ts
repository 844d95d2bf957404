/**
 * Ops that move elements and compute nothing: view (another shape, or a contiguous part), detach, split (many parts), pack (the
 * inverse of split) move no data; transpose, slice and concat copy it, and unslice, the gradient of slice, puts a range back into zeros.
 */

import { sameShape, sizeOf, stridesOf } from '../graph/shape.ts';
import {
  bytesOf,
  defineOp,
  type Emitter,
  type Kernel,
  type OnnxWriter,
  type TensorType,
  type Value,
} from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { assembleKernel, MOST_PARTS } from './assemble.ts';
import { axes, eight, MAX_RANK, mergeAxes, perElement, WORKGROUP } from './dispatch.ts';
import { backwards, withGaps } from './onnx.ts';

/** Output [shape] reads x at `offset` + coordinates · `strides` (elements). */
export function stridedKernel(shape: readonly number[], strides: readonly number[], offset: number): Kernel {
  const n = sizeOf(shape);
  const merged = mergeAxes(shape, [strides]);
  return {
    dispatches: [
      {
        shader: 'strided.wgsl',
        entry: 'copy',
        constants: { WG: WORKGROUP, RANK: merged.shape.length },
        params: [n, offset, 0, 0, ...axes(merged.shape, merged.strides[0]!)],
        bindings: [{ in: 0 }, { out: 0 }],
        workgroups: perElement(n),
      },
    ],
  };
}

export interface ViewAttrs {
  readonly shape: readonly number[];
  /** In elements. */
  readonly offset: number;
}

/** A contiguous part of a buffer: element offset and shape. */
export interface Part {
  readonly offset: number;
  readonly shape: readonly number[];
}

export interface SplitAttrs {
  readonly parts: readonly Part[];
}

export interface PackAttrs {
  /** Element offset of each input; ascending, without overlap. What no input covers is zero. */
  readonly offsets: readonly number[];
  readonly size: number;
}

function checkPart(op: string, size: number, { offset, shape }: Part): void {
  if (offset < 0 || offset + sizeOf(shape) > size) {
    fail('shape', say`${op}: [${shape}] at ${offset} lies outside a tensor of ${size} elements.`);
  }
}

/** A contiguous part of x, in ONNX. */
function partOnnx(e: OnnxWriter, x: string, rank: number, { offset, shape }: Part): string {
  const flat = rank === 1 ? x : e.reshape(x, [-1]);
  return e.reshape(e.part(flat, offset, sizeOf(shape)), shape);
}

export const viewOp = defineOp<ViewAttrs>({
  name: 'view',
  infer([x], attrs) {
    checkPart('view', sizeOf(x!.shape), attrs);
    return [{ dtype: x!.dtype, shape: attrs.shape }];
  },
  gradient(g, node, [dY]) {
    const x = node.inputs[0]!;
    const { shape, offset } = node.attrs;
    const size = sizeOf(x.shape);
    const whole = sizeOf(shape) === size ? dY! : pack(g, [dY!], { offsets: [offset], size });
    return [view(g, whole, x.shape)];
  },
  alias: ({ inputs, attrs }) => ({ kind: 'view', byteOffsets: [attrs.offset * bytesOf[inputs[0]!.dtype]] }),
  onnx: (e, [x], { inputs, attrs }) => [
    sizeOf(attrs.shape) === sizeOf(inputs[0]!.shape)
      ? e.reshape(x!, attrs.shape)
      : partOnnx(e, x!, inputs[0]!.shape.length, attrs),
  ],
});

export const detachOp = defineOp<Record<never, never>>({
  name: 'detach',
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  gradient: () => [null],
  alias: () => ({ kind: 'view', byteOffsets: [0] }),
  onnx: (_e, [x]) => [x!],
});

export const splitOp = defineOp<SplitAttrs>({
  name: 'split',
  infer([x], { parts }) {
    for (const part of parts) checkPart('split', sizeOf(x!.shape), part);
    return parts.map(({ shape }) => ({ dtype: x!.dtype, shape }));
  },
  gradient(g, node, dOut) {
    const x = node.inputs[0]!;
    const { parts } = node.attrs;
    const present = parts
      .map((part, i) => ({ offset: part.offset, d: dOut[i] }))
      .filter((entry): entry is { offset: number; d: Value } => entry.d != null)
      .sort((a, b) => a.offset - b.offset);
    const flat = pack(
      g,
      present.map(({ d }) => d),
      { offsets: present.map(({ offset }) => offset), size: sizeOf(x.shape) },
    );
    return [view(g, flat, x.shape)];
  },
  alias: ({ inputs, attrs }) => ({
    kind: 'view',
    byteOffsets: attrs.parts.map(({ offset }) => offset * bytesOf[inputs[0]!.dtype]),
  }),
  onnx: (e, [x], { inputs, attrs }) =>
    attrs.parts.map((part) => partOnnx(e, x!, inputs[0]!.shape.length, part)),
});

export const packOp = defineOp<PackAttrs>({
  name: 'pack',
  infer(inputs, { offsets, size }) {
    let end = 0;
    inputs.forEach((t, i) => {
      const offset = offsets[i];
      if (offset === undefined || offset < end || t.dtype !== inputs[0]!.dtype) {
        fail(
          'shape',
          say`pack: ${t.dtype} [${t.shape}] at ${offset ?? ''} overlaps what precedes it, or differs in type.`,
        );
      }
      end = offset + sizeOf(t.shape);
    });
    if (inputs.length === 0 || end > size) fail('shape', say`pack: ${end} elements do not fit into ${size}.`);
    return [{ dtype: inputs[0]!.dtype, shape: [size] }];
  },
  gradient: (g, node, [dY], wants) =>
    node.inputs.map((x, i) => (wants[i] ? view(g, dY!, x.shape, node.attrs.offsets[i]!) : null)),
  alias: ({ inputs, attrs }) => ({
    kind: 'pack',
    byteOffsets: attrs.offsets.map((offset) => offset * bytesOf[inputs[0]!.dtype]),
  }),
  onnx(e, xs, { inputs, attrs: { offsets, size } }) {
    const pieces: { name: string; size: number }[] = [];
    let end = 0;
    const upTo = (offset: number) => {
      if (offset > end) pieces.push({ name: e.zeros([offset - end]), size: offset - end });
    };
    xs.forEach((x, i) => {
      upTo(offsets[i]!);
      const piece = sizeOf(inputs[i]!.shape);
      pieces.push({ name: e.reshape(x, [-1]), size: piece });
      end = offsets[i]! + piece;
    });
    upTo(size);
    return [e.joined(pieces)];
  },
});

/** x in another shape, or the part of it from element `offset` on that `shape` covers. */
export function view(g: Emitter, x: Value, shape: readonly number[], offset = 0): Value {
  if (offset === 0 && sameShape(x.shape, shape)) return x;
  return g.emit(viewOp, [x], { shape, offset })[0]!;
}

/** x, with nothing differentiated through it. */
export const detach = (g: Emitter, x: Value): Value => g.emit(detachOp, [x], {})[0]!;

/** Contiguous parts of x. */
export const split = (g: Emitter, x: Value, parts: readonly Part[]): readonly Value[] =>
  g.emit(splitOp, [x], { parts });

/** One flat buffer of `size` elements with each input at its element offset, zero between them. */
export const pack = (g: Emitter, xs: readonly Value[], attrs: PackAttrs): Value =>
  g.emit(packOp, xs, attrs)[0]!;

export interface TransposeAttrs {
  /** Axis i of the result is axis perm[i] of the input. */
  readonly perm: readonly number[];
}

export const permuted = (values: readonly number[], perm: readonly number[]): number[] =>
  perm.map((axis) => values[axis]!);

export const transposeOp = defineOp<TransposeAttrs>({
  name: 'transpose',
  infer([x], { perm }) {
    const { dtype, shape } = x!;
    const sorted = [...perm].sort((a, b) => a - b);
    if (dtype === 'f16' || shape.length > MAX_RANK || sorted.join() !== shape.map((_, i) => i).join()) {
      fail('shape', say`transpose: ${dtype} [${shape}] does not take the permutation [${perm}].`);
    }
    return [{ dtype, shape: permuted(shape, perm) }];
  },
  gradient(g, node, [dY]) {
    const { perm } = node.attrs;
    return [transpose(g, dY!, { perm: perm.map((_, axis) => perm.indexOf(axis)) })];
  },
  kernel: ({ inputs, outputs, attrs }) =>
    stridedKernel(outputs[0]!.shape, permuted(stridesOf(inputs[0]!.shape), attrs.perm), 0),
  onnx: (e, [x], { attrs }) => [e.transpose(x!, attrs.perm)],
});

/** x with axis i of the result taken from axis perm[i]. */
export const transpose = (g: Emitter, x: Value, attrs: TransposeAttrs): Value =>
  attrs.perm.every((axis, i) => axis === i) ? x : g.emit(transposeOp, [x], attrs)[0]!;

export interface SliceAttrs {
  /** One per axis, normalised: the first index taken, the first not taken (-1 before index 0), the step (not 0). */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly steps: readonly number[];
}

export interface UnsliceAttrs {
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  readonly shape: readonly number[];
}

export function slicePlan(x: TensorType, { starts, steps }: Pick<SliceAttrs, 'starts' | 'steps'>) {
  const strides = stridesOf(x.shape);
  return {
    strides: strides.map((s, i) => s * steps[i]!),
    offset: strides.reduce((sum, s, i) => sum + s * starts[i]!, 0),
  };
}

export const outShape = ({ starts, ends, steps }: SliceAttrs): number[] =>
  starts.map((start, i) => Math.max(0, Math.ceil((ends[i]! - start) / steps[i]!)));

/** "Before index 0", which ONNX's Slice has no plain number for. */
const BEFORE_FIRST = -(2 ** 31);

export const sliceOp = defineOp<SliceAttrs>({
  name: 'slice',
  infer([x], attrs) {
    const { starts, ends, steps } = attrs;
    const { dtype, shape } = x!;
    const axes = shape.length;
    const inside = shape.every((d, i) => {
      const size = outShape(attrs)[i]!;
      const last = starts[i]! + (size - 1) * steps[i]!;
      return size > 0 && starts[i]! >= 0 && starts[i]! < d && last >= 0 && last < d;
    });
    if (
      starts.length !== axes ||
      ends.length !== axes ||
      steps.length !== axes ||
      steps.includes(0) ||
      !inside
    ) {
      fail('shape', say`slice: [${starts}] to [${ends}] by [${steps}] does not lie in [${shape}].`);
    }
    if (dtype === 'f16' || axes > MAX_RANK) fail('shape', say`slice: does not take ${dtype} [${shape}].`);
    return [{ dtype, shape: outShape(attrs) }];
  },
  gradient: (g, node, [dY]) => [
    g.emit(unsliceOp, [dY!], {
      starts: node.attrs.starts,
      steps: node.attrs.steps,
      shape: node.inputs[0]!.shape,
    })[0]!,
  ],
  kernel({ inputs, outputs, attrs }) {
    const { strides, offset } = slicePlan(inputs[0]!, attrs);
    return stridedKernel(outputs[0]!.shape, strides, offset);
  },
  onnx: (e, [x], { attrs: { starts, ends, steps } }) => [
    e.op('Slice', [
      x!,
      e.ints(starts),
      e.ints(ends.map((end) => (end < 0 ? BEFORE_FIRST : end))),
      e.ints(starts.map((_, i) => i)),
      e.ints(steps),
    ]),
  ],
});

export const unsliceOp = defineOp<UnsliceAttrs>({
  name: 'unslice',
  infer([dY], { shape }) {
    if (dY!.dtype !== 'f32' || shape.length !== dY!.shape.length) {
      fail('shape', say`unslice: ${dY!.dtype} [${dY!.shape}] does not go into [${shape}].`);
    }
    return [{ dtype: 'f32', shape }];
  },
  gradient: null,
  kernel({ inputs, attrs: { shape, starts, steps } }) {
    const n = sizeOf(shape);
    return {
      dispatches: [
        {
          shader: 'unslice.wgsl',
          entry: 'unslice',
          constants: { WG: WORKGROUP, RANK: Math.max(1, shape.length) },
          params: [
            ...[n, 0, 0, 0],
            ...[...eight(shape, 1), ...eight(inputs[0]!.shape, 1)],
            ...[...eight(starts), ...eight(steps, 1)],
          ],
          bindings: [{ in: 0 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  onnx(e, [x], { inputs, attrs: { starts, steps, shape } }) {
    const given = inputs[0]!.shape;
    const [first, apart] = [
      starts.map((s, i) => Math.min(s, s + (given[i]! - 1) * steps[i]!)),
      steps.map(Math.abs),
    ];
    const forward = backwards(e, x!, steps);
    const spread = given.map((d, i) => (d - 1) * apart[i]! + 1);
    const after = shape.map((d, i) => d - first[i]! - spread[i]!);
    return [e.op('Pad', [withGaps(e, forward, given, apart), e.ints([...first, ...after])])];
  },
});

/** x from starts to ends by steps along every axis (all normalised). */
export const slice = (g: Emitter, x: Value, attrs: SliceAttrs): Value => g.emit(sliceOp, [x], attrs)[0]!;

export interface ConcatAttrs {
  readonly axis: number;
}

/** Where each input begins along the axis. */
export const beginnings = (shapes: readonly (readonly number[])[], axis: number): number[] => {
  let at = 0;
  return shapes.map((shape) => (at += shape[axis]!) - shape[axis]!);
};

export const concatOp = defineOp<ConcatAttrs>({
  name: 'concat',
  infer(inputs, { axis }) {
    const first = inputs[0]!;
    if (inputs.length > MOST_PARTS)
      fail('shape', say`concat: takes ${MOST_PARTS} tensors at most, not ${inputs.length}.`);
    for (const { dtype, shape } of inputs) {
      const alike =
        shape.length === first.shape.length && shape.every((d, i) => i === axis || d === first.shape[i]);
      if (!alike || dtype !== first.dtype || dtype === 'f16' || axis < 0 || axis >= shape.length) {
        fail(
          'shape',
          say`concat: ${dtype} [${shape}] does not join ${first.dtype} [${first.shape}] along axis ${axis}.`,
        );
      }
    }
    const length = inputs.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? length : d)) }];
  },
  gradient(g, node, [dY], wants) {
    const { axis } = node.attrs;
    const begin = beginnings(
      node.inputs.map((x) => x.shape),
      axis,
    );
    return node.inputs.map((x, k) =>
      wants[k]
        ? slice(g, dY!, {
            starts: x.shape.map((_, i) => (i === axis ? begin[k]! : 0)),
            ends: x.shape.map((d, i) => (i === axis ? begin[k]! + d : d)),
            steps: x.shape.map(() => 1),
          })
        : null,
    );
  },
  kernel({ inputs, outputs, attrs: { axis } }) {
    const inner = sizeOf(outputs[0]!.shape.slice(axis + 1));
    const row = outputs[0]!.shape[axis]! * inner;
    const rows = sizeOf(outputs[0]!.shape) / row;
    const begin = beginnings(
      inputs.map((x) => x.shape),
      axis,
    );
    return assembleKernel('join', {
      shape: [rows, row],
      windows: inputs.map(({ shape }, k) => {
        const own = shape[axis]! * inner;
        return { low: [0, begin[k]! * inner], size: [rows, own], strides: [own, 1], offset: 0, by: 1 };
      }),
    });
  },
  onnx: (e, xs, { attrs }) => [e.op('Concat', xs, { axis: attrs.axis })],
});

/** xs joined along `axis`, however many. */
export function concat(g: Emitter, xs: readonly Value[], attrs: ConcatAttrs): Value {
  if (xs.length === 1) return xs[0]!;
  if (xs.length <= MOST_PARTS) return g.emit(concatOp, xs, attrs)[0]!;
  return concat(g, [concat(g, xs.slice(0, MOST_PARTS), attrs), ...xs.slice(MOST_PARTS)], attrs);
}
