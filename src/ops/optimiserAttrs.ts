/** What AdamW and SGD share: attributes, the order of inputs, the step scalars in references, the clipping factor. */
import type { Tensor, TensorType, Value } from '../graph/types.ts';
import { fail } from '../lib/errors.ts';

export interface OptimiserAttrs {
  /** An input norm2 [1] follows the step scalars: the squared norm of all gradients, for clipping to `maxNorm`. */
  readonly clip: boolean;
  /** A last input decay f32 [N] multiplies the weight decay of each entry (0: biases and norms). */
  readonly decay: boolean;
}

/** Operands of an optimiser: packed buffers f32 [N], the step scalars f32[16], and two optional ones. */
export interface OptimiserValues {
  readonly params: Value;
  readonly grads: Value;
  readonly step: Value;
  /** Squared norm of all gradients [1] (`sumSquares`): clips to `maxNorm` of the step scalars. */
  readonly normSquared?: Value;
  /** Factor on the weight decay of each entry, f32 [N]. */
  readonly decay?: Value;
}

export const extrasOf = ({ normSquared, decay }: OptimiserValues): Value[] => [
  ...(normSquared ? [normSquared] : []),
  ...(decay ? [decay] : []),
];

export const attrsOf = ({ normSquared, decay }: OptimiserValues): OptimiserAttrs => ({
  clip: normSquared !== undefined,
  decay: decay !== undefined,
});

/** Checks that all buffers are f32 of one length and the step scalars are f32[16]; `buffers` counts the packed ones. */
export function checkOptimiser(
  name: string,
  inputs: readonly TensorType[],
  buffers: number,
  attrs: OptimiserAttrs,
): number {
  const expected = buffers + 1 + (attrs.clip ? 1 : 0) + (attrs.decay ? 1 : 0);
  if (inputs.length !== expected)
    fail('shape', `${name}: ${inputs.length} inputs where ${expected} are needed.`);
  const shape = inputs[0]!.shape;
  const packed = inputs.slice(0, buffers);
  if (attrs.decay) packed.push(inputs.at(-1)!);
  if (shape.length !== 1 || packed.some((t) => t.dtype !== 'f32' || t.shape.join() !== shape.join())) {
    fail(
      'shape',
      `${name}: parameters, gradients and moments must be f32 of one shape [N], not ${packed.map((t) => `[${t.shape}]`).join(' ')}.`,
    );
  }
  if (inputs[buffers]!.shape.join() !== '16') fail('shape', `${name}: the step scalars are f32[16].`);
  return shape[0]!;
}

/** Factor on the gradients, whether the step is skipped (norm not finite), weight decay of each entry. */
export function modifiers(
  inputs: readonly Tensor[],
  buffers: number,
  attrs: OptimiserAttrs,
): {
  readonly step: Float64Array;
  readonly factor: number;
  readonly skip: boolean;
  readonly decayOf: (i: number) => number;
} {
  const step = inputs[buffers]!.data;
  const maxNorm = step[7]!;
  const norm = attrs.clip ? Math.sqrt(inputs[buffers + 1]!.data[0]!) : 0;
  const mask = attrs.decay ? inputs.at(-1)!.data : null;
  return {
    step,
    skip: !Number.isFinite(norm),
    factor: attrs.clip && maxNorm > 0 ? Math.min(1, maxNorm / (norm + 1e-6)) : 1,
    decayOf: (i) => step[6]! * (mask ? mask[i]! : 1),
  };
}

/** Step scalars for the test cases: the third step at lr 0.01. */
export const stepCase = (over: Readonly<Record<number, number>> = {}): number[] => {
  const step = [0.01, 1 - 0.9 ** 3, 1 - 0.999 ** 3, 0.9, 0.999, 1e-8, 0.1, 0, 0.9, 1, 0, 0, 0, 0, 0, 0];
  for (const [i, v] of Object.entries(over)) step[Number(i)] = v;
  return step;
};
