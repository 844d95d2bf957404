/** The float64 reference and test cases of linearCrossEntropy.ts. */
import { checkOf, defineCheck } from '../graph/interpret.ts';
import { crossEntropyGradOp, crossEntropyOp } from './crossEntropy.ts';
import { linearCrossEntropyOp } from './linearCrossEntropy.ts';
import { matmulOp } from './matmul.ts';
import type { QuantFormat } from './quantised.ts';
import { quantCase, unpackTensor } from './reference.ts';

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
