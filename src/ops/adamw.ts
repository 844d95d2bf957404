/** torch.optim.AdamW over one packed buffer of all trained parameters, with global-norm clipping on the GPU. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import {
  attrsOf,
  checkOptimiser,
  extrasOf,
  modifiers,
  type OptimiserAttrs,
  type OptimiserValues,
  stepCase,
} from './optimiserAttrs.ts';

const packed = (n: number) => ({ dtype: 'f32' as const, shape: [n] });

/** Inputs: params (state), grads, m (state), v (state), all f32 [N]; step f32[16]; norm2 [1] with `clip`; decay [N] with `decay`. */
export const adamwOp = defineOp<OptimiserAttrs>({
  name: 'adamw',
  infer: (inputs, attrs) => {
    checkOptimiser('adamw', inputs, 4, attrs);
    return [];
  },
  gradient: null,
  mutates: [0, 2, 3],
  kernel: ({ inputs, attrs }) => {
    const count = checkOptimiser('adamw', inputs, 4, attrs);
    return {
      dispatches: [
        {
          shader: 'adamw.wgsl',
          entry: 'update',
          conditions: { CLIP: attrs.clip, DECAY: attrs.decay },
          constants: { WG: WORKGROUP },
          params: [count],
          bindings: inputs.map((_, i) => ({ in: i })),
          workgroups: perElement(count),
        },
      ],
    };
  },
  reference: (inputs, attrs) => {
    const [params, grads, m, v] = inputs;
    const { step, factor, skip, decayOf } = modifiers(inputs, 4, attrs);
    const [lr, correction1, correction2, beta1, beta2, eps] = step as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (skip) return [params!, m!, v!];
    const next = params!.data.slice();
    const m1 = m!.data.slice();
    const v1 = v!.data.slice();
    for (let i = 0; i < next.length; i++) {
      const g = grads!.data[i]! * factor;
      m1[i] = beta1 * m1[i]! + (1 - beta1) * g;
      v1[i] = beta2 * v1[i]! + (1 - beta2) * g * g;
      const root = Math.sqrt(v1[i]!) / Math.sqrt(correction2) + eps;
      next[i] = next[i]! * (1 - lr * decayOf(i)) - (lr / correction1) * (m1[i]! / root);
    }
    return [
      { ...params!, data: next },
      { ...m!, data: m1 },
      { ...v!, data: v1 },
    ];
  },
  cases: [
    {
      name: 'plain',
      inputs: [
        packed(7),
        packed(7),
        packed(7),
        { ...packed(7), range: [0, 1] },
        { ...packed(16), data: stepCase() },
      ],
      attrs: { clip: false, decay: false },
    },
    {
      name: 'clipped, with a decay mask',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(67), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [16] },
        { ...packed(67), range: [0, 1] },
      ],
      attrs: { clip: true, decay: true },
    },
    {
      name: 'clipping switched off by maxNorm 0; decay mask alone',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(5), range: [0, 1] },
        { ...packed(16), data: stepCase() },
        { ...packed(5), data: [0, 1, 0, 1, 1] },
      ],
      attrs: { clip: false, decay: true },
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
      attrs: { clip: true, decay: false },
    },
  ],
});

export interface AdamwValues extends OptimiserValues {
  readonly m: Value;
  readonly v: Value;
}

/** Emits the update; `params`, `m` and `v` are states and change in place. */
export function adamw(g: Emitter, values: AdamwValues): void {
  const { params, grads, m, v, step } = values;
  g.emit(adamwOp, [params, grads, m, v, step, ...extrasOf(values)], attrsOf(values));
}
