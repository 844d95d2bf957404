/** What the butterfly lab fits: rotations of d dimensions, in float64. Each has determinant 1, as a product of Cayley rotations has. */
import { rng } from '../lib/rng.ts';
import { determinantOf, type Matrix } from './matrices.ts';

export const TARGETS = ['random', 'hadamard', 'fourier', 'permutation'] as const;
export type TargetName = (typeof TARGETS)[number];

/** @param d a power of two, at least 4 */
export const targetOf = (name: TargetName, d: number, seed: number): Matrix => MAKERS[name](d, seed);

const MAKERS: Readonly<Record<TargetName, (d: number, seed: number) => Matrix>> = {
  random: randomRotation,
  hadamard,
  fourier,
  permutation,
};

/** Uniform over all rotations: Gram-Schmidt on normal numbers, the last row turned round where the determinant is −1. */
function randomRotation(d: number, seed: number): Matrix {
  const random = rng(seed, 0);
  const m = Float64Array.from({ length: d * d }, () => random.normal());
  for (let i = 0; i < d; i++) {
    const row = m.subarray(i * d, (i + 1) * d);
    // Twice, so that rounding of the first time is gone.
    for (let round = 0; round < 2; round++)
      for (let j = 0; j < i; j++) {
        const other = m.subarray(j * d, (j + 1) * d);
        const along = row.reduce((sum, v, k) => sum + v * other[k]!, 0);
        row.forEach((v, k) => {
          row[k] = v - along * other[k]!;
        });
      }
    const norm = Math.hypot(...row);
    row.forEach((v, k) => {
      row[k] = v / norm;
    });
  }
  return proper(m, d);
}

/** Sylvester's matrix over √d: entry (i, j) is negative where i and j share an odd number of bits. */
function hadamard(d: number): Matrix {
  return Float64Array.from({ length: d * d }, (_, at) => {
    let shared = Math.floor(at / d) & (at % d);
    let sign = 1;
    for (; shared > 0; shared &= shared - 1) sign = -sign;
    return sign / Math.sqrt(d);
  });
}

/**
 * The discrete Fourier transform of d/2 complex numbers, each written as two real ones, over √(d/2). Its inputs come in bit-reversed order, as the
 * stages of the fast transform take them.
 */
function fourier(d: number): Matrix {
  const n = d / 2;
  const bits = Math.log2(n);
  const m = new Float64Array(d * d);
  for (let k = 0; k < n; k++)
    for (let j = 0; j < n; j++) {
      const angle = (-2 * Math.PI * ((k * j) % n)) / n;
      const [re, im] = [Math.cos(angle) / Math.sqrt(n), Math.sin(angle) / Math.sqrt(n)];
      const column = 2 * reversed(j, bits);
      m[2 * k * d + column] = re;
      m[2 * k * d + column + 1] = -im;
      m[(2 * k + 1) * d + column] = im;
      m[(2 * k + 1) * d + column + 1] = re;
    }
  return m;
}

function reversed(value: number, bits: number): number {
  let out = 0;
  for (let bit = 0; bit < bits; bit++) out |= ((value >> bit) & 1) << (bits - 1 - bit);
  return out;
}

/** A random order of the inputs; where it is an odd one, the last row is turned round. */
function permutation(d: number, seed: number): Matrix {
  const order = rng(seed, 1).shuffle(Array.from({ length: d }, (_, i) => i));
  const m = new Float64Array(d * d);
  order.forEach((from, to) => {
    m[to * d + from] = 1;
  });
  return proper(m, d);
}

/** The same with determinant 1: the last row turned round where it is −1. */
function proper(m: Matrix, d: number): Matrix {
  if (determinantOf(m, d) < 0) for (let j = 0; j < d; j++) m[(d - 1) * d + j]! *= -1;
  return m;
}
