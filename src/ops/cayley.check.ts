/** The float64 references and test cases of cayley.ts. */
import { defineCheck } from '../graph/interpret.ts';
import { sizeOf } from '../graph/shape.ts';
import type { TensorType } from '../graph/types.ts';
import { rng } from '../lib/rng.ts';
import { type CayleyAttrs, cayleyGradOp, cayleyOp, leadOf, sourceShape } from './cayley.ts';
import { seriesCoefficients } from './cayleySeries.ts';

const exact = (b: number, form: CayleyAttrs['form'] = 'packed'): CayleyAttrs => ({
  ...{ b, kind: 'exact', terms: 0, form },
});
const neumann = (b: number, terms: number): CayleyAttrs => ({ b, kind: 'neumann', terms, form: 'packed' });

const cases: readonly [string, CayleyAttrs, number[], [number, number]?][] = [
  ['BOFT blocks', exact(4, 'full'), [2, 3]],
  ['odd full block', exact(3, 'full'), [5]],
  ['many BOFT blocks', exact(4, 'full'), [2, 67]],
  ['full block of 33', exact(33, 'full'), [2], [-0.2, 0.2]],
  ['b 2', exact(2), [7]],
  ['b 8, large angles', exact(8), [3], [-3, 3]],
  ['b 9 in workgroup memory', exact(9), [8]],
  ['b 16', exact(16), [5], [-0.5, 0.5]],
  ['b 32 in workgroup memory', exact(32), [3], [-0.3, 0.3]],
  ['b 48', exact(48), [2], [-0.2, 0.2]],
  ['b 66 in storage', exact(66), [1], [-0.1, 0.1]],
  ['b 128', exact(128), [1], [-0.1, 0.1]],
  ['series of no term is the identity', neumann(4, 0), [3]],
  ['series of 1 term is the identity', neumann(4, 1), [3]],
  ['series of 1 term, b 40', neumann(40, 1), [2]],
  ['series of 2 terms', neumann(4, 2), [3]],
  ['series of 2 terms, b 34', neumann(34, 2), [3], [-0.2, 0.2]],
  ['series of 3 terms', neumann(16, 3), [5], [-0.3, 0.3]],
  ['series of 4 terms', neumann(5, 4), [3]],
  ['series of 5 terms', neumann(6, 5), [2]],
  ['series of 5 terms, b 2', neumann(2, 5), [131]],
  ['series of 6 terms', neumann(3, 6), [11]],
  ['series of 7 terms', neumann(7, 7), [17], [-0.4, 0.4]],
  ['series of 8 terms', neumann(12, 8), [9], [-0.2, 0.2]],
  ['series, b 24', neumann(24, 5), [2], [-0.2, 0.2]],
  ['series, b 31', neumann(31, 6), [3], [-0.15, 0.15]],
  ['series, b 32', neumann(32, 5), [3], [-0.2, 0.2]],
  ['series of 8 terms, b 33', neumann(33, 8), [2], [-0.1, 0.1]],
  ['series of 4 terms, b 36', neumann(36, 4), [2], [-0.15, 0.15]],
  ['series, b 64', neumann(64, 5), [2], [-0.1, 0.1]],
  ['series, b 128', neumann(128, 5), [1], [-0.05, 0.05]],
];

/** Largest block of which finite differences are taken; gradients of larger ones are held against their own reference. */
const DIFFERENCES = 12;

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

/** Rotations of random skew matrices, which the exact gradient reads. */
function rotations(count: number, b: number, [low, high]: readonly [number, number]): number[] {
  const random = rng(b, 1);
  return Array.from({ length: count }, () => {
    const q = skewOf(
      Float64Array.from({ length: b * b }, () => random.between(low, high)),
      b,
      'packed',
    );
    return [...rotationOf(q, b, 'exact', 0)];
  }).flat();
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
    ...((attrs.kind === 'neumann' && attrs.terms <= 1) || attrs.b > DIFFERENCES
      ? { gradientInputs: [] }
      : {}),
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
    ...cases
      .filter(([, attrs]) => attrs.kind === 'exact' || attrs.terms > 1)
      .map(([name, attrs, lead, range = [-1, 1]]) => {
        const blocks: TensorType = { dtype: 'f32', shape: [...lead, attrs.b, attrs.b] };
        const known =
          attrs.kind === 'neumann'
            ? { dtype: 'f32' as const, shape: sourceShape(lead, attrs), range }
            : { ...blocks, data: rotations(sizeOf(lead), attrs.b, range) };
        return { name, inputs: [known, blocks], attrs };
      }),
    {
      name: 'exact at a quarter turn',
      inputs: [
        { dtype: 'f32', shape: [1, 2, 2], data: [0, -1, 1, 0] },
        { dtype: 'f32', shape: [1, 2, 2] },
      ],
      attrs: exact(2, 'full'),
    },
  ],
});

/** Q = (I + R)⁻¹(I − R): the transform is its own inverse, and never meets R = −I. */
const skewFromRotation = (r: Float64Array, b: number): Float64Array => rotationOf(r, b, 'exact', 0);
