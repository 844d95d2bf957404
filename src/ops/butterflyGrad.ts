/**
 * Gradient of a butterfly product y = x B_(m−1) … B_0 in its blocks, and on the way in x. Rows between the factors are recomputed
 * in registers where they fit; the blocks' gradient needs rows · d · b multiply-adds per factor, never a d × d matrix.
 */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Dispatch, Kernel, KernelNode, Ref, TensorType } from '../graph/types.ts';
import { addBlockGradient, applyAll, type ButterflySizes, factorsOf } from './butterflyReference.ts';
import { addStack, fitsSweep, paramsOf, type Run, SHADER, single, sizesOf, sweep } from './butterflyShape.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface ButterflyGradAttrs {
  readonly wantX: boolean;
  /** What all entries of the stack have in common: nothing, one x, or one upstream gradient. */
  readonly shared: 'none' | 'x' | 'upstream';
}

/** Threads that keep a GPU busy; rows are cut into chunks until there are about as many. */
const THREADS = 16384;
/** Rows below which a chunk is not worth its share of the final sum. */
const MIN_CHUNK = 32;

interface Laid {
  readonly size: ButterflySizes;
  readonly xStack: number;
  readonly gStack: number;
  /** Shape of dX. */
  readonly dX: readonly number[];
}

function layout([x, blocks, upstream, mask]: readonly TensorType[], { shared }: ButterflyGradAttrs): Laid {
  const stacked = blocks!.shape.length === 5;
  const entry =
    shared === 'x' ? x!.shape : shared === 'upstream' ? upstream!.shape : x!.shape.slice(stacked ? 1 : 0);
  const d = entry.at(-1)!;
  const rows = sizeOf(entry) / d;
  return {
    size: sizesOf(blocks!, d, rows, mask),
    xStack: shared === 'x' ? 0 : rows * d,
    gStack: shared === 'upstream' ? 0 : rows * d,
    dX: x!.shape,
  };
}

function backward({ inputs, attrs }: KernelNode<ButterflyGradAttrs>): Kernel {
  const { size, xStack, gStack } = layout(inputs, attrs);
  const { rows, d, m, b, stack, stored } = size;
  const [x, blocks, upstream] = [{ in: 0 }, { in: 1 }, { in: 2 }];
  const keep: Ref | null = inputs.length > 3 ? { in: 3 } : null;
  const each = rows * d;
  const scratchBytes: number[] = [];
  const makeScratch = (elements: number): Ref => ({ scratch: scratchBytes.push(4 * elements) - 1 });
  const dispatches: Dispatch[] = [];

  const perChunk = stack * m * d * Math.ceil(b / 4);
  const chunks = Math.max(1, Math.min(Math.round(THREADS / perChunk), Math.ceil(rows / MIN_CHUNK)));
  const run: Run = { transposed: false, first: 0, count: 1, xStack, gStack, chunks };
  const sumX = attrs.wantX && attrs.shared === 'x' && stack > 1;
  const dX: Ref | null = attrs.wantX ? (sumX ? makeScratch(stack * each) : { out: 1 }) : null;
  // One chunk of blocks that are not shared needs no further sum.
  const direct = chunks === 1 && (stored !== 1 || d === b) && !keep;
  const partial: Ref = direct ? { out: 0 } : makeScratch(chunks * stack * m * d * b);
  const up = { transposed: true, first: 0, count: m, xStack: gStack, gStack, chunks };

  const sums = (first: number, count: number, strides: Partial<Run>, sources: readonly Ref[]): void => {
    dispatches.push({
      shader: SHADER,
      entry: 'block_sums',
      conditions: { MASK: false, KEEP: false, LAST: false, MULTI: sources.length > 2 },
      constants: { B: b, WG: WORKGROUP },
      params: paramsOf(size, { ...run, first, count, ...strides }),
      bindings: [sources[0]!, sources[1]!, partial, ...sources.slice(2)],
      workgroups: perElement(chunks * stack * count * d * Math.ceil(b / 4)),
    });
  };

  if (m === 1) {
    if (dX) dispatches.push(single(size, up, upstream, blocks, dX, keep));
    sums(0, 1, {}, [x, upstream]);
  } else if (fitsSweep(size)) {
    const before = makeScratch((m - 1) * stack * each);
    const after = makeScratch((m - 1) * stack * each);
    const down = { ...run, first: m - 1, count: m - 1 };
    dispatches.push(
      sweep(size, down, x, blocks, null, before, keep),
      sweep(size, dX ? up : { ...up, count: m - 1 }, upstream, blocks, dX, after, keep),
    );
    sums(0, m, {}, [x, upstream, before, after]);
  } else {
    // Superblocks too long for registers: one dispatch per factor, one buffer per row of the chain.
    const before: Ref[] = [];
    before[m - 1] = x;
    for (let f = m - 1; f > 0; f--) {
      before[f - 1] = makeScratch(stack * each);
      const strides = { xStack: f === m - 1 ? xStack : each };
      dispatches.push(
        single(size, { ...run, ...strides, first: f }, before[f]!, blocks, before[f - 1]!, keep),
      );
    }
    let grad: Ref = upstream;
    for (let f = 0; f < m; f++) {
      const strides = { xStack: f === m - 1 ? xStack : each, gStack: f === 0 ? gStack : each };
      sums(f, 1, strides, [before[f]!, grad]);
      if (f === m - 1 && !dX) break;
      const next = f === m - 1 ? dX! : makeScratch(stack * each);
      dispatches.push(
        single(size, { ...up, first: f, count: 1, xStack: strides.gStack }, grad, blocks, next, keep),
      );
      grad = next;
    }
  }
  if (!direct) {
    dispatches.push({
      shader: SHADER,
      entry: 'add_parts',
      conditions: { MASK: keep !== null, KEEP: false, LAST: false, MULTI: false },
      constants: { B: b, WG: WORKGROUP },
      params: paramsOf(size, run),
      bindings: [partial, { out: 0 }, ...(keep ? [keep] : [])],
      workgroups: perElement(stack * m * stored * b * b),
    });
  }
  if (sumX) dispatches.push(addStack(size, run, dX!, { out: 1 }));
  return { scratchBytes, dispatches };
}

