import { describe, expect, it } from 'vitest';
import { parity } from '../../src/training/parity.ts';

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
    // Two results that are both no numbers agree on nothing.
    expect(parity([Number.NaN, 1], [Number.NaN, 1])).toEqual(infinite);
    // The same infinity on both sides, as in a mask, is agreement.
    expect(parity([Number.NEGATIVE_INFINITY, 1], [Number.NEGATIVE_INFINITY, 2])).toEqual({
      maxAbs: 1,
      maxRel: 0.5,
    });
  });

  it('leaves rows out that do not count', () => {
    expect(parity([1, 2, 9, 9, 5, 6], [1, 2, 0, Number.NaN, 5, 7], [1, 0, 1])).toEqual({
      maxAbs: 1,
      maxRel: 1 / 7,
    });
  });

  it('refuses results of different size', () => {
    expect(() => parity([1], [1, 2])).toThrowError(expect.objectContaining({ kind: 'shape' }));
  });
});
