/** The float64 references and test cases of keepBest.ts. */
import { defineCheck } from '../graph/references.ts';
import { keepBestOp, zeroDroppedOp } from './keepBest.ts';

const f32 = (n: number) => ({ dtype: 'f32' as const, shape: [n] });

const one = (value: number) => ({ ...f32(1), data: [value] });

defineCheck(keepBestOp, {
  reference: ([mask, scores, drop, norm2]) => {
    const k = drop!.data[0]!;
    if (k < 0 || !Number.isFinite(norm2!.data[0]!)) return [mask!];
    const data = mask!.data.map((_, i) => {
      const own = scores!.data[i]!;
      return scores!.data.reduce((n, s) => n + (s < own ? 1 : 0), 0) < k ? 0 : 1;
    });
    return [{ ...mask!, data }];
  },
  cases: [
    { name: 'the smaller half', inputs: [f32(131), f32(131), one(65), one(3)], attrs: {} },
    {
      name: 'ties go together',
      inputs: [f32(6), { ...f32(6), data: [2, 1, 1, 3, 1, 0] }, one(2), one(3)],
      attrs: {},
    },
    { name: 'none', inputs: [f32(5), f32(5), one(0), one(3)], attrs: {} },
    { name: 'left alone', inputs: [f32(5), f32(5), one(-1), one(3)], attrs: {} },
    { name: 'no update, no choice', inputs: [f32(5), f32(5), one(3), one(Number.NaN)], attrs: {} },
  ],
});

defineCheck(zeroDroppedOp, {
  reference: ([packed, mask, on, norm2], { offset, first, count }) => {
    const data = packed!.data.slice();
    if (on!.data[0] !== 0 && Number.isFinite(norm2!.data[0]!))
      for (let i = 0; i < count; i++) if (mask!.data[first + i] === 0) data[offset + i] = 0;
    return [{ ...packed!, data }];
  },
  cases: [
    {
      name: 'inside a packed buffer',
      inputs: [f32(20), { ...f32(7), data: [0, 1, 0, 0, 1, 1, 0] }, one(1), one(2)],
      attrs: { offset: 5, first: 1, count: 6 },
    },
    {
      name: 'switched off',
      inputs: [f32(6), { ...f32(6), data: [0, 1, 0, 0, 1, 1] }, one(0), one(2)],
      attrs: { offset: 0, first: 0, count: 6 },
    },
    {
      name: 'no update, nothing cleared',
      inputs: [f32(6), { ...f32(6), data: [0, 1, 0, 0, 1, 1] }, one(1), one(Number.NaN)],
      attrs: { offset: 0, first: 0, count: 6 },
    },
  ],
});
