/**
 * Butterfly products (OFT, BOFT): rotates the last axis of activations or weights by m sparse factors of small blocks, by index
 * arithmetic. No permutation matrix and no dense d × d matrix is ever made.
 *
 * Stacks: with R [T, m, num, b, b] one node does T rotations, `own`: x [T, …, d] entry by entry; `share`: one x [..., d] gives
 * [T, …, d] (query, key and value that read one activation); `sum`: x [T, …, d] gives the sum [..., d] (the gradient of `share`).
 */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Dispatch, Emitter, Kernel, KernelNode, Ref, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { butterflyGradOp } from './butterflyGrad.ts';
import { applyAll, type ButterflySizes, factorsOf } from './butterflyReference.ts';
import { addStack, fitsSweep, type Run, single, sizesOf, sweep } from './butterflyShape.ts';

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

function layout([x, blocks, mask]: readonly TensorType[], attrs: ButterflyAttrs): Laid {
  const shape = x!.shape;
  const stacked = blocks!.shape.length === 5;
  const own = attrs.stack !== 'share';
  if (!stacked && attrs.stack !== 'own') fail('shape', `butterfly: blocks [${blocks!.shape}] are no stack.`);
  if (stacked && own && shape[0] !== blocks!.shape[0]) {
    fail('shape', `butterfly: x [${shape}] and blocks [${blocks!.shape}] are stacks of different lengths.`);
  }
  const entry = stacked && own ? shape.slice(1) : shape;
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  const size = sizesOf(blocks!, d, rows, mask);
  const output = attrs.stack === 'share' ? [size.stack, ...shape] : attrs.stack === 'sum' ? entry : shape;
  return { size, output, xStack: attrs.stack === 'share' ? 0 : rows * d };
}

function forward({ inputs, attrs }: KernelNode<ButterflyAttrs>): Kernel {
  const { size, xStack } = layout(inputs, attrs);
  const { m } = size;
  const elements = size.stack * size.rows * size.d;
  const run: Run = {
    transposed: attrs.transpose,
    first: attrs.transpose ? 0 : m - 1,
    count: m,
    xStack,
    gStack: 0,
    chunks: 1,
  };
  const keep: Ref | null = inputs.length > 2 ? { in: 2 } : null;
  const scratchBytes: number[] = [];
  const makeScratch = (): Ref => ({ scratch: scratchBytes.push(4 * elements) - 1 });
  const target: Ref = attrs.stack === 'sum' ? makeScratch() : { out: 0 };
  const dispatches: Dispatch[] = [];
  if (m > 1 && fitsSweep(size)) {
    dispatches.push(sweep(size, run, { in: 0 }, { in: 1 }, target, null, keep));
  } else {
    const between = Array.from({ length: Math.min(2, m - 1) }, makeScratch);
    let source: Ref = { in: 0 };
    for (let s = 0; s < m; s++) {
      const result = s === m - 1 ? target : between[s % 2]!;
      const one = {
        ...run,
        first: attrs.transpose ? s : m - 1 - s,
        count: 1,
        xStack: s === 0 ? xStack : size.rows * size.d,
      };
      dispatches.push(single(size, one, source, { in: 1 }, result, keep));
      source = result;
    }
  }
  if (attrs.stack === 'sum') dispatches.push(addStack(size, run, target, { out: 0 }));
  return { scratchBytes, dispatches };
}

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
const own = { transpose: false, stack: 'own' } as const;

