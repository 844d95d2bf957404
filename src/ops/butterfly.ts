/**
 * Butterfly products (OFT, BOFT): rotates the last axis of activations or weights by m sparse factors of small blocks, by index
 * arithmetic. No permutation matrix and no dense d × d matrix is ever made.
 *
 * Stacks: with R [T, m, num, b, b] one node does T rotations, `own`: x [T, …, d] entry by entry; `share`: one x [..., d] gives
 * [T, …, d] (query, key and value that read one activation); `sum`: x [T, …, d] gives the sum [..., d] (the gradient of `share`).
 *
 * The gradient of y = x B_(m−1) … B_0 in its blocks, and on the way in x, is an op of its own; the blocks' part needs rows · d · b
 * multiply-adds per factor, never a d × d matrix. Kernels: butterflyKernels.ts.
 */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import {
  type ButterflySizes,
  backKernel,
  butterflySizes,
  gradOperands,
  takesSlope,
  turnKernel,
} from './butterflyKernels.ts';
import { butterflyGradOnnx, butterflyOnnx } from './butterflyOnnx.ts';
import type { Activation } from './scalar.ts';

export interface ButterflyAttrs {
  /** Multiplies by Mᵀ instead of M. */
  readonly transpose: boolean;
  readonly stack: 'own' | 'share' | 'sum';
}

interface Laid {
  readonly size: ButterflySizes;
  readonly output: readonly number[];
  readonly xStack: number;
}

export function butterflyLayout([x, blocks, mask]: readonly TensorType[], attrs: ButterflyAttrs): Laid {
  const shape = x!.shape;
  const stacked = blocks!.shape.length === 5;
  const own = attrs.stack !== 'share';
  if (!stacked && attrs.stack !== 'own')
    fail('shape', say`butterfly: blocks [${blocks!.shape}] are no stack.`);
  if (stacked && own && shape[0] !== blocks!.shape[0]) {
    fail(
      'shape',
      say`butterfly: x [${shape}] and blocks [${blocks!.shape}] are stacks of different lengths.`,
    );
  }
  const entry = stacked && own ? shape.slice(1) : shape;
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  const size = butterflySizes(blocks!, d, rows, mask);
  const output = attrs.stack === 'share' ? [size.stack, ...shape] : attrs.stack === 'sum' ? entry : shape;
  return { size, output, xStack: attrs.stack === 'share' ? 0 : rows * d };
}

/** x f32 [..., d], R [T?, m, num | 1, b, b], mask? [T?, m, num] (0: that block is the identity) → rotated x. */
export const butterflyOp = defineOp<ButterflyAttrs>({
  name: 'butterfly',
  infer: (inputs, attrs) => [{ dtype: 'f32', shape: [...butterflyLayout(inputs, attrs).output] }],
  gradient: (g, node, [dY], [wantX, wantBlocks]) => {
    const [x, blocks, mask] = node.inputs as [Value, Value, Value | undefined];
    const { transpose, stack } = node.attrs;
    if (!dY) return node.inputs.map(() => null);
    const masked = mask ? [mask] : [];
    const turn = (): Value => {
      const back = stack === 'share' ? 'sum' : stack === 'sum' ? 'share' : 'own';
      return g.emit<ButterflyAttrs>(butterflyOp, [dY, blocks, ...masked], {
        transpose: !transpose,
        stack: back,
      })[0]!;
    };
    if (!wantBlocks) return [wantX ? turn() : null, null, ...masked.map(() => null)];
    // y = x Mᵀ pairs with dY as x = dY M pairs with x: the same gradient with the two exchanged.
    const shared = {
      own: 'none',
      share: transpose ? 'upstream' : 'x',
      sum: transpose ? 'x' : 'upstream',
    } as const;
    const attrs: ButterflyGradAttrs = { wantX: wantX! && !transpose, shared: shared[stack], slope: 'none' };
    const [dBlocks, dX] = g.emit(
      butterflyGradOp,
      [transpose ? dY : x, blocks, transpose ? x : dY, ...masked],
      attrs,
    );
    return [wantX ? (dX ?? turn()) : null, dBlocks!, ...masked.map(() => null)];
  },
  kernel({ inputs, attrs }, caps) {
    const { size, xStack } = butterflyLayout(inputs, attrs);
    const keep = inputs.length > 2 ? { in: 2 } : null;
    const { transpose, stack } = attrs;
    return turnKernel(size, { transpose, xStack, sum: stack === 'sum', keep }, caps);
  },
  onnx: butterflyOnnx,
});

