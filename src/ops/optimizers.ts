/** torch.optim's AdamW and SGD with momentum over one packed buffer of all trained parameters, with global-norm clipping on the GPU. */
import type { Emitter, KernelNode, TensorType, Value } from '../graph/types.ts';
import { defineOp } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

type None = Record<never, never>;

/** Checks that all buffers are f32 of one length and the step scalars are f32[16]; `buffers` counts the packed ones. */
function sizeOfUpdate(name: string, inputs: readonly TensorType[], buffers: number): number {
  const shape = inputs[0]!.shape;
  const all = inputs.slice(0, buffers);
  if (shape.length !== 1 || all.some((t) => t.dtype !== 'f32' || t.shape.join() !== shape.join())) {
    fail(
      'shape',
      `${name}: parameters, gradients and moments must be f32 of one shape [N], not ${all.map((t) => `[${t.shape}]`).join(' ')}.`,
    );
  }
  if (inputs[buffers]!.shape.join() !== '16') fail('shape', `${name}: the step scalars are f32[16].`);
  return shape[0]!;
}

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
        constants: { WG: WORKGROUP },
        params: [count],
        bindings: order.map((i) => ({ in: i })),
        workgroups: perElement(count),
      },
    ],
  };
};

/** Inputs: params (state), grads, m (state), v (state), all f32 [N]; step f32[16]; norm2 [1], the squared norm of all gradients. */
export const adamwOp = defineOp<None>({
  name: 'adamw',
  infer: (inputs) => {
    sizeOfUpdate('adamw', inputs, 4);
    return [];
  },
  gradient: null,
  mutates: [0, 2, 3],
  kernel: (node) => updateKernel('adamw', 4, node),
});

/** Inputs: params (state), grads, velocity (state), all f32 [N]; step f32[16]; norm2 [1], the squared norm of all gradients. */
export const sgdOp = defineOp<None>({
  name: 'sgd',
  infer: (inputs) => {
    sizeOfUpdate('sgd', inputs, 3);
    return [];
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
  /** Squared norm of all gradients [1] (`sumSquares`): clips to `maxNorm` of the step scalars. */
  readonly normSquared: Value;
}

/** Emits the update; `params`, `m` and `v` are states and change in place. */
export function adamw(g: Emitter, values: UpdateValues & { readonly m: Value; readonly v: Value }): void {
  const { params, grads, m, v, step, normSquared } = values;
  g.emit(adamwOp, [params, grads, m, v, step, normSquared], {});
}

/** Emits the update; `params` and `velocity` are states and change in place. */
export function sgd(g: Emitter, values: UpdateValues & { readonly velocity: Value }): void {
  const { params, grads, velocity, step, normSquared } = values;
  g.emit(sgdOp, [params, grads, velocity, step, normSquared], {});
}
