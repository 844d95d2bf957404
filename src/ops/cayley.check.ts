/** The float64 references and test cases of cayley.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import {
  type CayleyAttrs,
  cayleyGradOp,
  cayleyOp,
  leadOf,
  seriesCoefficients,
  sourceShape,
} from './cayley.ts';

const cases: readonly [string, CayleyAttrs, number[], [number, number]?][] = [
  ['BOFT blocks', { b: 4, kind: 'exact', terms: 0, form: 'full' }, [2, 3]],
  ['odd full block', { b: 3, kind: 'exact', terms: 0, form: 'full' }, [5]],
  ['b 2', { b: 2, kind: 'exact', terms: 0, form: 'packed' }, [7]],
  ['b 8, large angles', { b: 8, kind: 'exact', terms: 0, form: 'packed' }, [3], [-3, 3]],
  ['b 9 in workgroup memory', { b: 9, kind: 'exact', terms: 0, form: 'packed' }, [8]],
  ['b 32 in workgroup memory', { b: 32, kind: 'exact', terms: 0, form: 'packed' }, [3], [-0.3, 0.3]],
  ['b 66 in storage', { b: 66, kind: 'exact', terms: 0, form: 'packed' }, [1], [-0.1, 0.1]],
  ['series of 1 term is the identity', { b: 4, kind: 'neumann', terms: 1, form: 'packed' }, [3]],
  ['series of 2 terms', { b: 4, kind: 'neumann', terms: 2, form: 'packed' }, [3]],
  ['series of 4 terms', { b: 5, kind: 'neumann', terms: 4, form: 'packed' }, [3]],
  ['series of 5 terms', { b: 6, kind: 'neumann', terms: 5, form: 'packed' }, [2]],
  ['series of 6 terms', { b: 3, kind: 'neumann', terms: 6, form: 'packed' }, [11]],
  ['series, b 24', { b: 24, kind: 'neumann', terms: 5, form: 'packed' }, [2], [-0.2, 0.2]],
];

type Matrix = Float64Array;

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
function skewOf(source: Float64Array, b: number, form: 'packed' | 'full'): Matrix {
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

function rotationOf(q: Matrix, b: number, kind: 'exact' | 'neumann', terms: number): Matrix {
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
function skewGradient(q: Matrix, g: Matrix, b: number, kind: 'exact' | 'neumann', terms: number): Matrix {
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

defineCheck(cayleyOp, {
  reference: ([source], attrs) => {
    const { b, form, kind, terms } = attrs;
    const lead = leadOf(source!, attrs);
    const blocks = sizeOf(lead);
    const stride = source!.data.length / blocks;
    const data = new Float64Array(blocks * b * b);
    for (let n = 0; n < blocks; n++) {
      const q = skewOf(source!.data.subarray(n * stride, (n + 1) * stride), b, form);
      data.set(rotationOf(q, b, kind, terms), n * b * b);
    }
    return [{ dtype: 'f32', shape: [...lead, b, b], data }];
  },
  cases: cases.map(([name, attrs, lead, range = [-1, 1]]) => ({
    name,
    inputs: [{ dtype: 'f32', shape: sourceShape(lead, attrs), range }],
    attrs,
    ...((attrs.kind === 'neumann' && attrs.terms <= 1) || attrs.b > 32 ? { gradientInputs: [] } : {}),
  })),
});

defineCheck(cayleyGradOp, {
  reference: ([known, dR], attrs) => {
    const { b, form, kind, terms } = attrs;
    const lead = dR!.shape.slice(0, -2);
    const blocks = sizeOf(lead);
    const shape = sourceShape(lead, attrs);
    const stride = sizeOf(shape) / blocks;
    const data = new Float64Array(blocks * stride);
    for (let n = 0; n < blocks; n++) {
      const g = dR!.data.subarray(n * b * b, (n + 1) * b * b);
      const q =
        kind === 'exact'
          ? skewFromRotation(known!.data.subarray(n * b * b, (n + 1) * b * b), b)
          : skewOf(known!.data.subarray(n * stride, (n + 1) * stride), b, form);
      const s = skewGradient(q, g, b, kind, terms);
      let next = n * stride;
      for (let i = 0; i < b; i++) {
        for (let j = 0; j < b; j++) {
          const d = s[i * b + j]! - s[j * b + i]!;
          if (form === 'full') data[next++] = d / 2;
          else if (i < j) data[next++] = d;
        }
      }
    }
    return [{ dtype: 'f32', shape, data }];
  },
  cases: [
    {
      name: 'series of 5 terms',
      inputs: [
        { dtype: 'f32', shape: [3, 10], range: [-0.5, 0.5] },
        { dtype: 'f32', shape: [3, 5, 5] },
      ],
      attrs: { b: 5, kind: 'neumann', terms: 5, form: 'packed' },
    },
    {
      name: 'exact at a quarter turn',
      inputs: [
        { dtype: 'f32', shape: [1, 2, 2], data: [0, -1, 1, 0] },
        { dtype: 'f32', shape: [1, 2, 2] },
      ],
      attrs: { b: 2, kind: 'exact', terms: 0, form: 'full' },
    },
  ],
});

/** Q = (I + R)⁻¹(I − R): the transform is its own inverse, and never meets R = −I. */
const skewFromRotation = (r: Float64Array, b: number): Float64Array => rotationOf(r, b, 'exact', 0);