const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });

/** x, R [T?, m, num | 1, b, b], dY, mask? → dR, and dX with `wantX` (summed over the stack where x is shared). */
export const butterflyGradOp = defineOp<ButterflyGradAttrs>({
  name: 'butterflyGrad',
  infer: (inputs, attrs) => {
    const dX = layout(inputs, attrs).dX;
    const dBlocks = { dtype: 'f32' as const, shape: [...inputs[1]!.shape] };
    return attrs.wantX ? [dBlocks, { dtype: 'f32', shape: [...dX] }] : [dBlocks];
  },
  gradient: null,
  kernel: backward,
  reference: (inputs, attrs) => {
    const { size, xStack, gStack, dX } = layout(inputs, attrs);
    const { rows, d, stack } = size;
    const factors = factorsOf(size, inputs[1]!.data, inputs[3]?.data ?? null);
    const sum = new Float64Array(inputs[1]!.data.length);
    const dx = new Float64Array(sizeOf(dX));
    for (let t = 0; t < stack; t++) {
      for (let n = 0; n < rows; n++) {
        const xAt = t * xStack + n * d;
        const gAt = t * gStack + n * d;
        const g = inputs[2]!.data.subarray(gAt, gAt + d);
        addBlockGradient(factors, t, inputs[0]!.data.subarray(xAt, xAt + d), g, sum);
        applyAll(factors, t, g, true).forEach((v, k) => {
          dx[xAt + k]! += v;
        });
      }
    }
    const dBlocks = { dtype: 'f32' as const, shape: inputs[1]!.shape, data: sum };
    return attrs.wantX ? [dBlocks, { dtype: 'f32', shape: dX, data: dx }] : [dBlocks];
  },
  cases: [
    {
      name: 'three factors, many rows, dropped blocks',
      inputs: [f32(130, 16), f32(3, 8, 2, 2), f32(130, 16), { ...f32(3, 8), data: [1, 0, 1, 1, 1] }],
      attrs: { wantX: true, shared: 'none' },
    },
    {
      name: 'superblocks beyond registers, three factors',
      inputs: [f32(3, 24), f32(3, 4, 6, 6), f32(3, 24)],
      attrs: { wantX: true, shared: 'none' },
    },
    {
      name: 'shared block and shared x',
      inputs: [f32(70, 12), f32(2, 1, 1, 6, 6), f32(2, 70, 12)],
      attrs: { wantX: true, shared: 'x' },
    },
  ],
});
