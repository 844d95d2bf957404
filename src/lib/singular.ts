/**
 * Singular values of a matrix, in float64: of the smaller of A Aᵀ and Aᵀ A, made tridiagonal by Householder reflections and then diagonal by
 * the implicit QL method (Golub and Van Loan, sections 8.3 and 8.6). Squaring leaves nothing of values below some 1e-8 of the largest, which is
 * less than single precision has; in exchange it takes a tenth of the time of one-sided Jacobi. Of a matrix that is large both ways only the
 * largest values are found, by a randomised range finder with power steps (Halko, Martinsson and Tropp 2011).
 */
import { rng } from './rng.ts';

export interface SingularValues {
  /** The largest first. */
  readonly values: Float64Array;
  /** How many there are; more than `values` has where only the largest were looked for. */
  readonly of: number;
}

/** Called between parts of a long computation: lets others go first, and throws where nobody wants the result any longer. */
export type Breathe = () => Promise<void>;

/** Of a smaller side up to this all values are found. */
const MOST_WHOLE = 1024;
/** Of larger ones so many, by a sketch of so many more directions. */
const LARGEST = 96;
const SPARE = 16;
const POWER_STEPS = 2;

/**
 * @param a [rows, columns]
 * @param breathe called about once for every million multiplications
 */
export async function singularValues(
  a: ArrayLike<number>,
  rows: number,
  columns: number,
  breathe: Breathe,
  mostWhole = MOST_WHOLE,
): Promise<SingularValues> {
  const of = Math.min(rows, columns);
  if (of <= mostWhole || of <= LARGEST + SPARE) {
    const gram = await gramOf(a, rows, columns, breathe);
    return { values: await rootsOf(gram, of, breathe), of };
  }
  const width = LARGEST + SPARE;
  const sketch = await sketchOf(a, rows, columns, width, breathe);
  const gram = await gramOf(sketch, width, columns, breathe);
  return { values: (await rootsOf(gram, width, breathe)).slice(0, LARGEST), of };
}

const A_WHILE = 1e6;

/** Counts multiplications, and takes a breath after many. */
function breathing(breathe: Breathe): (multiplications: number) => Promise<void> | undefined {
  let done = 0;
  return (multiplications) => {
    done += multiplications;
    if (done < A_WHILE) return undefined;
    done = 0;
    return breathe();
  };
}

/** A Aᵀ where A [rows, columns] is wide, else Aᵀ A: symmetric, of the smaller side. */
async function gramOf(
  a: ArrayLike<number>,
  rows: number,
  columns: number,
  breathe: Breathe,
): Promise<Float64Array> {
  const n = Math.min(rows, columns);
  const length = Math.max(rows, columns);
  // Vectors side by side in memory, whichever way the matrix lies.
  const vectors = new Float64Array(n * length);
  if (rows <= columns) vectors.set(a);
  else for (let r = 0; r < rows; r++) for (let c = 0; c < n; c++) vectors[c * length + r] = a[r * n + c]!;
  const gram = new Float64Array(n * n);
  const count = breathing(breathe);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0, p = i * length, q = j * length; k < length; k++)
        sum += vectors[p + k]! * vectors[q + k]!;
      gram[i * n + j] = sum;
      gram[j * n + i] = sum;
    }
    await count((i + 1) * length);
  }
  return gram;
}

/** Roots of the eigenvalues of a symmetric matrix [n, n] that has none below zero, the largest first; the matrix is used up. */
async function rootsOf(a: Float64Array, n: number, breathe: Breathe): Promise<Float64Array> {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const count = breathing(breathe);
  const v = new Float64Array(n);
  const w = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    diagonal[k] = a[k * n + k]!;
    if (k === n - 1) break;
    beside[k] = reflect(a, n, k, v, w);
    await count(3 * (n - k) ** 2);
  }
  diagonalise(diagonal, beside, n);
  return diagonal.map((value) => Math.sqrt(Math.max(0, value))).sort((x, y) => y - x);
}

/**
 * Takes column k below the diagonal to one number by a reflection H of the rest, which becomes H A H.
 * @param v, w room for n numbers each
 * @returns that number
 */
function reflect(a: Float64Array, n: number, k: number, v: Float64Array, w: Float64Array): number {
  let squared = 0;
  for (let i = k + 1; i < n; i++) squared += a[i * n + k]! ** 2;
  const first = a[(k + 1) * n + k]!;
  const length = Math.sqrt(squared);
  const target = first > 0 ? -length : length;
  if (k === n - 2 || squared === first * first) return first;
  for (let i = k + 1; i < n; i++) v[i] = a[i * n + k]!;
  v[k + 1] = first - target;
  const beta = 1 / (squared - first * target);
  let along = 0;
  for (let i = k + 1; i < n; i++) {
    let sum = 0;
    for (let j = k + 1, row = i * n; j < n; j++) sum += a[row + j]! * v[j]!;
    w[i] = beta * sum;
    along += w[i]! * v[i]!;
  }
  for (let i = k + 1; i < n; i++) w[i] = w[i]! - 0.5 * beta * along * v[i]!;
  for (let i = k + 1; i < n; i++) {
    const [vi, wi] = [v[i]!, w[i]!];
    for (let j = k + 1, row = i * n; j < n; j++) a[row + j] = a[row + j]! - vi * w[j]! - wi * v[j]!;
  }
  return target;
}

