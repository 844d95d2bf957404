/** softmax and logSoftmax over the last axis, with the backward kernel of both. */

import { sizeOf } from '../graph/shape.ts';
import type { Caps, Emitter, Kernel, Op, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { sharedOut } from './dispatch.ts';

export interface SoftmaxGradAttrs {
  /** The gradient of logSoftmax. */
  readonly log: boolean;
}

type None = Record<never, never>;

export function softmaxRows(op: string, x: TensorType): { rows: number; columns: number } {
  const columns = x.shape.at(-1);
  if (x.dtype !== 'f32' || !columns)
    fail('shape', say`${op}: needs an f32 tensor with a last axis, not ${x.dtype} [${x.shape}].`);
  return { rows: sizeOf(x.shape) / columns, columns };
}

function kernelOf(op: string, x: TensorType, entry: string, log: boolean, caps: Caps): Kernel {
  const { rows, columns } = softmaxRows(op, x);
  const { alone, threads, workgroups } = sharedOut(rows, caps);
  return {
    dispatches: [
      {
        shader: 'softmax.wgsl',
        entry,
        conditions: { LOG: log, ALONE: alone },
        constants: { WG: threads },
        params: [rows, columns],
        bindings: entry === 'forward' ? [{ in: 0 }, { out: 0 }] : [{ in: 0 }, { in: 1 }, { out: 0 }],
        workgroups,
      },
    ],
  };
}

const define = (name: string, log: boolean): Op<None> =>
  defineOp<None>({
    name,
    infer([x]) {
      softmaxRows(name, x!);
      return [{ dtype: 'f32', shape: x!.shape }];
    },
    gradient: (g, node, [dY]) => [g.emit(softmaxGradOp, [node.outputs[0]!, dY!], { log })[0]!],
    kernel: ({ inputs }, caps) => kernelOf(name, inputs[0]!, 'forward', log, caps),
    onnx: (e, [x]) => [e.op(log ? 'LogSoftmax' : 'Softmax', [x!], { axis: -1 })],
  });

export const softmaxOp = define('softmax', false);

export const logSoftmaxOp = define('logSoftmax', true);

/** From y and dy: the gradient of softmax or logSoftmax. */
export const softmaxGradOp = defineOp<SoftmaxGradAttrs>({
  name: 'softmaxGrad',
  infer([y]) {
    softmaxRows('softmaxGrad', y!);
    return [{ dtype: 'f32', shape: y!.shape }];
  },
  gradient: null,
  kernel: ({ inputs, attrs }, caps) => kernelOf('softmaxGrad', inputs[0]!, 'backward', attrs.log, caps),
  onnx(e, [y, dy], { inputs, attrs: { log } }) {
    const sum = (x: string): string => e.reduce('ReduceSum', x, [inputs[0]!.shape.length - 1]);
    if (log) return [e.op('Sub', [dy!, e.op('Mul', [e.op('Exp', [y!]), sum(dy!)])])];
    return [e.op('Mul', [y!, e.op('Sub', [dy!, sum(e.op('Mul', [y!, dy!]))])])];
  },
});

/** Softmax over the last axis. */
export const softmax = (g: Emitter, x: Value): Value => g.emit(softmaxOp, [x], {})[0]!;

/** Logarithm of the softmax over the last axis. */
export const logSoftmax = (g: Emitter, x: Value): Value => g.emit(logSoftmaxOp, [x], {})[0]!;