/**
 * Rotates the last axis of x by the butterfly product of R.
 * @param mask blocks to leave out (0), f32 [m, num]
 */
export function butterfly(
  g: Emitter,
  x: Value,
  blocks: Value,
  attrs: { readonly transpose?: boolean; readonly stack?: ButterflyAttrs['stack'] } = {},
  mask?: Value,
): Value {
  const { transpose = false, stack = 'own' } = attrs;
  return g.emit<ButterflyAttrs>(butterflyOp, mask ? [x, blocks, mask] : [x, blocks], {
    transpose,
    stack,
  })[0]!;
}

export interface ButterflyGradAttrs {
  readonly wantX: boolean;
  /** What all entries of the stack have in common: nothing, one x, or one upstream gradient. */
  readonly shared: 'none' | 'x' | 'upstream';
  /**
   * The activation that x came out of: dX is then the gradient in what went in, the last operand. Made by the fuse pass, and only for
   * blocks that {@link takesSlope} says.
   */
  readonly slope: Activation;
}

interface GradLaid {
  readonly size: ButterflySizes;
  readonly xStack: number;
  readonly gStack: number;
  /** Shape of dX. */
  readonly dX: readonly number[];
}

export function butterflyGradLayout(inputs: readonly TensorType[], attrs: ButterflyGradAttrs): GradLaid {
  const [x, blocks, upstream] = inputs;
  const { shared } = attrs;
  const { mask, slopeAt } = gradOperands(inputs, attrs);
  const stacked = blocks!.shape.length === 5;
  const entry =
    shared === 'x' ? x!.shape : shared === 'upstream' ? upstream!.shape : x!.shape.slice(stacked ? 1 : 0);
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  if (
    slopeAt &&
    (!attrs.wantX || !takesSlope(blocks!, mask !== undefined) || sizeOf(slopeAt.shape) !== sizeOf(x!.shape))
  )
    fail(
      'shape',
      say`butterflyGrad: no slope [${slopeAt.shape}] with x [${x!.shape}] and blocks [${blocks!.shape}].`,
    );
  return {
    size: butterflySizes(blocks!, d, rows, mask),
    xStack: shared === 'x' ? 0 : rows * d,
    gStack: shared === 'upstream' ? 0 : rows * d,
    dX: x!.shape,
  };
}

/** x, R [T?, m, num | 1, b, b], dY, mask?, slope? → dR, and dX with `wantX` (summed over the stack where x is shared). */
export const butterflyGradOp = defineOp<ButterflyGradAttrs>({
  name: 'butterflyGrad',
  infer: (inputs, attrs) => {
    const dX = butterflyGradLayout(inputs, attrs).dX;
    const dBlocks = { dtype: 'f32' as const, shape: [...inputs[1]!.shape] };
    return attrs.wantX ? [dBlocks, { dtype: 'f32', shape: [...dX] }] : [dBlocks];
  },
  gradient: null,
  kernel({ inputs, attrs }, caps) {
    const { size, xStack, gStack } = butterflyGradLayout(inputs, attrs);
    const { mask, slopeAt } = gradOperands(
      inputs.map((_, i) => ({ in: i })),
      attrs,
    );
    const back = {
      ...{ xStack, gStack, wantX: attrs.wantX, keep: mask ?? null },
      sum: attrs.shared === 'x' && size.stack > 1,
      slope: slopeAt && { of: attrs.slope, at: slopeAt },
    };
    return backKernel(size, back, caps);
  },
  onnx: butterflyGradOnnx,
});
