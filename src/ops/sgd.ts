/** torch.optim.SGD with momentum over one packed buffer of all trained parameters. */
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

/** Inputs: params (state), grads, velocity (state), all f32 [N]; step f32[16]; norm2 [1] with `clip`; decay [N] with `decay`. */
export const sgdOp = defineOp<OptimiserAttrs>({
  name: 'sgd',
  infer: (inputs, attrs) => {
    checkOptimiser('sgd', inputs, 3, attrs);
    return [];
  },
  gradient: null,
  mutates: [0, 2],
  kernel: ({ inputs, attrs }) => {
    const count = checkOptimiser('sgd', inputs, 3, attrs);
    return {
      dispatches: [
        {
          shader: 'sgd.wgsl',
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
    const [params, grads, velocity] = inputs;
    const { step, factor, skip, decayOf } = modifiers(inputs, 3, attrs);
    if (skip) return [params!, velocity!];
    const next = params!.data.slice();
    const moved = velocity!.data.slice();
    for (let i = 0; i < next.length; i++) {
      moved[i] = step[8]! * moved[i]! + grads!.data[i]! * factor + decayOf(i) * next[i]!;
      next[i] = next[i]! - step[0]! * moved[i]!;
    }
    return [
      { ...params!, data: next },
      { ...velocity!, data: moved },
    ];
  },
  cases: [
    {
      name: 'plain',
      inputs: [packed(7), packed(7), packed(7), { ...packed(16), data: stepCase() }],
      attrs: { clip: false, decay: false },
    },
    {
      name: 'clipped, with a decay mask',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(16), data: stepCase({ 7: 0.5 }) },
        { ...packed(1), data: [20] },
        { ...packed(67), range: [0, 1] },
      ],
      attrs: { clip: true, decay: true },
    },
    {
      name: 'decay mask alone',
      inputs: [
        packed(3),
        packed(3),
        packed(3),
        { ...packed(16), data: stepCase() },
        { ...packed(3), data: [0, 1, 1] },
      ],
      attrs: { clip: false, decay: true },
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
      attrs: { clip: true, decay: false },
    },
  ],
});

/** Emits the update; `params` and `velocity` are states and change in place. */
export function sgd(g: Emitter, values: OptimiserValues & { readonly velocity: Value }): void {
  const { params, grads, velocity, step } = values;
  g.emit(sgdOp, [params, grads, velocity, step, ...extrasOf(values)], attrsOf(values));
}
