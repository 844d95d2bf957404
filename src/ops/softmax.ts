/** softmax and logSoftmax over the last axis, with the backward kernel of both. */
import { defineOp } from '../graph/defineOp.ts';
import { sizeOf } from '../graph/shape.ts';
import type { Emitter, Kernel, Op, Tensor, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { spread, WORKGROUP } from './dispatch.ts';
import { emptyTensor } from './reference.ts';

export interface SoftmaxGradAttrs {
  /** The gradient of logSoftmax. */
  readonly log: boolean;
}

type None = Record<never, never>;

function rowsOf(op: string, x: TensorType): { rows: number; columns: number } {
  const columns = x.shape.at(-1);
  if (x.dtype !== 'f32' || !columns)
    fail('shape', `${op}: needs an f32 tensor with a last axis, not ${x.dtype} [${x.shape}].`);
  return { rows: sizeOf(x.shape) / columns, columns };
}

function kernelOf(op: string, x: TensorType, entry: string, log: boolean): Kernel {
  const { rows, columns } = rowsOf(op, x);
  return {
    dispatches: [
      {
        shader: 'softmax.wgsl',
        entry,
        conditions: { LOG: log },
        constants: { WG: WORKGROUP },
        params: [rows, columns],
        bindings: entry === 'forward' ? [{ in: 0 }, { out: 0 }] : [{ in: 0 }, { in: 1 }, { out: 0 }],
        workgroups: spread(rows),
      },
    ],
  };
}

function reference(x: Tensor, log: boolean): Tensor {
  const { rows, columns } = rowsOf('softmax', x);
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

const define = (name: string, log: boolean): Op<None> =>
  defineOp<None>({
    name,
    infer([x]) {
      rowsOf(name, x!);
      return [{ dtype: 'f32', shape: x!.shape }];
    },
    gradient: (g, node, [dY]) => [g.emit(softmaxGradOp, [node.outputs[0]!, dY!], { log })[0]!],
    kernel: ({ inputs }) => kernelOf(name, inputs[0]!, 'forward', log),
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

export const softmaxOp = define('softmax', false);
export const logSoftmaxOp = define('logSoftmax', true);

/** From y and dy: the gradient of softmax or logSoftmax. */
export const softmaxGradOp = defineOp<SoftmaxGradAttrs>({
  name: 'softmaxGrad',
  infer([y]) {
    rowsOf('softmaxGrad', y!);
    return [{ dtype: 'f32', shape: y!.shape }];
  },
  gradient: null,
  kernel: ({ inputs, attrs }) => kernelOf('softmaxGrad', inputs[0]!, 'backward', attrs.log),
  reference([y, dY], { log }) {
    const { rows, columns } = rowsOf('softmaxGrad', y!);
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

/** Softmax over the last axis. */
export const softmax = (g: Emitter, x: Value): Value => g.emit(softmaxOp, [x], {})[0]!;

/** Logarithm of the softmax over the last axis. */
export const logSoftmax = (g: Emitter, x: Value): Value => g.emit(logSoftmaxOp, [x], {})[0]!;
