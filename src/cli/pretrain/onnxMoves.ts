/** Ops that move data without computing: views, parts, permutations, joins, look-ups. */
import { sizeOf } from '../../graph/shape.ts';
import { fail } from '../../lib/errors.ts';
import type { ExpandAttrs } from '../../ops/elementwise.ts';
import type { ScatterAddRowsAttrs, TakeAlongGradAttrs } from '../../ops/lookups.ts';
import type {
  ConcatAttrs,
  PackAttrs,
  Part,
  SliceAttrs,
  SplitAttrs,
  TransposeAttrs,
  UnsliceAttrs,
  ViewAttrs,
} from '../../ops/moves.ts';
import type { UnfoldAttrs } from '../../ops/unfold.ts';
import { type Lowering, lowering, type OnnxEmitter } from './emitter.ts';

/** "Before index 0", which ONNX's Slice has no plain number for. */
const BEFORE_FIRST = -(2 ** 31);

const flat = (e: OnnxEmitter, x: string): string => e.reshape(x, [-1]);

function part(e: OnnxEmitter, x: string, { offset, shape }: Part): string {
  const range = e.op('Slice', [flat(e, x), e.ints([offset]), e.ints([offset + sizeOf(shape)]), e.ints([0])]);
  return e.reshape(range, shape);
}

/** Vectors at offsets of one of `size` elements, zero between them. */
function packed(
  e: OnnxEmitter,
  parts: readonly { readonly x: string; readonly offset: number; readonly count: number }[],
  size: number,
): string {
  const pieces: string[] = [];
  let end = 0;
  const upTo = (offset: number) => {
    if (offset > end) pieces.push(e.zeros([offset - end]));
  };
  for (const { x, offset, count } of parts) {
    upTo(offset);
    pieces.push(flat(e, x));
    end = offset + count;
  }
  upTo(size);
  return e.op('Concat', pieces, { axis: 0 });
}

/** Rows in blocks of as many as there are rows of indices, which repeat over the blocks. */
function alongOf(x: readonly number[], [period, taken]: readonly number[]) {
  return { blocks: sizeOf(x.slice(0, -1)) / period!, period: period!, taken: taken! };
}

export const moves: Readonly<Record<string, Lowering>> = {
  detach: (_e, [x]) => [x!],
  view: lowering<ViewAttrs>((e, [x], { inputs, attrs }) => [
    sizeOf(attrs.shape) === sizeOf(inputs[0]!.shape) ? e.reshape(x!, attrs.shape) : part(e, x!, attrs),
  ]),
  split: lowering<SplitAttrs>((e, [x], { attrs }) => attrs.parts.map((p) => part(e, x!, p))),
  pack: lowering<PackAttrs>((e, xs, { inputs, attrs: { offsets, size } }) => [
    packed(
      e,
      xs.map((x, i) => ({ x, offset: offsets[i]!, count: sizeOf(inputs[i]!.shape) })),
      size,
    ),
  ]),
  expand: lowering<ExpandAttrs>((e, [x], { attrs }) => [e.op('Expand', [x!, e.ints(attrs.shape)])]),
  transpose: lowering<TransposeAttrs>((e, [x], { attrs }) => [e.transpose(x!, attrs.perm)]),
  concat: lowering<ConcatAttrs>((e, xs, { attrs }) => [e.op('Concat', xs, { axis: attrs.axis })]),
  slice: lowering<SliceAttrs>((e, [x], { attrs: { starts, ends, steps } }) => [
    e.op('Slice', [
      x!,
      e.ints(starts),
      e.ints(ends.map((end) => (end < 0 ? BEFORE_FIRST : end))),
      e.ints(starts.map((_, i) => i)),
      e.ints(steps),
    ]),
  ]),
  unslice: lowering<UnsliceAttrs>((e, [x], { inputs, attrs: { starts, steps, shape } }) => {
    if (steps.some((s) => s !== 1))
      return fail('unsupported-onnx', `The op unslice with the steps [${steps}] has no translation to ONNX.`);
    const after = shape.map((d, i) => d - starts[i]! - inputs[0]!.shape[i]!);
    return [e.op('Pad', [x!, e.ints([...starts, ...after])])];
  }),
  gather: (e, [table, ids]) => [e.op('Gather', [table!, ids!])],
  scatterAddRows: lowering<ScatterAddRowsAttrs>((e, [dy, ids], { inputs, attrs: { rows } }) => {
    const count = sizeOf(inputs[1]!.shape);
    const columns = sizeOf(inputs[0]!.shape) / count;
    const ofEach = e.reshape(e.op('Cast', [ids!], { to: 7 }), [count, 1]);
    const indices = e.op('Expand', [ofEach, e.ints([count, columns])]);
    const updates = e.reshape(dy!, [count, columns]);
    const sum = e.op('ScatterElements', [e.zeros([rows, columns]), indices, updates], {
      axis: 0,
      reduction: 'add',
    });
    return [e.reshape(sum, [rows, ...inputs[0]!.shape.slice(inputs[1]!.shape.length)])];
  }),
  takeAlong: (e, [x, index], { inputs, outputs }) => {
    const { blocks, period, taken } = alongOf(inputs[0]!.shape, inputs[1]!.shape);
    const rows = e.reshape(x!, [blocks, period, inputs[0]!.shape.at(-1)!]);
    const ids = e.op('Expand', [index!, e.ints([blocks, period, taken])]);
    return [e.reshape(e.op('GatherElements', [rows, ids], { axis: 2 }), outputs[0]!.shape)];
  },
  takeAlongGrad: lowering<TakeAlongGradAttrs>((e, [dy, index], { inputs, outputs, attrs: { length } }) => {
    const { blocks, period, taken } = alongOf(inputs[0]!.shape, inputs[1]!.shape);
    const ids = e.op('Expand', [index!, e.ints([blocks, period, taken])]);
    const updates = e.reshape(dy!, [blocks, period, taken]);
    const sum = e.op('ScatterElements', [e.zeros([blocks, period, length]), ids, updates], {
      axis: 2,
      reduction: 'add',
    });
    return [e.reshape(sum, outputs[0]!.shape)];
  }),
  unfold: lowering<UnfoldAttrs>((e, [x], { inputs, outputs, attrs: { kernel, stride, pads } }) => {
    if (stride.join() !== kernel.join() || pads.some((p) => p !== 0))
      return fail(
        'unsupported-onnx',
        'The op unfold has a translation to ONNX only for windows side by side.',
      );
    const [batch, channels, height, width] = inputs[0]!.shape as [number, number, number, number];
    const [kh, kw] = kernel;
    const [down, across] = [Math.floor(height / kh), Math.floor(width / kw)];
    if (down * kh !== height || across * kw !== width)
      return fail(
        'unsupported-onnx',
        'The op unfold has a translation to ONNX only for windows that fill the picture.',
      );
    const windows = e.reshape(x!, [batch, channels, down, kh, across, kw]);
    return [e.reshape(e.transpose(windows, [0, 2, 4, 1, 3, 5]), outputs[0]!.shape)];
  }),
};
