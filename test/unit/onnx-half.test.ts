import { describe, expect, it } from 'vitest';
import {
  bfloat16ToFloat32,
  float32ToBfloat16,
  float32ToHalf,
  fromHalf,
  halfToFloat32,
  toBfloat16,
  toHalf,
} from '../../src/lib/half.ts';

describe('binary16', () => {
  it('carries every half there and back', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true);
      else if (toHalf(value) !== bits) expect.fail(`bits ${bits} became ${toHalf(value)}`);
    }
  });

  it('rounds to the nearest half, ties to even, for values between every two neighbours', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = fromHalf(bits);
      const high = fromHalf(bits + 1);
      const middle = (low + high) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const got = [toHalf(middle), toHalf(low + (high - low) * 0.49), toHalf(low + (high - low) * 0.51)];
      if (got[0] !== even || got[1] !== bits || got[2] !== bits + 1)
        expect.fail(`between ${low} and ${high}: ${got}`);
    }
  });

  it('overflows where it should and keeps signs, infinities and NaN', () => {
    expect(toHalf(65519.99)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(-1e9)).toBe(0xfc00);
    expect(toHalf(-0)).toBe(0x8000);
    expect(toHalf(2 ** -25)).toBe(0);
    expect(toHalf(2 ** -25 * 1.001)).toBe(1);
    const out = halfToFloat32(float32ToHalf([1, -2.5, Number.NaN, Number.NEGATIVE_INFINITY, 0.1]));
    expect([...out]).toEqual([1, -2.5, Number.NaN, Number.NEGATIVE_INFINITY, 0.0999755859375]);
  });
});

describe('bfloat16', () => {
  it('keeps eight bits of significand, rounding to even', () => {
    expect(toBfloat16(1)).toBe(0x3f80);
    expect(toBfloat16(1 + 2 ** -8)).toBe(0x3f80);
    expect(toBfloat16(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(toBfloat16(3.4e38)).toBe(0x7f80);
    expect([...bfloat16ToFloat32(float32ToBfloat16([-1.5, Number.NaN, 0]))]).toEqual([-1.5, Number.NaN, 0]);
  });
});
