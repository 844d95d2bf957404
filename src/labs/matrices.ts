/** Small square matrices in float64, row by row: what the labs measure on what the engine computed, and what they fit. */
export type Matrix = Float64Array;

export const identityOf = (d: number): Matrix =>
  Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0));

export const transposedOf = (x: ArrayLike<number>, d: number): Matrix =>
  Float64Array.from({ length: d * d }, (_, i) => x[(i % d) * d + Math.floor(i / d)]!);

export function productOf(x: ArrayLike<number>, y: ArrayLike<number>, d: number): Matrix {
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++)
    for (let k = 0; k < d; k++) {
      const factor = x[i * d + k]!;
      for (let j = 0; j < d; j++) out[i * d + j]! += factor * y[k * d + j]!;
    }
  return out;
}

/** ‖x − y‖, the root of the sum of squares of all entries. */
export function distanceOf(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! - y[i]!) ** 2;
  return Math.sqrt(sum);
}

/** ‖RᵀR − I‖: 0 for a rotation. */
export const offOrthogonal = (r: ArrayLike<number>, d: number): number =>
  distanceOf(productOf(transposedOf(r, d), r, d), identityOf(d));

/** Determinant, by elimination with pivots. */
export function determinantOf(x: ArrayLike<number>, d: number): number {
  const m = Float64Array.from(x);
  let product = 1;
  for (let k = 0; k < d; k++) {
    let pivot = k;
    for (let i = k + 1; i < d; i++) if (Math.abs(m[i * d + k]!) > Math.abs(m[pivot * d + k]!)) pivot = i;
    if (m[pivot * d + k] === 0) return 0;
    if (pivot !== k) {
      for (let j = 0; j < d; j++) [m[k * d + j], m[pivot * d + j]] = [m[pivot * d + j]!, m[k * d + j]!];
      product = -product;
    }
    product *= m[k * d + k]!;
    for (let i = k + 1; i < d; i++) {
      const f = m[i * d + k]! / m[k * d + k]!;
      for (let j = k; j < d; j++) m[i * d + j]! -= f * m[k * d + j]!;
    }
  }
  return product;
}
