/** The float64 references and test cases of rankAllocation.ts. */
import { defineCheck, type OpCase } from '../graph/interpret.ts';
import { stepCase } from './optimizers.check.ts';
import { type ImportanceAttrs, importanceOp, keepBestOp, zeroDroppedOp } from './rankAllocation.ts';

const f32 = (n: number) => ({ dtype: 'f32' as const, shape: [n] });

const old = (n: number) => ({ ...f32(n), range: [0, 1] as const });

/** `size` entries are scored, of `whole` that train. */
function opCase(
  name: string,
  size: number,
  whole: number,
  given: {
    readonly step?: readonly number[];
    readonly norm2?: number;
    readonly on?: number;
    readonly attrs?: ImportanceAttrs;
  },
): OpCase<ImportanceAttrs> {
  const { step = stepCase(), norm2 = 16, on = 1, attrs = { beta1: 0.5, beta2: 0.85 } } = given;
  return {
    name,
    inputs: [
      old(size),
      old(size),
      f32(whole),
      f32(whole),
      { ...f32(16), data: step },
      { ...f32(1), data: [norm2] },
      { ...f32(1), data: [on] },
    ],
    attrs,
  };
}

defineCheck(importanceOp, {
  reference: ([importance, uncertainty, params, grads, step, norm2, on], { beta1, beta2 }) => {
    const norm = Math.sqrt(norm2!.data[0]!);
    if (on!.data[0] === 0 || !Number.isFinite(norm)) return [importance!, uncertainty!];
    const maxNorm = step!.data[7]!;
    const factor = maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
    const smooth = importance!.data.slice();
    const varies = uncertainty!.data.slice();
    for (let i = 0; i < smooth.length; i++) {
      const s = Math.abs(params!.data[i]! * grads!.data[i]! * factor);
      smooth[i] = beta1 * smooth[i]! + (1 - beta1) * s;
      varies[i] = beta2 * varies[i]! + (1 - beta2) * Math.abs(s - smooth[i]!);
    }
    return [
      { ...importance!, data: smooth },
      { ...uncertainty!, data: varies },
    ];
  },
  cases: [
    opCase('clipped', 67, 67, { step: stepCase({ 7: 1 }), attrs: { beta1: 0.85, beta2: 0.6 } }),
    opCase('the first of a longer buffer, no clipping', 5, 9, {}),
    opCase('switched off', 5, 5, { on: 0 }),
    opCase('a norm that is not a number changes nothing', 5, 5, { norm2: Number.NaN }),
  ],
});

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
