/** Keeps the best of n: a mask of all but the smallest scores, found by counting, and the entries that it clears. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

const SHADER = 'keepBest.wgsl';
const f32 = (n: number) => ({ dtype: 'f32' as const, shape: [n] });
const one = (value: number) => ({ ...f32(1), data: [value] });

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
