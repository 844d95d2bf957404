/** AdaLoRA's measure of what each trained number matters: smoothed |p·∂p| and how much that varies, after every update. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

export interface ImportanceAttrs {
  /** What is kept of the old importance, and of the old uncertainty. */
  readonly beta1: number;
  readonly beta2: number;
}

function check(inputs: readonly TensorType[]): number {
  const [importance, uncertainty, params, grads, step, norm2, on] = inputs.map((t) => t.shape.join());
  const size = Number(importance);
  const fits = uncertainty === importance && params === grads && size <= Number(params);
  if (!fits || step !== '16' || norm2 !== '1' || on !== '1') {
    fail(
      'shape',
      `importance: takes two states [n], parameters and gradients [N ≥ n], [16], [1] and [1], not ${inputs.map((t) => `[${t.shape}]`).join(' ')}.`,
    );
  }
  return size;
}

/**
 * importance and uncertainty (states) f32 [n]; params and grads f32 [N], of which the first n count; step f32 [16]; norm2 f32 [1], the
 * squared norm of all gradients, by which they are clipped as in the update; on f32 [1], 0 leaves everything as it is.
 */
export const importanceOp = defineOp<ImportanceAttrs>({
  name: 'importance',
  infer: (inputs) => {
    check(inputs);
    return [];
  },
  gradient: null,
  mutates: [0, 1],
  kernel: ({ inputs, attrs }) => {
    const count = check(inputs);
    return {
      dispatches: [
        {
          shader: 'importance.wgsl',
          entry: 'measure',
          constants: { WG: WORKGROUP },
          params: [count, { f32: attrs.beta1 }, { f32: attrs.beta2 }],
          bindings: inputs.map((_, i) => ({ in: i })),
          workgroups: perElement(count),
        },
      ],
    };
  },
});

export interface ImportanceValues {
  readonly importance: Value;
  readonly uncertainty: Value;
  readonly params: Value;
  readonly grads: Value;
  readonly step: Value;
  readonly normSquared: Value;
  readonly on: Value;
}

/** Emits the measurement; `importance` and `uncertainty` are states and change in place. */
export function importance(g: Emitter, v: ImportanceValues, attrs: ImportanceAttrs): void {
  const inputs = [v.importance, v.uncertainty, v.params, v.grads, v.step, v.normSquared, v.on];
  g.emit(importanceOp, inputs, attrs);
}
