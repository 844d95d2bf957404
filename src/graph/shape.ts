/** Integer helpers on shapes: sizes, strides, broadcasting. */

import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import { listOf, say } from '../lib/say.ts';
import type { DeviceData, TensorType } from './types.ts';
import { bytesOf } from './types.ts';

export { sizeOf };

export const byteSizeOf = (type: TensorType): number => sizeOf(type.shape) * bytesOf[type.dtype];

/** Contents of a tensor: zeros. */
export function zerosOf({ dtype, shape }: TensorType): DeviceData {
  const count = sizeOf(shape);
  switch (dtype) {
    case 'f32':
      return new Float32Array(count);
    case 'f16':
      return new Uint16Array(count);
    case 'i32':
      return new Int32Array(count);
    case 'u32':
      return new Uint32Array(count);
  }
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i]!;
  }
  return strides;
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

/** NumPy's broadcasting rule; throws naming `op` when the shapes do not go together. */
export function broadcastShapes(op: string, ...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const d = shape[i]!;
      if (d === 1 || d === out[at]) continue;
      if (out[at] !== 1) {
        fail(
          'shape',
          say`${op}: shapes ${listOf(shapes.map((s) => `[${s.join(', ')}]`))} do not broadcast.`,
          { shapes },
        );
      }
      out[at] = d;
    }
  }
  return out;
}

/** Strides of `shape` seen through broadcasting to `to`: zero along every stretched axis. */
export function broadcastStrides(shape: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(shape);
  return to.map((_, i) => {
    const at = i - (to.length - shape.length);
    return at < 0 || shape[at] === 1 ? 0 : strides[at]!;
  });
}

/**
 * Calls `row` for every row of the last axis of `shape`, in order, with the row's place and length and its first place in each of some
 * tensors that are read through strides: there and at every stride from there lie its numbers.
 *
 * @param strides in elements, by tensor and axis
 */
export function forEachRow(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  row: (to: number, length: number, from: readonly number[]) => void,
): void {
  const size = sizeOf(shape);
  if (size === 0) return;
  const last = shape.length - 1;
  const length = shape[last] ?? 1;
  const index = shape.map(() => 0);
  const from = strides.map(() => 0);
  for (let to = 0; to < size; to += length) {
    row(to, length, from);
    for (let d = last - 1; d >= 0; d--) {
      const wraps = ++index[d]! === shape[d]!;
      for (let t = 0; t < from.length; t++)
        from[t]! += wraps ? -strides[t]![d]! * (shape[d]! - 1) : strides[t]![d]!;
      if (!wraps) break;
      index[d] = 0;
    }
  }
}
