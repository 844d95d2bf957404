/** dropout by a counter-based hash of element, salt and the step's seed: no state, the same mask backward. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';

export interface DropoutAttrs {
  /** Probability of dropping, 0 ≤ p < 1. */
  readonly p: number;
  /** Tells the dropouts of one step apart. */
  readonly salt: number;
}

const thresholdOf = (p: number): number => Math.round(p * 2 ** 24);

/** The finaliser of MurmurHash3 on u32. */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Whether element i is kept; the shader's arithmetic exactly. */
function keeps(i: number, { p, salt }: DropoutAttrs, seed: ArrayLike<number>): boolean {
  const inner = mix(i ^ seed[0]!);
  const outer = mix((inner + salt + seed[1]!) >>> 0);
  const key = mix((seed[2]! + Math.imul(0x9e3779b9, seed[3]!)) >>> 0);
  return mix((outer ^ key) >>> 0) >>> 8 >= thresholdOf(p);
}

export const dropoutOp = defineOp<DropoutAttrs>({
  name: 'dropout',
  infer([x, seed], { p }) {
    if (x!.dtype !== 'f32' || seed!.dtype !== 'i32' || sizeOf(seed!.shape) !== 4) {
      fail(
        'shape',
        `dropout: takes f32 and an i32 seed of four numbers, not ${x!.dtype} and ${seed!.dtype} [${seed!.shape}].`,
      );
    }
    if (!(p >= 0 && p < 1))
      fail('illegal-config', `dropout: the probability ${p} must be at least 0 and below 1.`);
    return [{ dtype: 'f32', shape: x!.shape }];
  },
  gradient: (g, node, [dY]) => [dropout(g, dY!, node.inputs[1]!, node.attrs), null],
  kernel({ inputs, attrs: { p, salt } }) {
    const n = sizeOf(inputs[0]!.shape);
    return {
      dispatches: [
        {
          shader: 'dropout.wgsl',
          entry: 'dropout',
          constants: { WG: WORKGROUP },
          params: [n, salt >>> 0, thresholdOf(p), { f32: 1 / (1 - p) }],
          bindings: [{ in: 0 }, { in: 1 }, { out: 0 }],
          workgroups: perElement(n),
        },
      ],
    };
  },
  reference([x, seed], attrs) {
    const y = emptyTensor('f32', x!.shape);
    for (let i = 0; i < y.data.length; i++)
      y.data[i] = keeps(i, attrs, seed!.data) ? x!.data[i]! / (1 - attrs.p) : 0;
    return [y];
  },
  cases: [
    {
      name: 'a third',
      inputs: [
        { dtype: 'f32', shape: [9, 31] },
        { dtype: 'i32', shape: [4], data: [1, -2, 3, 4] },
      ],
      attrs: { p: 0.3, salt: 11 },
    },
    {
      name: 'nothing dropped',
      inputs: [
        { dtype: 'f32', shape: [33] },
        { dtype: 'i32', shape: [4], data: [9, 8, 7, 6] },
      ],
      attrs: { p: 0, salt: 0 },
    },
  ],
});

/** x with each element dropped at probability p and the others divided by 1 − p; seed i32 [4] changes per step. */
export const dropout = (g: Emitter, x: Value, seed: Value, attrs: DropoutAttrs): Value =>
  g.emit(dropoutOp, [x, seed], attrs)[0]!;
