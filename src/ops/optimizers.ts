/** torch.optim's AdamW and SGD with momentum over one packed buffer of all trained parameters, with global-norm clipping on the GPU. */
import { defineOp } from '../graph/defineOp.ts';
import type { Emitter, KernelNode, Tensor, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';
import { perElement, WORKGROUP } from './dispatch.ts';

type None = Record<never, never>;

const packed = (n: number) => ({ dtype: 'f32' as const, shape: [n] });

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

/** In references: the step scalars, the factor on the gradients, and whether the step is skipped (norm not finite). */
function clipping(inputs: readonly Tensor[], buffers: number) {
  const step = inputs[buffers]!.data;
  const maxNorm = step[7]!;
  const norm = Math.sqrt(inputs[buffers + 1]!.data[0]!);
  return {
    step,
    skip: !Number.isFinite(norm),
    factor: maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1,
  };
}

/** Step scalars for the test cases: the third step at lr 0.01. */
export const stepCase = (over: Readonly<Record<number, number>> = {}): number[] => {
  const step = [0.01, 1 - 0.9 ** 3, 1 - 0.999 ** 3, 0.9, 0.999, 1e-8, 0.1, 0, 0.9, 1, 0, 0, 0, 0, 0, 0];
  for (const [i, v] of Object.entries(over)) step[Number(i)] = v;
  return step;
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
  reference: (inputs) => {
    const [params, grads, m, v] = inputs;
    const { step, factor, skip } = clipping(inputs, 4);
    const [lr, correction1, correction2, beta1, beta2, eps, weightDecay] = step as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (skip) return [params!, m!, v!];
    const next = params!.data.slice();
    const m1 = m!.data.slice();
    const v1 = v!.data.slice();
    for (let i = 0; i < next.length; i++) {
      const g = grads!.data[i]! * factor;
      m1[i] = beta1 * m1[i]! + (1 - beta1) * g;
      v1[i] = beta2 * v1[i]! + (1 - beta2) * g * g;
      const root = Math.sqrt(v1[i]!) / Math.sqrt(correction2) + eps;
      next[i] = next[i]! * (1 - lr * weightDecay) - (lr / correction1) * (m1[i]! / root);
    }
    return [
      { ...params!, data: next },
      { ...m!, data: m1 },
      { ...v!, data: v1 },
    ];
  },
  cases: [
    {
      name: 'clipped',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(67), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'clipping switched off by maxNorm 0',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(5), range: [0, 1] },
        { ...packed(16), data: stepCase() },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'a norm that is not a number changes nothing',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(5), range: [0, 1] },
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [Number.NaN] },
      ],
      attrs: {},
    },
  ],
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
  reference: (inputs) => {
    const [params, grads, velocity] = inputs;
    const { step, factor, skip } = clipping(inputs, 3);
    if (skip) return [params!, velocity!];
    const next = params!.data.slice();
    const moved = velocity!.data.slice();
    for (let i = 0; i < next.length; i++) {
      moved[i] = step[8]! * moved[i]! + grads!.data[i]! * factor + step[6]! * next[i]!;
      next[i] = next[i]! - step[0]! * moved[i]!;
    }
    return [
      { ...params!, data: next },
      { ...velocity!, data: moved },
    ];
  },
  cases: [
    {
      name: 'clipping switched off by maxNorm 0',
      inputs: [
        packed(7),
        packed(7),
        packed(7),
        { ...packed(16), data: stepCase() },
        { ...packed(1), data: [16] },
      ],
      attrs: {},
    },
    {
      name: 'clipped',
      inputs: [
        packed(67),
        packed(67),
        packed(67),
        { ...packed(16), data: stepCase({ 7: 0.5 }) },
        { ...packed(1), data: [20] },
      ],
      attrs: {},
    },
    {
      name: 'an infinite norm changes nothing',
      inputs: [
        packed(5),
        packed(5),
        packed(5),
        { ...packed(16), data: stepCase({ 7: 1 }) },
        { ...packed(1), data: [Number.POSITIVE_INFINITY] },
      ],
      attrs: {},
    },
  ],
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
