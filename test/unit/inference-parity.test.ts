import { describe, expect, it } from 'vitest';
import { parity, worstParity } from '../../src/inference/parity.ts';

describe('parity', () => {
  it('is the largest difference, also relative to the largest reference value', () => {
    expect(parity([1, 2, 3], [1, 2.5, -4])).toEqual({ maxAbs: 7, maxRel: 7 / 4 });
    expect(parity([0, 0], [0, 0])).toEqual({ maxAbs: 0, maxRel: 0 });
    expect(parity([1e-9], [0])).toEqual({ maxAbs: 1e-9, maxRel: Number.POSITIVE_INFINITY });
  });

  it('lets no NaN or infinity pass', () => {
    const infinite = { maxAbs: Number.POSITIVE_INFINITY, maxRel: Number.POSITIVE_INFINITY };
    expect(parity([Number.NaN, 1], [0, 1])).toEqual(infinite);
    expect(parity([0, 1], [Number.NaN, 1])).toEqual(infinite);
    expect(parity([Number.NEGATIVE_INFINITY, 1], [-3, 1])).toEqual(infinite);
    // The same infinity on both sides, as in a mask, is agreement.
    expect(parity([Number.NEGATIVE_INFINITY, 1], [Number.NEGATIVE_INFINITY, 2])).toEqual({
      maxAbs: 1,
      maxRel: 0.5,
    });
  });

  it('refuses results of different size', () => {
    expect(() => parity([1], [1, 2])).toThrowError(expect.objectContaining({ kind: 'shape' }));
  });
});

describe('worstParity', () => {
  it('compares each tensor by its own scale', () => {
    const a = { large: { data: [1001] }, small: { data: [0.02] }, extra: { data: [5] } };
    const b = { large: { data: [1000] }, small: { data: [0.01] } };
    expect(worstParity(a, b)).toEqual({ maxAbs: 1, maxRel: 1 });
  });

  it('names a missing tensor', () => {
    expect(() => worstParity({}, { logits: { data: [1] } })).toThrowError(/logits/);
  });
});
