/** Keeps the best of n: a mask of all but the smallest scores, found by counting, and the entries that it clears. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

const SHADER = 'keepBest.wgsl';

/**
 * mask (state) f32 [n]; scores f32 [n]; drop f32 [1]; norm2 f32 [1]. mask ← 0 where fewer than `drop` scores are smaller, else 1: as
 * torch's kthvalue with `<=`, so that ties go together. Negative `drop`, or a norm that is not finite: the mask stays.
 */
export const keepBestOp = defineOp<Record<string, never>>({
  name: 'keepBest',
  infer: ([mask, scores, drop, norm2]) => {
    if (mask!.shape.length !== 1 || mask!.shape.join() !== scores!.shape.join())
      fail('shape', `keepBest: mask [${mask!.shape}] and scores [${scores!.shape}] must be one [n].`);
    if (sizeOf(drop!.shape) !== 1 || sizeOf(norm2!.shape) !== 1)
      fail('shape', 'keepBest: drop and norm2 are [1].');
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
        `zeroDropped: ${count} entries from ${offset} and ${first} on lie outside [${packed!.shape}] or [${mask!.shape}].`,
      );
    }
    if (sizeOf(on!.shape) !== 1 || sizeOf(norm2!.shape) !== 1)
      fail('shape', 'zeroDropped: on and norm2 are [1].');
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