/** Eigenvalues of a symmetric tridiagonal matrix, in place of its diagonal, by implicit QL with Wilkinson's shift. */
function diagonalise(d: Float64Array, e: Float64Array, n: number): void {
  for (let low = 0; low < n; low++) {
    for (let round = 0; round < 100; round++) {
      let end = low;
      while (end < n - 1) {
        const size = Math.abs(d[end]!) + Math.abs(d[end + 1]!);
        if (Math.abs(e[end]!) <= Number.EPSILON * size) break;
        end++;
      }
      if (end === low) break;
      chase(d, e, low, end);
    }
  }
}

/** One QL step on the part from `low` to `end`: the shift's rotation, chased upwards. */
function chase(d: Float64Array, e: Float64Array, low: number, end: number): void {
  const half = (d[low + 1]! - d[low]!) / (2 * e[low]!);
  const root = Math.hypot(half, 1);
  let g = d[end]! - d[low]! + e[low]! / (half + (half < 0 ? -root : root));
  let [s, c, p] = [1, 1, 0];
  for (let i = end - 1; i >= low; i--) {
    const f = s * e[i]!;
    const b = c * e[i]!;
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] = d[i + 1]! - p;
      e[end] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    const left = d[i + 1]! - p;
    const turned = (d[i]! - left) * s + 2 * c * b;
    p = s * turned;
    d[i + 1] = left + p;
    g = c * turned - b;
  }
  d[low] = d[low]! - p;
  e[low] = g;
  e[end] = 0;
}

/** Qᵀ A [width, columns] for orthonormal Q [rows, width] that nearly spans what A does most. */
async function sketchOf(
  a: ArrayLike<number>,
  rows: number,
  columns: number,
  width: number,
  breathe: Breathe,
): Promise<Float64Array> {
  const count = breathing(breathe);
  // Directions lie one after the other, as rows.
  const random = rng(0, 0x51);
  let right: Float64Array = Float64Array.from({ length: width * columns }, () => random.normal());
  let left: Float64Array;
  for (let step = 0; step <= POWER_STEPS; step++) {
    left = await products(right, columns, rows, (r, c) => a[r * columns + c]!, width, count);
    await orthonormalise(left, width, rows, count);
    right = await products(left, rows, columns, (c, r) => a[r * columns + c]!, width, count);
    if (step < POWER_STEPS) await orthonormalise(right, width, columns, count);
  }
  return right;
}

/** For each of `width` vectors of length `from` the vector of length `to` that the matrix makes of it. */
async function products(
  vectors: Float64Array,
  from: number,
  to: number,
  entry: (row: number, column: number) => number,
  width: number,
  count: (multiplications: number) => Promise<void> | undefined,
): Promise<Float64Array> {
  const out = new Float64Array(width * to);
  const line = new Float64Array(from);
  for (let r = 0; r < to; r++) {
    for (let c = 0; c < from; c++) line[c] = entry(r, c);
    for (let v = 0; v < width; v++) {
      let sum = 0;
      for (let c = 0, at = v * from; c < from; c++) sum += line[c]! * vectors[at + c]!;
      out[v * to + r] = sum;
    }
    await count(width * from);
  }
  return out;
}

/** Gram-Schmidt on the rows, twice, so that they are orthogonal to working precision. */
async function orthonormalise(
  rows: Float64Array,
  count: number,
  length: number,
  tell: (multiplications: number) => Promise<void> | undefined,
): Promise<void> {
  const dot = (i: number, j: number): number => {
    let sum = 0;
    for (let k = 0, p = i * length, q = j * length; k < length; k++) sum += rows[p + k]! * rows[q + k]!;
    return sum;
  };
  for (let i = 0; i < count; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const along = dot(i, j);
        for (let k = 0, p = i * length, q = j * length; k < length; k++)
          rows[p + k] = rows[p + k]! - along * rows[q + k]!;
      }
    }
    const size = Math.sqrt(dot(i, i));
    for (let k = 0, p = i * length; k < length; k++) rows[p + k] = size > 0 ? rows[p + k]! / size : 0;
    await tell(4 * i * length);
  }
}

/**
 * How many singular values stand out from rounding: of W + ΔW kept in single precision with entries up to `largest`, ΔW itself is only known to
 * half a unit in the last place of each, and a random matrix of such errors has a norm of about that times √rows + √columns.
 */
export function rankAbove(
  { values }: SingularValues,
  rows: number,
  columns: number,
  largest: number,
): { readonly rank: number; readonly floor: number } {
  const floor = 2 ** -24 * largest * (Math.sqrt(rows) + Math.sqrt(columns));
  return { rank: values.reduce((n, value) => n + (value > floor ? 1 : 0), 0), floor };
}

/** ‖A‖ of all singular values of A. */
const normOf = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

/** The share of ‖A‖² in its `rank` largest singular values: what its best approximation of that rank has of it (Eckart and Young 1936). */
export function shareOfRank(values: ArrayLike<number>, rank: number, whole = normOf(values)): number {
  let part = 0;
  for (let i = 0; i < Math.min(rank, values.length); i++) part += values[i]! ** 2;
  return whole === 0 ? 1 : Math.min(1, part / whole ** 2);
}

/** What no approximation of that rank leaves less of, as a share of ‖A‖: the singular values beyond it. */
export const leftOfRank = (values: ArrayLike<number>, rank: number, whole = normOf(values)): number =>
  whole === 0 ? 0 : normOf(Array.from(values).slice(rank)) / whole;

/** The fewest of the largest singular values that hold a share of ‖A‖². */
export function rankOfShare(values: ArrayLike<number>, share: number): number {
  let rank = 1;
  while (rank < values.length && shareOfRank(values, rank) < share) rank++;
  return rank;
}
