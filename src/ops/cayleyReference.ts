/** Float64 loops of the Cayley transform and its gradient: the oracle of src/ops/cayley.ts. */

type Matrix = Float64Array;

/** Coefficients c₀ … c_d of PEFT's truncated series (since 0.18 the last one is 1; 3 and 4 terms are the same). */
export function seriesCoefficients(terms: number): number[] {
  if (terms <= 1) return [1];
  if (terms === 2) return [1, 2];
  const degree = terms <= 4 ? 3 : terms - 1;
  return [1, ...new Array<number>(degree - 1).fill(2), 1];
}

const identity = (b: number): Matrix =>
  Float64Array.from({ length: b * b }, (_, i) => (i % (b + 1) === 0 ? 1 : 0));

function product(x: Matrix, y: Matrix, b: number): Matrix {
  const out = new Float64Array(b * b);
  for (let i = 0; i < b; i++) {
    for (let l = 0; l < b; l++) {
      const v = x[i * b + l]!;
      for (let j = 0; j < b; j++) out[i * b + j]! += v * y[l * b + j]!;
    }
  }
  return out;
}

const transposed = (x: Matrix, b: number): Matrix => x.map((_, i) => x[(i % b) * b + Math.floor(i / b)]!);

const combined = (x: Matrix, y: Matrix, a: number, c: number): Matrix => x.map((v, i) => a * v + c * y[i]!);

/** Gauss-Jordan without pivoting, on a copy. */
function inverse(matrix: Matrix, b: number): Matrix {
  const m = matrix.slice();
  const inv = identity(b);
  for (let k = 0; k < b; k++) {
    const pivot = m[k * b + k]!;
    for (let j = 0; j < b; j++) {
      m[k * b + j]! /= pivot;
      inv[k * b + j]! /= pivot;
    }
    for (let i = 0; i < b; i++) {
      if (i === k) continue;
      const f = m[i * b + k]!;
      for (let j = 0; j < b; j++) {
        m[i * b + j]! -= f * m[k * b + j]!;
        inv[i * b + j]! -= f * inv[k * b + j]!;
      }
    }
  }
  return inv;
}

/** The skew matrix of a packed strict upper triangle, or the skew half of a full matrix. */
export function skewOf(source: Float64Array, b: number, form: 'packed' | 'full'): Matrix {
  const q = new Float64Array(b * b);
  let next = 0;
  for (let i = 0; i < b; i++) {
    for (let j = i + 1; j < b; j++) {
      const v = form === 'packed' ? source[next++]! : (source[i * b + j]! - source[j * b + i]!) / 2;
      q[i * b + j] = v;
      q[j * b + i] = -v;
    }
  }
  return q;
}

export function rotationOf(q: Matrix, b: number, kind: 'exact' | 'neumann', terms: number): Matrix {
  if (kind === 'exact') {
    return combined(inverse(combined(identity(b), q, 1, 1), b), identity(b), 2, -1);
  }
  let power = identity(b);
  let sum = new Float64Array(b * b);
  for (const c of seriesCoefficients(terms)) {
    sum = combined(sum, power, 1, c) as Float64Array<ArrayBuffer>;
    power = product(power, q, b);
  }
  return sum;
}

/** Gradient with respect to the (unconstrained) matrix Q. */
export function skewGradient(
  q: Matrix,
  g: Matrix,
  b: number,
  kind: 'exact' | 'neumann',
  terms: number,
): Matrix {
  if (kind === 'exact') {
    const p = inverse(combined(identity(b), q, 1, -1), b);
    return product(product(p, g, b), p, b).map((v) => -2 * v);
  }
  const coefficients = seriesCoefficients(terms);
  const powers = [identity(b)];
  const n = transposed(q, b);
  for (let k = 1; k < coefficients.length; k++) powers.push(product(powers[k - 1]!, n, b));
  let sum = new Float64Array(b * b);
  for (let k = 1; k < coefficients.length; k++) {
    for (let j = 0; j < k; j++) {
      const term = product(product(powers[j]!, g, b), powers[k - 1 - j]!, b);
      sum = combined(sum, term, 1, coefficients[k]!) as Float64Array<ArrayBuffer>;
    }
  }
  return sum;
}
