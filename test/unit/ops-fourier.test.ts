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
    const rows = Int32Array.from({ length: n }, (_, k) => k % out);
    const attrs = { out, in: width, scaling: 150 };
    const i32 = (length: number) => ({ dtype: 'i32' as const, shape: [length] });
    const inputs = [
      { dtype: 'f32' as const, shape: [stack, n] },
      ...[i32(n), i32(n), i32(frequencyTables(rows, rows, attrs).length)],
      { dtype: 'f32' as const, shape: [out + width, 2] },
    ];
    const node = { inputs, outputs: sparseIdftOp.infer(inputs, attrs), attrs };
    const { dispatches } = sparseIdftOp.kernel!(node, baseCaps);
    return dispatches.filter((d) => d.entry === 'combine').map((d) => d.params[1]);
  };

  it.each([
    ['one pass where all fit', 12, 763, 763, [12]],
    ['as many as fit where those are fewer than share their angles', 12, 3079, 769, [3, 3, 3, 3]],
    ['whole groups where more fit', 20, 763, 763, [12, 8]],
    ['one after the other where no second fits', 3, 4099, 2047, [1, 1, 1]],
  ])('takes %s', (_, stack, out, width, counts) => {
    expect(passes(stack, out, width)).toEqual(counts);
  });
});
