/** The float64 references and test cases of optimizers.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { adamwOp, sgdOp } from './optimizers.ts';

/** Step scalars for the test cases: the third step at lr 0.01. */
export const stepCase = (over: Readonly<Record<number, number>> = {}): number[] => {
  const step = [0.01, 1 - 0.9 ** 3, 1 - 0.999 ** 3, 0.9, 0.999, 1e-8, 0.1, 0, 0.9, 1, 0, 0, 0, 0, 0, 0];
  for (const [i, v] of Object.entries(over)) step[Number(i)] = v;
  return step;
};

const packed = (n: number) => ({ dtype: 'f32' as const, shape: [n] });

/** In references: the step scalars, the squared norm, the factor on the gradients, and whether the step is skipped (norm not finite). */
function clipping(inputs: readonly Tensor[], buffers: number) {
  const step = inputs[buffers]!.data;
  const maxNorm = step[7]!;
  const norm2 = inputs[buffers + 1]!.data.reduce((sum, part) => sum + part, 0);
  const norm = Math.sqrt(norm2);
  return {
    step,
    norm2: { dtype: 'f32', shape: [1], data: Float64Array.of(norm2) } as const,
    skip: !Number.isFinite(norm),
    factor: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1,
  };
}

defineCheck(adamwOp, {
  reference: (inputs) => {
    const [params, grads, m, v] = inputs;
    const { step, factor, skip, norm2 } = clipping(inputs, 4);
    const [lr, correction1, correction2, beta1, beta2, eps, weightDecay] = step as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (skip) return [norm2, params!, m!, v!];
    const next = params!.data.slice();
    const m1 = m!.data.slice();
    const v1 = v!.data.slice();
    for (let i = 0; i < next.length; i++) {
      const g = grads!.data[i]! * factor;
      m1[i] = beta1 * m1[i]! + (1 - beta1) * g;
      v1[i] = beta2 * v1[i]! + (1 - beta2) * g * g;
      const root = Math.sqrt(v1[i]!) / Math.sqrt(correction2) + eps;
      next[i] = next[i]! * (1 - lr * weightDecay) - (lr / correction1) * (m1[i]! / root);
    }
    return [norm2, { ...params!, data: next }, { ...m!, data: m1 }, { ...v!, data: v1 }];
  },
  cases: [
    {
      name: 'clipped',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(67), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'several workgroups, 200 parts of the norm',
      inputs: [
        packed(1337),
        packed(1337),
        packed(1337),
        { ...packed(1337), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(200), range: [0, 1] },
      ],
      attrs: {},
    },
    {
      name: 'clipping switched off by maxNorm 0',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(5), range: [0, 1] },
        { ...packed(16), data: stepCase() },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'a norm that is not a number changes nothing',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(5), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [Number.NaN] },
      ],
      attrs: {},
    },
  ],
});

defineCheck(sgdOp, {
  reference: (inputs) => {
    const [params, grads, velocity] = inputs;
    const { step, factor, skip, norm2 } = clipping(inputs, 3);
    if (skip) return [norm2, params!, velocity!];
    const next = params!.data.slice();
    const moved = velocity!.data.slice();
    for (let i = 0; i < next.length; i++) {
      moved[i] = step[8]! * moved[i]! + grads!.data[i]! * factor + step[6]! * next[i]!;
      next[i] = next[i]! - step[0]! * moved[i]!;
    }
    return [norm2, { ...params!, data: next }, { ...velocity!, data: moved }];
  },
  cases: [
    {
      name: 'clipping switched off by maxNorm 0',
      inputs: [
        packed(7),
        packed(7),
        packed(7),
        { ...packed(16), data: stepCase() },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'clipped',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(16), data: stepCase({ 7: 0.5 }) },
        { ...packed(3), data: [20, 1, 4] },
      ],
      attrs: {},
    },
    {
      name: 'an infinite norm changes nothing',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [Number.POSITIVE_INFINITY] },
      ],
      attrs: {},
    },
  ],
});
