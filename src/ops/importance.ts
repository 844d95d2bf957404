/** AdaLoRA's measure of what each trained number matters: smoothed |p·∂p| and how much that varies, after every update. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, OpCase, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { stepCase } from './optimizers.ts';

export interface ImportanceAttrs {
  /** What is kept of the old importance, and of the old uncertainty. */
  readonly beta1: number;
  readonly beta2: number;
}

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
