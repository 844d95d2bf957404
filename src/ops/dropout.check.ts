/** The float64 reference and test cases of dropout.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { type DropoutAttrs, dropoutOp, thresholdOf } from './dropout.ts';
import { emptyTensor } from './reference.ts';

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

defineCheck(dropoutOp, {
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
