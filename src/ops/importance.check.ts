/** The float64 reference and test cases of importance.ts. */

import { defineCheck, type OpCase } from '../graph/references.ts';
import { type ImportanceAttrs, importanceOp } from './importance.ts';
import { stepCase } from './optimizers.check.ts';

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
