/** unfold: pictures cut into (overlapping) windows, so that a convolution becomes a linear layer; fold is its adjoint. */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, KernelNode, OnnxForm, Param, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { divisor, perElement, WORKGROUP } from './dispatch.ts';
import { pick, withGaps } from './onnx.ts';

export interface UnfoldAttrs {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** ONNX's order: top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

export interface FoldAttrs extends UnfoldAttrs {
  /** [B, C, H, W] of the picture. */
  readonly shape: readonly number[];
}

/** Windows down and across. */
export function windows(
  [, , height, width]: readonly number[],
  { kernel, stride, pads }: UnfoldAttrs,
): [number, number] {
  return [
    Math.floor((height! + pads[0] + pads[2] - kernel[0]) / stride[0]) + 1,
    Math.floor((width! + pads[1] + pads[3] - kernel[1]) / stride[1]) + 1,
  ];
}

export function patchShape(shape: readonly number[], attrs: UnfoldAttrs): number[] {
  const [down, across] = windows(shape, attrs);
  if (shape.length !== 4 || down < 1 || across < 1) {
    fail('shape', say`unfold: windows of [${attrs.kernel}] do not fit into [${shape}].`);
  }
  return [shape[0]!, down * across, shape[1]! * attrs.kernel[0] * attrs.kernel[1]];
}

function params(count: number, shape: readonly number[], attrs: UnfoldAttrs): Param[] {
  const [down, across] = windows(shape, attrs);
  const [rows, columns] = attrs.kernel;
  return [
    ...[count, ...shape.slice(1), rows, columns, ...attrs.stride, ...attrs.pads.slice(0, 2), down, across],
    ...[columns, rows, shape[1]!, down * across, across].flatMap((size) => divisor(size)),
  ];
}

const kernelOf = (entry: string, node: KernelNode<UnfoldAttrs>, picture: readonly number[]) => {
  const count = sizeOf(node.outputs[0]!.shape);
  return {
    dispatches: [
      {
        shader: 'unfold.wgsl',
        entry,
        constants: { WG: WORKGROUP },
        params: params(count, picture, node.attrs),
        bindings: [{ in: 0 }, { out: 0 }],
        workgroups: perElement(count),
      },
    ],
  };
};

// In ONNX.

/** Every place (row, column) of a window. */
const places = ([kh, kw]: readonly [number, number]): (readonly [number, number])[] =>
  Array.from({ length: kh * kw }, (_, i) => [Math.floor(i / kw), i % kw]);

/** The windows [B, L, C·kh·kw]: of each place within a window the picture's numbers there, [B, C, down, across], side by side. */
const unfoldOnnx: OnnxForm<UnfoldAttrs> = (e, [x], { inputs, outputs, attrs }) => {
  const { kernel, stride, pads } = attrs;
  const [batch, channels, height, width] = inputs[0]!.shape as [number, number, number, number];
  const [down, across] = windows(inputs[0]!.shape, attrs);
  const [kh, kw] = kernel;
  if (stride.join() === kernel.join() && down * kh === height && across * kw === width) {
    const apart = e.reshape(x!, [batch, channels, down, kh, across, kw]);
    return [e.reshape(e.transpose(apart, [0, 2, 4, 1, 3, 5]), outputs[0]!.shape)];
  }
  const [top, left, bottom, right] = pads;
  const wide = e.op('Pad', [x!, e.ints([0, 0, top, left, 0, 0, bottom, right])]);
  const axes = e.ints([2, 3]);
  const at = places(kernel).map(([r, c]) => {
    const ends = [r + (down - 1) * stride[0] + 1, c + (across - 1) * stride[1] + 1];
    const taken = e.op('Slice', [wide, e.ints([r, c]), e.ints(ends), axes, e.ints(stride)]);
    return e.reshape(taken, [batch, channels, 1, down * across]);
  });
  const together = e.op('Concat', at, { axis: 2 });
  return [e.reshape(e.transpose(together, [0, 3, 1, 2]), outputs[0]!.shape)];
};

/** The sum over a window's places of their numbers, each where the picture has it. */
const foldOnnx: OnnxForm<FoldAttrs> = (e, [patches], { attrs }) => {
  const { kernel, stride, pads, shape } = attrs;
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const [down, across] = windows(shape, attrs);
  const [kh, kw] = kernel;
  const byPlace = e.transpose(e.reshape(patches!, [batch, down, across, channels, kh * kw]), [4, 0, 3, 1, 2]);
  const [top, left, bottom, right] = pads;
  const [tall, long] = [height + top + bottom, width + left + right];
  const parts = places(kernel).map(([r, c], i) => {
    const spread = withGaps(e, pick(e, byPlace, i), [batch, channels, down, across], [1, 1, ...stride]);
    const below = tall - r - ((down - 1) * stride[0] + 1);
    const after = long - c - ((across - 1) * stride[1] + 1);
    return e.op('Pad', [spread, e.ints([0, 0, r, c, 0, 0, below, after])]);
  });
  const sum = parts.length === 1 ? parts[0]! : e.op('Sum', parts);
  const axes = e.ints([2, 3]);
  return [e.op('Slice', [sum, e.ints([top, left]), e.ints([top + height, left + width]), axes])];
};

export const unfoldOp = defineOp<UnfoldAttrs>({
  name: 'unfold',
  infer([x], attrs) {
    if (x!.dtype !== 'f32') fail('shape', say`unfold: takes f32, not ${x!.dtype}.`);
    return [{ dtype: 'f32', shape: patchShape(x!.shape, attrs) }];
  },
  gradient: (g, node, [dY]) => [g.emit(foldOp, [dY!], { ...node.attrs, shape: node.inputs[0]!.shape })[0]!],
  kernel: (node) => kernelOf('unfold', node, node.inputs[0]!.shape),
  onnx: unfoldOnnx,
});

export const foldOp = defineOp<FoldAttrs>({
  name: 'fold',
  infer([patches], attrs) {
    if (patches!.shape.join() !== patchShape(attrs.shape, attrs).join()) {
      fail('shape', say`fold: patches [${patches!.shape}] are not those of [${attrs.shape}].`);
    }
    return [{ dtype: 'f32', shape: attrs.shape }];
  },
  gradient: null,
  kernel: (node) => kernelOf('fold', node, node.attrs.shape),
  onnx: foldOnnx,
});

/** x [B, C, H, W] → windows [B, L, C·kh·kw]. */
export const unfold = (g: Emitter, x: Value, attrs: UnfoldAttrs): Value => g.emit(unfoldOp, [x], attrs)[0]!;
