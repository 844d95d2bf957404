/** The float64 references and test cases of crossEntropy.ts. */
import { checkOf, defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import {
  crossEntropyDims,
  crossEntropyGradOp,
  crossEntropyOp,
  linearCrossEntropyOp,
} from './crossEntropy.ts';
import { matmulOp } from './matmul.ts';
import type { QuantFormat } from './quantised.ts';
import { quantCase, unpackTensor } from './reference.ts';

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

defineCheck(linearCrossEntropyOp, {
  reference: ([x, stored, labels], { ignoreIndex, withGradient, packed }) => {
    const w = unpackTensor(stored!, packed, 'linearCrossEntropy');
    const logits = checkOf(matmulOp).reference([x!, w], { transA: false, transB: true, alpha: 1 })[0]!;
    const [loss, lse] = checkOf(crossEntropyOp).reference([logits, labels!], { ignoreIndex });
    if (!withGradient) return [loss!];
    const one = { dtype: 'f32' as const, shape: [1], data: Float64Array.of(1) };
    const dLogits = checkOf(crossEntropyGradOp).reference([logits, labels!, lse!, one], { ignoreIndex })[0]!;
    return [loss!, checkOf(matmulOp).reference([dLogits, w], { transA: false, transB: false, alpha: 1 })[0]!];
  },
  cases: [
    lossCase('one chunk, ignored label', 5, 8, 13, true, [3, -100, 12, 0, 13]),
    lossCase('two chunks', 70, 7, 33, true),
    lossCase('three chunks without gradient', 130, 4, 70, false),
    lossCase('half-precision weights', 66, 8, 20, true, [0, 1, 19], 'f16'),
    { ...lossCase('many classes, the sum over them split', 66, 66, 4999, true), gradientInputs: [] },
    { ...lossCase('more classes than threads, no split', 3, 4, 1031, true), gradientInputs: [] },
    packedCase({ bits: 4, columns: 32, block: 16, zeros: 'middle' }),
  ],
});

function packedCase(packed: QuantFormat) {
  const whole = lossCase('packed weights', 70, packed.columns, 20, true);
  return {
    ...whole,
    inputs: [whole.inputs[0]!, quantCase(20, packed), whole.inputs[2]!],
    attrs: { ...whole.attrs, packed },
    gradientInputs: [],
  };
}

function lossCase(
  name: string,
  rows: number,
  width: number,
  classes: number,
  withGradient: boolean,
  labels?: readonly number[],
  dtype: 'f32' | 'f16' = 'f32',
) {
  return {
    name,
    inputs: [
      { dtype: 'f32' as const, shape: [rows, width] },
      { dtype, shape: [classes, width] },
      {
        dtype: 'i32' as const,
        shape: [rows],
        ...(labels ? { data: labels } : { range: [0, classes] as const }),
      },
    ],
    attrs: { ignoreIndex: -100, chunkRows: 64, withGradient },
    gradientInputs: withGradient ? [0] : [],
  };
}
