/** What the spectral lab fits: changes ΔW of a weight of {@link UPDATE_SIZE} inputs and outputs, in float64, each with entries of size 1 in the root mean square. */
import { rng } from '../lib/rng.ts';
import type { Matrix } from './matrices.ts';
import { ENTRIES, HIGHEST, LOW_RANK, UPDATE_SIZE, type UpdateTarget } from './updatePieces.ts';

/** Rows and columns by which the shifted target lies further than the smooth one. */
const SHIFT = [5, 11] as const;

const d = UPDATE_SIZE;

export const updateTarget = (name: UpdateTarget, seed: number): Matrix => scaled(MAKERS[name](seed));

const MAKERS: Readonly<Record<UpdateTarget, (seed: number) => Matrix>> = {
  smooth: (seed) => waves(seed, [0, 0]),
  shifted: (seed) => waves(seed, SHIFT),
  entries,
  lowrank,
  random: (seed) => normals(seed, 14, d * d),
};

const normals = (seed: number, stream: number, count: number): Matrix => {
  const random = rng(seed, stream);
  return Float64Array.from({ length: count }, () => random.normal());
};

/** Root mean square 1. */
function scaled(m: Matrix): Matrix {
  const size = Math.sqrt(m.reduce((sum, v) => sum + v * v, 0) / m.length);
  return m.map((v) => v / size);
}

/** A sum of cosine waves up to {@link HIGHEST}: seen from the opposite side it is the same, unless it is shifted. */
function waves(seed: number, [rows, columns]: readonly [number, number]): Matrix {
  const random = rng(seed, 11);
  const m = new Float64Array(d * d);
  for (let u = 0; u <= HIGHEST; u++)
    for (let v = -HIGHEST; v <= HIGHEST; v++) {
      const height = random.normal();
      for (let at = 0; at < d * d; at++) {
        const [p, q] = [Math.floor(at / d) - rows, (at % d) - columns];
        m[at]! += height * Math.cos((2 * Math.PI * (p * u + q * v)) / d);
      }
    }
  return m;
}

function entries(seed: number): Matrix {
  const random = rng(seed, 12);
  const order = () => random.shuffle(Array.from({ length: d }, (_, i) => i));
  const [rows, columns] = [order(), order()];
  const m = new Float64Array(d * d);
  for (let k = 0; k < ENTRIES; k++) m[rows[k]! * d + columns[k]!] = random.chance(0.5) ? 1 : -1;
  return m;
}

function lowrank(seed: number): Matrix {
  const [left, right] = [normals(seed, 13, d * LOW_RANK), normals(seed, 15, d * LOW_RANK)];
  return Float64Array.from({ length: d * d }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < LOW_RANK; k++)
      sum += left[Math.floor(at / d) * LOW_RANK + k]! * right[(at % d) * LOW_RANK + k]!;
    return sum;
  });
}
