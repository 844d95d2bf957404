/**
 * factorGrads: the gradients of a low-rank update's factors, dB = dYᵀ low [out, r] and dA = dLowᵀ x [r, in], which one dispatch makes.
 * Inputs dY [T, out], low [T, r], dLow [T, r], x [T, in]. The fuse pass makes it of two products, so it has no gradient. Kernel: gemm.ts.
 */

import type { Caps, Dispatch, Kernel, KernelNode, Ref, TensorType } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { gemmKernel } from './gemm.ts';
import { pairOf, type SkinnyForm } from './skinny.ts';

export interface FactorGradsAttrs {
  /** Multiplies dB, and dA. */
  readonly alpha: readonly [number, number];
  /** A test's choice; absent: by device. */
  readonly variant?: SkinnyForm;
}

type Size = readonly [rows: number, columns: number];

/** Sizes of both results, and how many numbers are in each sum. */
export function factorSizes(inputs: readonly TensorType[]): {
  readonly terms: number;
  readonly sizes: readonly [Size, Size];
} {
  const shapes = inputs.map(({ shape }) => shape);
  const [dY, low, dLow, x] = shapes as [number[], number[], number[], number[]];
  const terms = dY[0]!;
  if (shapes.some((shape) => shape.length !== 2 || shape[0] !== terms))
    fail(
      'shape',
      say`factorGrads: [${dY}], [${low}], [${dLow}] and [${x}] must have two axes and the same rows.`,
    );
  return {
    terms,
    sizes: [
      [dY[1]!, low[1]!],
      [dLow[1]!, x[1]!],
    ],
  };
}

function kernel({ inputs, attrs }: KernelNode<FactorGradsAttrs>, caps: Caps): Kernel {
  const { terms, sizes } = factorSizes(inputs);
  const scratchBytes: number[] = [];
  const scratch = (bytes: number): Ref => ({ scratch: scratchBytes.push(bytes) - 1 });
  const products = sizes.map(([m, n], i) =>
    gemmKernel(
      {
        ...{ m, n, k: terms, batch: [], aStrides: [], bStrides: [], transA: true, transB: false },
        ...{ alpha: attrs.alpha[i]!, bHalf: false, scratch, variant: attrs.variant },
        ...{ a: { in: 2 * i }, b: { in: 2 * i + 1 }, c: { out: i } },
      },
      caps,
    ),
  );
  const main = products.map(({ dispatches }) => dispatches[0]!) as [Dispatch, Dispatch];
  const pair = pairOf(...main);
  const sums = products.flatMap(({ dispatches }) => dispatches.slice(1));
  const partials = products.flatMap((product) => product.partials ?? []);
  return {
    scratchBytes,
    dispatches: [...(pair ? [pair] : main), ...sums],
    ...(partials.length > 0 &&
      partials.length === sums.length && {
        partials: {
          ...{ sums: partials.flatMap((part) => part.sums), dispatches: sums.length },
          finish: partials[0]!.finish,
        },
      }),
  };
}

export const factorGradsOp = defineOp<FactorGradsAttrs>({
  name: 'factorGrads',
  infer: (inputs) => factorSizes(inputs).sizes.map((shape) => ({ dtype: 'f32', shape })),
  gradient: null,
  kernel,
});
