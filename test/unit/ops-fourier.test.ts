/**
 * What the transforms of FourierFT ask of a device, from their kernels as data.
 *
 * Seen to fail with: parts of one matrix each where three fit.
 */
import { describe, expect, it } from 'vitest';
import { baseCaps } from '../../src/graph/types.ts';
import { frequencyTables, sparseIdftOp } from '../../src/ops/sparseIdft.ts';

describe('ΔW of a stack', () => {
  /** Matrices in each pass. */
  const passes = (stack: number, out: number, width: number): unknown[] => {
    const n = 1000;
    const { order, starts, turns } = frequencyTables(
      Int32Array.from({ length: n }, (_, k) => k % out),
      out,
      width,
    );
    const i32 = (length: number) => ({ dtype: 'i32' as const, shape: [length] });
    const inputs = [
      { dtype: 'f32' as const, shape: [stack, n] },
      ...[i32(n), i32(n), i32(order.length), i32(starts.length)],
      { dtype: 'f32' as const, shape: [turns.length / 2, 2] },
    ];
    const attrs = { out, in: width, scaling: 150 };
    const node = { inputs, outputs: sparseIdftOp.infer(inputs, attrs), attrs };
    const { dispatches } = sparseIdftOp.kernel!(node, baseCaps);
    return dispatches.filter((d) => d.entry === 'combine').map((d) => d.params[1]);
  };

  it.each([
    ['one pass where all fit', 12, 768, 768, [12]],
    ['as many as fit where those are fewer than share their angles', 12, 3072, 768, [3, 3, 3, 3]],
    ['whole groups where more fit', 20, 768, 768, [12, 8]],
    ['one after the other where no second fits', 3, 4096, 2048, [1, 1, 1]],
  ])('takes %s', (_, stack, out, width, counts) => {
    expect(passes(stack, out, width)).toEqual(counts);
  });
});
