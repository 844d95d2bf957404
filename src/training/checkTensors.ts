/** What checks feed and how they compare: seeded contents of a case, the same for a device, and the difference of two tensors. */

import type { OpCase } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import type { DeviceData, Tensor, TensorType } from '../graph/types.ts';
import { float32ToHalf, fromHalf, toHalf } from '../lib/half.ts';
import type { Rng } from '../lib/rng.ts';
import { say } from '../lib/say.ts';

/** A number as the dtype can hold it, so that device and reference start from equal values. */
function rounded(dtype: TensorType['dtype'], x: number): number {
  if (dtype === 'f32') return Math.fround(x);
  if (dtype === 'f16') return fromHalf(toHalf(x));
  return Math.floor(x);
}

/** Random or given contents: floats default to [-1, 1), whole numbers to {0, 1, 2}. */
export function inputTensor(spec: OpCase<unknown>['inputs'][number], random: Rng): Tensor {
  const whole = spec.dtype === 'i32' || spec.dtype === 'u32';
  const [low, high] = spec.range ?? (whole ? [0, 3] : [-1, 1]);
  const data = new Float64Array(sizeOf(spec.shape));
  for (let i = 0; i < data.length; i++) {
    data[i] = rounded(spec.dtype, spec.data ? spec.data[i % spec.data.length]! : random.between(low, high));
  }
  return { dtype: spec.dtype, shape: spec.shape, data };
}

export function toDevice(tensor: Tensor): DeviceData {
  switch (tensor.dtype) {
    case 'f32':
      return Float32Array.from(tensor.data);
    case 'f16':
      return float32ToHalf(tensor.data);
    case 'i32':
      return Int32Array.from(tensor.data);
    case 'u32':
      return Uint32Array.from(tensor.data);
  }
}

export interface Difference {
  /** max|a−b| / max|b|; Infinity where one is not a number and the other is. */
  readonly error: number;
  /** The worst element, for the message. */
  readonly at: string;
}

/**
 * @param floor smallest denominator, for tensors that are all zero
 */
export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-6): Difference {
  let largest = floor;
  let worst = 0;
  let at = '';
  for (let i = 0; i < expected.length; i++) {
    const b = expected[i]!;
    if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
  }
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const b = expected[i]!;
    const d =
      Object.is(a, b) || a === b ? 0 : Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) : Infinity;
    if (d > worst) {
      worst = d;
      at = say`element ${i} is ${a}, expected ${b}`;
    }
  }
  if (actual.length !== expected.length)
    return { error: Infinity, at: say`${actual.length} elements, expected ${expected.length}` };
  return { error: worst / largest, at };
}