/** x f32 [..., d], R [T?, m, num | 1, b, b], mask? [T?, m, num] (0: that block is the identity) → rotated x. */
export const butterflyOp = defineOp<ButterflyAttrs>({
  name: 'butterfly',
  infer: (inputs, attrs) => [{ dtype: 'f32', shape: [...layout(inputs, attrs).output] }],
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
    const attrs = { wantX: wantX! && !transpose, shared: shared[stack] };
    const [dBlocks, dX] = g.emit(
      butterflyGradOp,
      [transpose ? dY : x, blocks, transpose ? x : dY, ...masked],
      attrs,
    );
    return [wantX ? (dX ?? turn()) : null, dBlocks!, ...masked.map(() => null)];
  },
  kernel: forward,
  reference: (inputs, attrs) => {
    const { size, output, xStack } = layout(inputs, attrs);
    const { rows, d, stack } = size;
    const factors = factorsOf(size, inputs[1]!.data, inputs[2]?.data ?? null);
    const data = new Float64Array(sizeOf(output));
    for (let t = 0; t < stack; t++) {
      for (let n = 0; n < rows; n++) {
        const at = t * xStack + n * d;
        const y = applyAll(factors, t, inputs[0]!.data.subarray(at, at + d), attrs.transpose);
        const to = (attrs.stack === 'sum' ? 0 : t * rows * d) + n * d;
        for (let k = 0; k < d; k++) data[to + k]! += y[k]!;
      }
    }
    return [{ dtype: 'f32', shape: output, data }];
  },
  cases: [
    { name: 'plain blocks', inputs: [f32(2, 3, 12), f32(1, 3, 4, 4)], attrs: own },
    {
      name: 'odd blocks, transposed',
      inputs: [f32(5, 9), f32(1, 3, 3, 3)],
      attrs: { ...own, transpose: true },
    },
    { name: 'one shared block', inputs: [f32(5, 12), f32(1, 1, 4, 4)], attrs: own },
    {
      name: 'one shared block, transposed',
      inputs: [f32(3, 12), f32(1, 1, 3, 3)],
      attrs: { ...own, transpose: true },
    },
    { name: 'two factors', inputs: [f32(5, 16), f32(2, 4, 4, 4)], attrs: own },
    {
      name: 'two factors, transposed',
      inputs: [f32(6, 24), f32(2, 6, 4, 4)],
      attrs: { ...own, transpose: true },
    },
    { name: 'four factors of pairs', inputs: [f32(3, 16), f32(4, 8, 2, 2)], attrs: own },
    {
      name: 'three factors of b 6',
      inputs: [f32(2, 24), f32(3, 4, 6, 6)],
      attrs: { ...own, transpose: true },
    },
    {
      name: 'dropped blocks',
      inputs: [f32(3, 16), f32(2, 4, 4, 4), { ...f32(2, 4), data: [1, 1, 1, 1, 0, 1, 0, 1] }],
      attrs: own,
      gradientInputs: [0, 1],
    },
    { name: 'a stack', inputs: [f32(3, 5, 8), f32(3, 2, 4, 2, 2)], attrs: own },
    {
      name: 'a stack over one x',
      inputs: [f32(5, 8), f32(3, 2, 2, 4, 4)],
      attrs: { transpose: false, stack: 'share' },
    },
    {
      name: 'a stack over one x, transposed',
      inputs: [f32(3, 8), f32(2, 1, 2, 4, 4)],
      attrs: { transpose: true, stack: 'share' },
    },
    {
      name: 'summed over the stack',
      inputs: [f32(2, 5, 8), f32(2, 2, 2, 4, 4)],
      attrs: { transpose: false, stack: 'sum' },
    },
    {
      name: 'summed over the stack, transposed',
      inputs: [f32(2, 5, 8), f32(2, 2, 4, 2, 2)],
      attrs: { transpose: true, stack: 'sum' },
    },
    { name: 'wide rows', inputs: [f32(2, 200), f32(2, 50, 4, 4)], attrs: own },
    {
      name: 'superblocks beyond registers',
      inputs: [f32(6, 48), f32(2, 2, 4, 12, 12)],
      attrs: { transpose: false, stack: 'share' },
    },
    { name: 'many rows', inputs: [f32(210, 8), f32(1, 2, 4, 4)], attrs: own },
  ],
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
