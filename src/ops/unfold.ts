/** unfold: pictures cut into (overlapping) windows, so that a convolution becomes a linear layer; fold is its adjoint. */
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, KernelNode, Param, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

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
    fail('shape', `unfold: windows of [${attrs.kernel}] do not fit into [${shape}].`);
  }
  return [shape[0]!, down * across, shape[1]! * attrs.kernel[0] * attrs.kernel[1]];
}

const params = (count: number, shape: readonly number[], attrs: UnfoldAttrs): Param[] => [
  count,
  ...shape.slice(1),
  ...attrs.kernel,
  ...attrs.stride,
  ...attrs.pads.slice(0, 2),
  ...windows(shape, attrs),
];

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

export const unfoldOp = defineOp<UnfoldAttrs>({
  name: 'unfold',
  infer([x], attrs) {
    if (x!.dtype !== 'f32') fail('shape', `unfold: takes f32, not ${x!.dtype}.`);
    return [{ dtype: 'f32', shape: patchShape(x!.shape, attrs) }];
  },
  gradient: (g, node, [dY]) => [g.emit(foldOp, [dY!], { ...node.attrs, shape: node.inputs[0]!.shape })[0]!],
  kernel: (node) => kernelOf('unfold', node, node.inputs[0]!.shape),
  onnx(e, [x], { inputs, outputs, attrs: { kernel, stride, pads } }) {
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
    const apart = e.reshape(x!, [batch, channels, down, kh, across, kw]);
    return [e.reshape(e.transpose(apart, [0, 2, 4, 1, 3, 5]), outputs[0]!.shape)];
  },
});

export const foldOp = defineOp<FoldAttrs>({
  name: 'fold',
  infer([patches], attrs) {
    if (patches!.shape.join() !== patchShape(attrs.shape, attrs).join()) {
      fail('shape', `fold: patches [${patches!.shape}] are not those of [${attrs.shape}].`);
    }
    return [{ dtype: 'f32', shape: attrs.shape }];
  },
  gradient: null,
  kernel: (node) => kernelOf('fold', node, node.attrs.shape),
});

/** x [B, C, H, W] → windows [B, L, C·kh·kw]. */
export const unfold = (g: Emitter, x: Value, attrs: UnfoldAttrs): Value => g.emit(unfoldOp, [x], attrs)[0]!;
