/** Ops that move no data: view (another shape, or a contiguous part), detach, split (many parts), pack (the inverse of split). */
import { defineOp } from '../graph/defineOp.ts';
import { sameShape, sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { bytesOf } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';

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
    const size = sizeOf(x.shape);
    const whole = sizeOf(shape) === size ? dY! : pack(g, [dY!], { offsets: [offset], size });
    return [view(g, whole, x.shape)];
  },
  alias: ({ inputs, attrs }) => ({ kind: 'view', byteOffsets: [attrs.offset * bytesOf[inputs[0]!.dtype]] }),
});

export const detachOp = defineOp<Record<never, never>>({
  name: 'detach',
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  gradient: () => [null],
  alias: () => ({ kind: 'view', byteOffsets: [0] }),
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
