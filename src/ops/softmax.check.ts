/** The float64 reference and test cases of softmax.ts. */
import { defineCheck } from '../graph/interpret.ts';
import type { Tensor } from '../graph/types.ts';
import { emptyTensor } from './reference.ts';
import { logSoftmaxOp, softmaxGradOp, softmaxOp, softmaxRows } from './softmax.ts';

function reference(x: Tensor, log: boolean): Tensor {
  const { rows, columns } = softmaxRows('softmax', x);
  const y = emptyTensor('f32', x.shape);
  for (let r = 0; r < rows; r++) {
    const row = x.data.subarray(r * columns, (r + 1) * columns);
    const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((s, v) => s + Math.exp(v - max), 0);
    row.forEach((v, c) => {
      y.data[r * columns + c] = log ? v - max - Math.log(sum) : Math.exp(v - max) / sum;
    });
  }
  return y;
}

for (const [op, log] of [
  [softmaxOp, false],
  [logSoftmaxOp, true],
] as const) {
  defineCheck(op, {
    reference: ([x]) => [reference(x!, log)],
    cases: [
      { name: 'short rows', inputs: [{ dtype: 'f32', shape: [3, 4, 5] }], attrs: {} },
      { name: 'long rows', inputs: [{ dtype: 'f32', shape: [4, 131] }], attrs: {} },
      { name: 'one column', inputs: [{ dtype: 'f32', shape: [3, 1] }], attrs: {} },
      {
        name: 'large values',
        inputs: [{ dtype: 'f32', shape: [2, 9], range: [-200, 200] }],
        attrs: {},
        gradientInputs: [],
      },
    ],
  });
}

defineCheck(softmaxGradOp, {
  reference([y, dY], { log }) {
    const { rows, columns } = softmaxRows('softmaxGrad', y!);
    const dx = emptyTensor('f32', y!.shape);
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let i = r * columns; i < (r + 1) * columns; i++)
        sum += log ? dY!.data[i]! : dY!.data[i]! * y!.data[i]!;
      for (let i = r * columns; i < (r + 1) * columns; i++) {
        dx.data[i] = log ? dY!.data[i]! - Math.exp(y!.data[i]!) * sum : y!.data[i]! * (dY!.data[i]! - sum);
      }
    }
    return [dx];
  },
  cases: [false, true].map((log) => ({
    name: log ? 'log' : 'plain',
    inputs: [
      { dtype: 'f32' as const, shape: [3, 77] },
      { dtype: 'f32' as const, shape: [3, 77] },
    ],
    attrs: { log },
  })),
});
