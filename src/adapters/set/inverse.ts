/** Undoing a rotation by the explicit inverse of its blocks, in double precision: a truncated series is no rotation, so its transpose would not do. */
import { fail } from '../../lib/errors.ts';
import type { Factor } from '../types.ts';

/**
 * The inverse of a square matrix [n, n], by Gauss-Jordan elimination with row pivots.
 *
 * @throws PapilioError 'non-finite' if there is none.
 */
export function inverseOf(matrix: ArrayLike<number>, n: number): Float64Array {
  const a = Float64Array.from(matrix);
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) inverse[i * n + i] = 1;
  const swap = (m: Float64Array, r: number, s: number) => {
    const row = m.slice(r * n, (r + 1) * n);
    m.copyWithin(r * n, s * n, (s + 1) * n);
    m.set(row, s * n);
  };
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) {
      if (Math.abs(a[r * n + column]!) > Math.abs(a[pivot * n + column]!)) pivot = r;
    }
    const head = a[pivot * n + column]!;
    if (head === 0 || !Number.isFinite(head)) {
      fail(
        'non-finite',
        'A rotation of the adapter has no inverse, so it cannot be unmerged; load the base model again.',
      );
    }
    if (pivot !== column) {
      swap(a, column, pivot);
      swap(inverse, column, pivot);
    }
    for (let c = 0; c < n; c++) {
      a[column * n + c]! /= head;
      inverse[column * n + c]! /= head;
    }
    for (let r = 0; r < n; r++) {
      const factor = a[r * n + column]!;
      if (r === column || factor === 0) continue;
      for (let c = 0; c < n; c++) {
        a[r * n + c]! -= factor * a[column * n + c]!;
        inverse[r * n + c]! -= factor * inverse[column * n + c]!;
      }
    }
  }
  return inverse;
}

/**
 * The weight before it was merged: W' = W Mᵀ gives W = W' M⁻ᵀ, an embedding E' = E M gives E = E' M⁻¹.
 *
 * @param weight [rows, d]
 * @param rotation M [d, d], zero outside of the factor's blocks
 */
export function undoRotation(
  weight: Float32Array,
  rotation: Float32Array,
  factor: Extract<Factor, { kind: 'blocks' }>,
  isEmbedding: boolean,
): Float32Array {
  const { size: d, block: b, group } = factor;
  const members = new Map<number, number[]>();
  for (let i = 0; i < d; i++) members.set(group[i]!, [...(members.get(group[i]!) ?? []), i]);
  const out = new Float32Array(weight.length);
  for (const places of members.values()) {
    const blockOf = Float64Array.from(
      { length: b * b },
      (_, k) => rotation[places[Math.floor(k / b)]! * d + places[k % b]!]!,
    );
    const inverse = inverseOf(blockOf, b);
    for (let row = 0; row < weight.length; row += d) {
      for (let j = 0; j < b; j++) {
        let sum = 0;
        for (let i = 0; i < b; i++) {
          sum += weight[row + places[i]!]! * (isEmbedding ? inverse[i * b + j]! : inverse[j * b + i]!);
        }
        out[row + places[j]!] = sum;
      }
    }
  }
  return out;
}
