/**
 * AdaLoRA's budget: the importance of each trained number after every update (smoothed |p·∂p| and how much that varies), and keeping
 * the best of the ranks by it.
 */

import { sizeOf } from '../graph/shape.ts';
import type { Emitter, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
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
      say`importance: takes two states [n], parameters and gradients [N ≥ n], [16], [1] and [1], not ${inputs.map((t) => `[${t.shape}]`).join(' ')}.`,
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

const SHADER = 'keepBest.wgsl';

/**
 * mask (state) f32 [n]; scores f32 [n]; drop f32 [1]; norm2 f32 [1]. mask ← 0 where fewer than `drop` scores are smaller, else 1: as
 * torch's kthvalue with `<=`, so that ties go together. Negative `drop`, or a norm that is not finite: the mask stays.
 */
export const keepBestOp = defineOp<Record<string, never>>({
  name: 'keepBest',
  infer: ([mask, scores, drop, norm2]) => {
    if (mask!.shape.length !== 1 || mask!.shape.join() !== scores!.shape.join())
      fail('shape', say`keepBest: mask [${mask!.shape}] and scores [${scores!.shape}] must be one [n].`);
    if (sizeOf(drop!.shape) !== 1 || sizeOf(norm2!.shape) !== 1)
      fail('shape', say`keepBest: drop and norm2 are [1].`);
    return [];
  },
  gradient: null,
  mutates: [0],
  kernel: ({ inputs }) => {
    const count = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: SHADER,
          entry: 'choose',
          constants: { WG: WORKGROUP },
          params: [count, 0, 0],
          bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }],
          workgroups: perElement(count),
        },
      ],
    };
  },
});

export interface ZeroDroppedAttrs {
  /** First of the entries in the packed buffer, and of their share of the mask. */
  readonly offset: number;
  readonly first: number;
  readonly count: number;
}

/** packed (state) f32 [N]; mask f32 [n]; on f32 [1], 0 leaves all; norm2 f32 [1]. packed[offset + i] ← 0 where mask[first + i] is 0. */
export const zeroDroppedOp = defineOp<ZeroDroppedAttrs>({
  name: 'zeroDropped',
  infer: ([packed, mask, on, norm2], { offset, first, count }) => {
    if (offset + count > sizeOf(packed!.shape) || first + count > sizeOf(mask!.shape)) {
      fail(
        'shape',
        say`zeroDropped: ${count} entries from ${offset} and ${first} on lie outside [${packed!.shape}] or [${mask!.shape}].`,
      );
    }
    if (sizeOf(on!.shape) !== 1 || sizeOf(norm2!.shape) !== 1)
      fail('shape', say`zeroDropped: on and norm2 are [1].`);
    return [];
  },
  gradient: null,
  mutates: [0],
  kernel: ({ attrs: { offset, first, count } }) => ({
    dispatches: [
      {
        shader: SHADER,
        entry: 'zero',
        constants: { WG: WORKGROUP },
        params: [count, offset, first],
        bindings: [{ in: 0 }, { in: 1 }, { in: 2 }, { in: 3 }],
        workgroups: perElement(count),
      },
    ],
  }),
});

/** mask ← all but the `drop` smallest scores; `mask` is a state. */
export function keepBest(g: Emitter, mask: Value, scores: Value, drop: Value, normSquared: Value): void {
  g.emit(keepBestOp, [mask, scores, drop, normSquared], {});
}

/** Clears the entries of the state `packed` that `mask` drops. */
export function zeroDropped(
  g: Emitter,
  packed: Value,
  mask: Value,
  on: Value,
  normSquared: Value,
  attrs: ZeroDroppedAttrs,
): void {
  g.emit(zeroDroppedOp, [packed, mask, on, normSquared], attrs);
}
