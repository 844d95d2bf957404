/** How far a square matrix is from a rotation, and how far it turns. */

export function frobenius(a: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * a[i]!;
  return Math.sqrt(sum);
}

/** ‖RᵀR − I‖_F for R [n, n], in float64. */
export function orthogonalityDefect(R: Float32Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let dot = 0;
      for (let k = 0; k < n; k++) dot += R[k * n + i]! * R[k * n + j]!;
      const d = dot - (i === j ? 1 : 0);
      sum += i === j ? d * d : 2 * d * d;
    }
  }
  return Math.sqrt(sum);
}

/**
 * The largest angle in radians by which R [n, n] turns any direction: arccos of the smallest eigenvalue of (R + Rᵀ)/2, found by power
 * iteration on I − (R + Rᵀ)/2, whose eigenvalues 1 − cos θ are not negative.
 */
export function maxRotationAngle(R: Float32Array, n: number): number {
  let v = Float64Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + 0.3) + 0.01);
  let eigenvalue = 0;
  for (let step = 0; step < 200; step++) {
    const next = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = v[i]!;
      for (let j = 0; j < n; j++) sum -= 0.5 * (R[i * n + j]! + R[j * n + i]!) * v[j]!;
      next[i] = sum;
    }
    const length = frobenius(next);
    if (length < 1e-12) return 0;
    for (let i = 0; i < n; i++) next[i] = next[i]! / length;
    const change = Math.abs(length - eigenvalue);
    eigenvalue = length;
    v = next;
    if (change < 1e-9 && step > 10) break;
  }
  const norm = frobenius(v);
  return Math.acos(Math.max(-1, Math.min(1, 1 - eigenvalue / Math.max(norm, 1e-12))));
}
