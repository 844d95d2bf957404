/**
 * Singular values against known ones: matrices put together from orthogonal factors and chosen values, Hilbert's matrix by one-sided Jacobi,
 * which shares no step with what is tested, and the closed form of a tridiagonal one. Seen to fail with: a reflection that leaves the rest as it
 * was, a shift of the other sign, a sketch without power steps, the floor of rank left out.
 */
import { describe, expect, it } from 'vitest';
import { rng } from '../../src/lib/rng.ts';
import { leftOfRank, rankAbove, rankOfShare, shareOfRank, singularValues } from '../../src/lib/singular.ts';

const breathe = async () => {};

/** `count` orthonormal vectors of a length. */
function orthonormal(count: number, length: number, seed: number): number[][] {
  const random = rng(seed);
  const found: number[][] = [];
  while (found.length < count) {
    const v = Array.from({ length }, () => random.normal());
    for (let pass = 0; pass < 2; pass++)
      for (const u of found) {
        const along = u.reduce((s, x, i) => s + x * v[i]!, 0);
        u.forEach((x, i) => {
          v[i] = v[i]! - along * x;
        });
      }
    const size = Math.hypot(...v);
    found.push(v.map((x) => x / size));
  }
  return found;
}

/** U diag(values) Vᵀ [rows, columns]. */
function made(values: readonly number[], rows: number, columns: number): Float64Array {
  const U = orthonormal(values.length, rows, 1);
  const V = orthonormal(values.length, columns, 2);
  const out = new Float64Array(rows * columns);
  values.forEach((s, k) => {
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) out[r * columns + c]! += s * U[k]![r]! * V[k]![c]!;
  });
  return out;
}

/** By one-sided Jacobi: columns turned in pairs until all are orthogonal. */
function jacobi(a: ArrayLike<number>, rows: number, columns: number): number[] {
  const cols = Array.from({ length: columns }, (_, c) =>
    Array.from({ length: rows }, (_, r) => a[r * columns + c]!),
  );
  const dot = (x: number[], y: number[]) => x.reduce((s, v, i) => s + v * y[i]!, 0);
  for (let sweep = 0, off = 1; sweep < 60 && off > 1e-15; sweep++) {
    off = 0;
    for (let i = 0; i < columns; i++)
      for (let j = i + 1; j < columns; j++) {
        const [x, y] = [cols[i]!, cols[j]!];
        const [p, q, r] = [dot(x, x), dot(y, y), dot(x, y)];
        if (Math.abs(r) <= 1e-300) continue;
        off = Math.max(off, Math.abs(r) / Math.sqrt(p * q));
        const zeta = (q - p) / (2 * r);
        const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        const s = c * t;
        for (let k = 0; k < rows; k++) {
          const [u, v] = [x[k]!, y[k]!];
          x[k] = c * u - s * v;
          y[k] = s * u + c * v;
        }
      }
  }
  return cols.map((x) => Math.hypot(...x)).sort((x, y) => y - x);
}

const near = (found: ArrayLike<number>, wanted: readonly number[], tolerance: number) => {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries())
    expect(Math.abs(found[i]! - value), `value ${i}`).toBeLessThanOrEqual(tolerance * wanted[0]!);
};

