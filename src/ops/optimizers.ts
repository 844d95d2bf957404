/** torch.optim's AdamW and SGD with momentum over one packed buffer of all trained parameters, with global-norm clipping on the GPU. */

import type { Emitter, KernelNode, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { perElement } from './dispatch.ts';
import { MOST_SQUARES } from './sumSquares.ts';

type None = Record<never, never>;

/** Checks that all buffers are f32 of one length and the step scalars are f32[16]; `buffers` counts the packed ones. */
function sizeOfUpdate(name: string, inputs: readonly TensorType[], buffers: number): number {
  const shape = inputs[0]!.shape;
  const all = inputs.slice(0, buffers);
  if (shape.length !== 1 || all.some((t) => t.dtype !== 'f32' || t.shape.join() !== shape.join())) {
    fail(
      'shape',
      say`${name}: parameters, gradients and moments must be f32 of one shape [N], not ${all.map((t) => `[${t.shape}]`).join(' ')}.`,
    );
  }
  if (inputs[buffers]!.shape.join() !== '16') fail('shape', say`${name}: the step scalars are f32[16].`);
  const squares = inputs[buffers + 1]!.shape;
  if (squares.length !== 1 || squares[0]! > MOST_SQUARES)
    fail('shape', say`${name}: the sum of squares has at most ${MOST_SQUARES} parts, not [${squares}].`);
  return shape[0]!;
}

/** Threads of a workgroup, and how many numbers each updates: every workgroup adds up the squares for itself. */
const THREADS = 64;
const EACH = 8;

/** The update of `buffers` packed buffers; the shader binds the step scalars before AdamW's second moment. */
const updateKernel = (name: string, buffers: 3 | 4, { inputs }: KernelNode<None>) => {
  const count = sizeOfUpdate(name, inputs, buffers);
  const order = buffers === 4 ? [0, 1, 2, 4, 3, 5] : [0, 1, 2, 3, 4];
  return {
    dispatches: [
      {
        shader: 'optimizers.wgsl',
        entry: 'update',
        conditions: { ADAMW: buffers === 4 },
        constants: { EACH },
        params: [count, inputs[buffers + 1]!.shape[0]!],
        bindings: [...order.map((i) => ({ in: i })), { out: 0 }],
        workgroups: perElement(count, THREADS * EACH),
      },
    ],
  };
};

const NORM: TensorType = { dtype: 'f32', shape: [1] };

/**
 * Inputs: params (state), grads, m (state), v (state), all f32 [N]; step f32[16]; squares [parts], whose sum is the squared norm of all
 * gradients → that sum [1].
 */
export const adamwOp = defineOp<None>({
  name: 'adamw',
  infer: (inputs) => {
    sizeOfUpdate('adamw', inputs, 4);
    return [NORM];
  },
  gradient: null,
  mutates: [0, 2, 3],
  kernel: (node) => updateKernel('adamw', 4, node),
});

/** Inputs: params (state), grads, velocity (state), all f32 [N]; step f32[16]; squares [parts] → the squared norm, as of {@link adamwOp}. */
export const sgdOp = defineOp<None>({
  name: 'sgd',
  infer: (inputs) => {
    sizeOfUpdate('sgd', inputs, 3);
    return [NORM];
  },
  gradient: null,
  mutates: [0, 2],
  kernel: (node) => updateKernel('sgd', 3, node),
});

/** Operands of an update: packed buffers f32 [N] and the step scalars f32[16]. */
interface UpdateValues {
  readonly params: Value;
  readonly grads: Value;
  readonly step: Value;
  /** Of all gradients (`sumSquares`): their sum clips to `maxNorm` of the step scalars. */
  readonly squares: Value;
}

/** Emits the update; `params`, `m` and `v` are states and change in place. Gives the squared norm of all gradients [1]. */
export function adamw(g: Emitter, values: UpdateValues & { readonly m: Value; readonly v: Value }): Value {
  const { params, grads, m, v, step, squares } = values;
  return g.emit(adamwOp, [params, grads, m, v, step, squares], {})[0]!;
}

/** Emits the update; `params` and `velocity` are states and change in place. Gives the squared norm of all gradients [1]. */
export function sgd(g: Emitter, values: UpdateValues & { readonly velocity: Value }): Value {
  const { params, grads, velocity, step, squares } = values;
  return g.emit(sgdOp, [params, grads, velocity, step, squares], {})[0]!;
}
