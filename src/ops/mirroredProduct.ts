/**
 * mirroredProduct: what a gradient dYᵀ X adds up to with its mirror images, in half of its multiply-adds: all that a spectrum of whole
 * frequencies asks of it (sparseDft, `mirrored`). The fuse pass makes it of a product (fuse/mirrors.ts), so it has no gradient.
 */
import type { Caps, Dispatch, Kernel, KernelNode, Ref, TensorType } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { ALIGNED, divisor, perElement } from './dispatch.ts';
import { gemmKernel } from './gemm.ts';

const SHADER = 'mirroredProduct.wgsl';
/** Threads that a processor runs as one vector. */
const LANES = 8;
/** Halves of a row are read in vectors of four. */
const EIGHT = 8;

export interface MirroredAttrs {
  /** Sizes of each gradient: columns of one part of dY, and of X. */
  readonly out: number;
  readonly in: number;
}

/** How the folded gradient [out, in] of one layer lies: rows for places of `out` up to its middle, with the sums' columns and then the differences'. */
export interface MirroredLayout {
  /** Numbers from a row to the next, and from the sums to the differences. */
  readonly row: number;
  readonly across: number;
  /** Numbers of the whole, a multiple of what a binding may begin at. */
  readonly matrix: number;
}

export function mirroredLayout({ out, in: width }: MirroredAttrs): MirroredLayout {
  const across = width / 2 + 4;
  return { row: 2 * across, across, matrix: Math.ceil(((out / 2 + 1) * 2 * across) / ALIGNED) * ALIGNED };
}

/** What a number of a row takes to be folded, in multiply-adds of a large product, as timed on a processor. */
const FOLD_COST = 16;

/** Whether halves of these sizes can be folded, and folding takes less than it saves. @param parts gradients whose dY lie side by side */
export const isWorthMirroring = ({ out, in: width }: MirroredAttrs, parts: number): boolean =>
  out % EIGHT === 0 && width % EIGHT === 0 && FOLD_COST * (parts * out + width) < (parts * out * width) / 2;

interface Sizes {
  readonly rows: number;
  readonly parts: number;
}

function sizesOf([dY, x]: readonly TensorType[], { out, in: width }: MirroredAttrs): Sizes {
  const [rows, columns] = dY!.shape as [number, number];
  if (columns % out !== 0 || x!.shape.join() !== [rows, width].join() || out % EIGHT || width % EIGHT)
    fail('shape', say`mirroredProduct: [${dY!.shape}] and [${x!.shape}] are not rows for ${out} × ${width}.`);
  return { rows, parts: columns / out };
}

function mirror(rows: number, parts: number, size: number, from: Ref, to: Ref): Dispatch {
  const threads = (rows * parts * size) / EIGHT;
  return {
    ...{ shader: SHADER, entry: 'mirror', constants: { WG: LANES } },
    params: [rows, threads, size / 4, size / EIGHT, 0, parts, 0, 0, ...divisor(size / EIGHT)],
    bindings: [from, to],
    workgroups: perElement(threads, LANES),
  };
}

function kernel({ inputs, attrs }: KernelNode<MirroredAttrs>, caps: Caps): Kernel {
  const { rows, parts } = sizesOf(inputs, attrs);
  const { out, in: width } = attrs;
  const { row, across, matrix } = mirroredLayout(attrs);
  const scratchBytes: number[] = [];
  const scratch = (bytes: number): Ref => ({ scratch: scratchBytes.push(bytes) - 1 });
  const [y, x] = [scratch(4 * rows * parts * out), scratch(4 * rows * width)];
  const product = gemmKernel(
    {
      ...{ m: out / 2, n: width / 2, k: rows, transA: true, transB: false, alpha: 1, bHalf: false },
      ...{
        batch: [parts, 2],
        aStrides: [out, out / 2],
        bStrides: [0, width / 2],
        cStrides: [matrix, across],
      },
      ...{ lda: parts * out, ldb: width, ldc: row, a: y, b: x, c: { out: 0 }, scratch },
    },
    caps,
  );
  const each = width / EIGHT + out / EIGHT + 1;
  const edges: Dispatch = {
    ...{ shader: SHADER, entry: 'edges', constants: { WG: LANES } },
    params: [
      ...[rows, parts * each, out / 4, out / EIGHT, width / EIGHT, parts, across / 4, matrix / 4],
      ...divisor(each),
    ],
    bindings: [y, x, { out: 0 }],
    workgroups: perElement(parts * each, LANES),
  };
  return {
    scratchBytes,
    dispatches: [
      mirror(rows, parts, out, { in: 0 }, y),
      mirror(rows, 1, width, { in: 1 }, x),
      ...product.dispatches,
      edges,
    ],
  };
}

/** dY f32 [rows, parts · out], x f32 [rows, in] → the folded gradients [parts, matrix], as `mirroredLayout` says; sizes are multiples of 8. */
export const mirroredProductOp = defineOp<MirroredAttrs>({
  name: 'mirroredProduct',
  infer: (inputs, attrs) => [
    { dtype: 'f32', shape: [sizesOf(inputs, attrs).parts, mirroredLayout(attrs).matrix] },
  ],
  gradient: null,
  kernel,
});