describe('singular values', () => {
  it.each([
    [7, 5],
    [5, 7],
    [33, 40],
    [1, 6],
    [6, 1],
    [2, 2],
  ])('of %i × %i put together are found', async (rows, columns) => {
    const n = Math.min(rows, columns);
    const values = Array.from({ length: n }, (_, i) => 3 * 0.8 ** i + 0.01);
    const found = await singularValues(made(values, rows, columns), rows, columns, breathe);
    expect(found.of).toBe(n);
    near(found.values, values, 1e-12);
  });

  it('of equal ones, of low rank and of zeros are found', async () => {
    near((await singularValues(made([2, 2, 2, 2], 4, 9), 4, 9, breathe)).values, [2, 2, 2, 2], 1e-13);
    const low = await singularValues(made([5, 1], 20, 16), 20, 16, breathe);
    near(low.values.slice(0, 2), [5, 1], 1e-12);
    // Nothing is left below 1e-8 of the largest.
    expect(Math.max(...low.values.slice(2))).toBeLessThan(5e-7);
    expect([...(await singularValues(new Float32Array(12), 3, 4, breathe)).values]).toEqual([0, 0, 0]);
  });

  it('of a tridiagonal matrix are its closed form', async () => {
    const n = 40;
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      a[i * n + i] = 2;
      if (i > 0) a[i * n + i - 1] = a[(i - 1) * n + i] = -1;
    }
    const wanted = Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    near(
      (await singularValues(a, n, n, breathe)).values,
      wanted.sort((x, y) => y - x),
      1e-12,
    );
  });

  it('of random and of Hilbert’s matrix are those of one-sided Jacobi', async () => {
    const random = rng(9);
    const a = Float32Array.from({ length: 37 * 23 }, () => random.normal());
    near((await singularValues(a, 37, 23, breathe)).values, jacobi(a, 37, 23), 1e-12);
    const hilbert = Float64Array.from({ length: 64 }, (_, k) => 1 / ((k >> 3) + (k & 7) + 1));
    near((await singularValues(hilbert, 8, 8, breathe)).values, jacobi(hilbert, 8, 8), 1e-8);
  });

  it('of a matrix that is large both ways: the largest, by a sketch', async () => {
    const values = Array.from({ length: 130 }, (_, i) => 10 / (1 + i));
    const a = made(values, 150, 140);
    const { values: found, of } = await singularValues(a, 150, 140, breathe, 100);
    expect(of).toBe(140);
    expect(found).toHaveLength(96);
    for (const k of [0, 1, 5, 20, 60])
      expect(Math.abs(found[k]! / values[k]! - 1), `${k}`).toBeLessThan(2e-3);
    // Never more than there is.
    for (const [k, value] of found.entries()) expect(value).toBeLessThanOrEqual(values[k]! * (1 + 1e-12));
  });

  it('can be left between its parts', async () => {
    let breaths = 0;
    const leave = async () => {
      if (++breaths > 3) throw new Error('left');
    };
    const a = Float32Array.from({ length: 300 * 300 }, (_, i) => Math.sin(i * i));
    await expect(singularValues(a, 300, 300, leave)).rejects.toThrow('left');
    expect(breaths).toBe(4);
  });

  it('count as rank above what rounding to 32 bits gives, and hold their share', async () => {
    const [rows, columns] = [60, 50];
    const random = rng(4);
    const W = Float32Array.from({ length: rows * columns }, () => random.normal());
    const change = made([0.2, 0.1, 0.05], rows, columns);
    const after = Float32Array.from(change, (d, i) => W[i]! + d);
    const delta = Float32Array.from(after, (v, i) => v - W[i]!);
    const found = await singularValues(delta, rows, columns, breathe);
    const largest = after.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const { rank, floor } = rankAbove(found, rows, columns, largest);
    expect(rank).toBe(3);
    // The fourth is there, and is rounding.
    expect(found.values[3]!).toBeGreaterThan(1e-8);
    expect(found.values[3]!).toBeLessThan(floor);
    const whole = Math.hypot(0.2, 0.1, 0.05);
    expect(shareOfRank(found.values, 1, whole)).toBeCloseTo(0.04 / whole ** 2, 5);
    expect(shareOfRank(found.values, 3, whole)).toBeCloseTo(1, 6);
    expect(shareOfRank([0, 0], 1, 0)).toBe(1);
    expect([0, 1, 2].map((rank) => leftOfRank([4, 3], rank))).toEqual([1, 0.6, 0]);
    expect([leftOfRank([4, 3], 1, 10), leftOfRank([0], 0)]).toEqual([0.3, 0]);
    expect([0.5, 0.64, 0.65, 1].map((share) => rankOfShare([4, 3], share))).toEqual([1, 1, 2, 2]);
  });
});
