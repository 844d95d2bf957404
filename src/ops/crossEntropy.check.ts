/** The float64 references and test cases of crossEntropy.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { crossEntropyDims, crossEntropyGradOp, crossEntropyOp } from './crossEntropy.ts';

const counts = (label: number, classes: number, ignoreIndex: number): boolean =>
  label !== ignoreIndex && label >= 0 && label < classes;

defineCheck(crossEntropyOp, {
  reference: ([logits, labels], { ignoreIndex }) => {
    const [rows, classes] = crossEntropyDims([logits!, labels!]);
    const lse = new Float64Array(rows);
    let loss = 0;
    for (let n = 0; n < rows; n++) {
      const row = logits!.data.subarray(n * classes, (n + 1) * classes);
      const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
      lse[n] = max + Math.log(row.reduce((s, x) => s + Math.exp(x - max), 0));
      const label = labels!.data[n]!;
      if (counts(label, classes, ignoreIndex)) loss += lse[n]! - row[label]!;
    }
    return [
      { dtype: 'f32', shape: [1], data: Float64Array.of(loss) },
      { dtype: 'f32', shape: [rows], data: lse },
    ];
  },
  cases: [
    {
      name: 'few classes, ignored and illegal labels',
      inputs: [
        { dtype: 'f32', shape: [5, 7] },
        { dtype: 'i32', shape: [5], data: [3, -100, 6, 7, 0] },
      ],
      attrs: { ignoreIndex: -100 },
    },
    {
      name: 'many classes, large logits, ignored label inside the range',
      inputs: [
        { dtype: 'f32', shape: [3, 131], range: [-30, 30] },
        { dtype: 'i32', shape: [3], data: [130, 2, 1] },
      ],
      attrs: { ignoreIndex: 2 },
    },
    {
      name: 'no valid row',
      inputs: [
        { dtype: 'f32', shape: [2, 3] },
        { dtype: 'i32', shape: [2], data: [-100, -100] },
      ],
      attrs: { ignoreIndex: -100 },
    },
  ],
});

defineCheck(crossEntropyGradOp, {
  reference: ([logits, labels, lse, dLoss], { ignoreIndex }) => {
    const [rows, classes] = crossEntropyDims([logits!, labels!]);
    const data = new Float64Array(rows * classes);
    for (let n = 0; n < rows; n++) {
      const label = labels!.data[n]!;
      if (!counts(label, classes, ignoreIndex)) continue;
      for (let v = 0; v < classes; v++) {
        const i = n * classes + v;
        data[i] = dLoss!.data[0]! * (Math.exp(logits!.data[i]! - lse!.data[n]!) - (v === label ? 1 : 0));
      }
    }
    return [{ dtype: 'f32', shape: [rows, classes], data } satisfies Tensor];
  },
  cases: [
    {
      name: 'ignored rows have no gradient',
      inputs: [
        { dtype: 'f32', shape: [4, 9] },
        { dtype: 'i32', shape: [4], data: [8, -100, 0, 3] },
        { dtype: 'f32', shape: [4], range: [2, 3] },
        { dtype: 'f32', shape: [1], data: [0.25] },
      ],
      attrs: { ignoreIndex: -100 },
    },
  ],
});
