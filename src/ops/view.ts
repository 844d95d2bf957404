/** Ops that move no data: view (another shape, or a contiguous part), detach, split (many parts), pack (the inverse of split). */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { bytesOf } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { embedPart } from './embedPart.ts';
import { emptyTensor } from './reference.ts';

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
    fail('shape', `${op}: [${shape}] at ${offset} lies outside a tensor of ${size} elements.`);
  }
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
    return [
      sizeOf(shape) === sizeOf(x.shape)
        ? view(g, dY!, x.shape)
        : embedPart(g, dY!, { shape: x.shape, offset }),
    ];
  },
  alias: ({ inputs, attrs }) => ({ kind: 'view', byteOffsets: [attrs.offset * bytesOf[inputs[0]!.dtype]] }),
  reference([x], { shape, offset }) {
    return [{ dtype: x!.dtype, shape, data: x!.data.slice(offset, offset + sizeOf(shape)) }];
  },
  cases: [
    { name: 'reshape', inputs: [{ dtype: 'f32', shape: [3, 8] }], attrs: { shape: [2, 12], offset: 0 } },
    { name: 'part', inputs: [{ dtype: 'f32', shape: [4, 64] }], attrs: { shape: [2, 32], offset: 128 } },
    {
      name: 'part off the alignment',
      inputs: [{ dtype: 'f32', shape: [5, 7] }],
      attrs: { shape: [7], offset: 14 },
    },
  ],
});

export const detachOp = defineOp<Record<never, never>>({
  name: 'detach',
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  gradient: () => [null],
  alias: () => ({ kind: 'view', byteOffsets: [0] }),
  reference: ([x]) => [x!],
  cases: [{ name: 'matrix', inputs: [{ dtype: 'f32', shape: [3, 5] }], attrs: {}, gradientInputs: [] }],
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
  reference([x], { parts }) {
    return parts.map(({ offset, shape }) => ({
      dtype: x!.dtype,
      shape,
      data: x!.data.slice(offset, offset + sizeOf(shape)),
    }));
  },
  cases: [
    {
      name: 'tiles the input',
      inputs: [{ dtype: 'f32', shape: [3, 64] }],
      attrs: {
        parts: [
          { offset: 0, shape: [8, 8] },
          { offset: 64, shape: [64] },
          { offset: 128, shape: [4, 16] },
        ],
      },
    },
    {
      name: 'gaps and odd offsets',
      inputs: [{ dtype: 'f32', shape: [40] }],
      attrs: {
        parts: [
          { offset: 3, shape: [2, 5] },
          { offset: 20, shape: [7] },
        ],
      },
    },
  ],
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
          `pack: ${t.dtype} [${t.shape}] at ${offset} overlaps what precedes it, or differs in type.`,
        );
      }
      end = offset + sizeOf(t.shape);
    });
    if (inputs.length === 0 || end > size) fail('shape', `pack: ${end} elements do not fit into ${size}.`);
    return [{ dtype: inputs[0]!.dtype, shape: [size] }];
  },
  gradient: (g, node, [dY], wants) =>
    node.inputs.map((x, i) => (wants[i] ? view(g, dY!, x.shape, node.attrs.offsets[i]!) : null)),
  alias: ({ inputs, attrs }) => ({
    kind: 'pack',
    byteOffsets: attrs.offsets.map((offset) => offset * bytesOf[inputs[0]!.dtype]),
  }),
  reference(inputs, { offsets, size }) {
    const y = emptyTensor(inputs[0]!.dtype, [size]);
    inputs.forEach(({ data }, i) => {
      y.data.set(data, offsets[i]!);
    });
    return [y];
  },
  cases: [
    {
      name: 'aligned, with padding',
      inputs: [
        { dtype: 'f32', shape: [5, 9] },
        { dtype: 'f32', shape: [64] },
        { dtype: 'f32', shape: [3] },
      ],
      attrs: { offsets: [0, 64, 128], size: 192 },
    },
    {
      name: 'off the alignment',
      inputs: [
        { dtype: 'f32', shape: [7] },
        { dtype: 'f32', shape: [2, 3] },
      ],
      attrs: { offsets: [0, 7], size: 13 },
    },
  ],
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
