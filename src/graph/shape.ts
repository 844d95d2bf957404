/** Integer helpers on shapes: sizes, strides, broadcasting. */
import { fail } from '../lib/errors.ts';
import { sizeOf } from '../lib/numbers.ts';
import type { TensorType } from './types.ts';
import { bytesOf } from './types.ts';

export { sizeOf };

export const byteSizeOf = (type: TensorType): number => sizeOf(type.shape) * bytesOf[type.dtype];

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
          `${op}: shapes ${shapes.map((s) => `[${s.join(', ')}]`).join(' and ')} do not broadcast.`,
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
