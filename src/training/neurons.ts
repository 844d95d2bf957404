/**
 * How the neurons of a layer stand to each other, before and after: their hyperspherical energy, as the papers of OFT and BOFT have it, and the
 * angles of all pairs. A neuron is the vector of weights that one output reads its inputs with, a row of W [out, in]; only its direction counts.
 */
import { rng } from '../lib/rng.ts';
import type { Breathe } from '../lib/singular.ts';

/** Angles of pairs are counted in bins of 5°, from 0° to 180°. */
export const ANGLE_BINS = 36;

export interface Neurons {
  /** Neurons that were compared, of how many. Of more than 1,024 a sample is drawn. */
  readonly count: number;
  readonly of: number;
  readonly pairs: number;
  /** Σ over pairs i < j of 1 / ‖w_i − w_j‖, unit neurons. */
  readonly energy: { readonly before: number; readonly after: number };
  /** How many pairs have each angle. */
  readonly angles: { readonly before: Uint32Array; readonly after: Uint32Array };
  /** By how much the angle of a pair changed, in radians: the largest, and the mean. */
  readonly turned: { readonly most: number; readonly mean: number };
}

const MOST_NEURONS = 1024;
/** Neurons this near to each other, or this short, are one, or have no direction. */
const NEAR = 1e-9;

/**
 * @param before, after W and W′ [rows, columns]
 * @param breathe called between rows of pairs
 */
export async function compareNeurons(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  rows: number,
  columns: number,
  breathe: Breathe,
  most = MOST_NEURONS,
): Promise<Neurons> {
  const chosen = chooseRows(rows, most);
  const sides = [before, after].map((W) => directions(W, chosen, columns)) as [Directions, Directions];
  const places = chosen.map((_, i) => i).filter((i) => sides.every(({ isThere }) => isThere[i] === 1));
  const angles = { before: new Uint32Array(ANGLE_BINS), after: new Uint32Array(ANGLE_BINS) };
  const energy = { before: 0, after: 0 };
  let [pairs, largest, sum] = [0, 0, 0];
  for (const [k, i] of places.entries()) {
    for (const j of places.slice(0, k)) {
      const b = distance(sides[0].data, i, j, columns);
      const a = distance(sides[1].data, i, j, columns);
      if (b < NEAR || a < NEAR) continue;
      pairs++;
      energy.before += 1 / b;
      energy.after += 1 / a;
      const [from, to] = [angleOf(b), angleOf(a)];
      angles.before[binOf(from)]!++;
      angles.after[binOf(to)]!++;
      const change = Math.abs(to - from);
      largest = Math.max(largest, change);
      sum += change;
    }
    await breathe();
  }
  return {
    count: places.length,
    of: rows,
    pairs,
    energy,
    angles,
    turned: { most: largest, mean: pairs === 0 ? 0 : sum / pairs },
  };
}

/** Two neurons: how far apart their directions are, ‖w_i − w_j‖ of unit vectors, and their angle in radians. */
export interface Pair {
  readonly i: number;
  readonly j: number;
  readonly apart: number;
  readonly angle: number;
}

/** Every pair of neurons that have a direction, of a few. @param W [rows, columns] */
export function pairsOf(W: ArrayLike<number>, rows: number, columns: number): Pair[] {
  const all = Array.from({ length: rows }, (_, i) => i);
  const { data, isThere } = directions(W, all, columns);
  const pairs: Pair[] = [];
  for (const i of all)
    for (const j of all.slice(i + 1)) {
      if (isThere[i] === 0 || isThere[j] === 0) continue;
      const apart = distance(data, i, j, columns);
      pairs.push({ i, j, apart, angle: angleOf(apart) });
    }
  return pairs;
}

/** Σ over pairs of 1 / ‖w_i − w_j‖. */
export const energyOf = (pairs: readonly Pair[]): number =>
  pairs.reduce((sum, { apart }) => sum + (apart < NEAR ? 0 : 1 / apart), 0);

/** All rows, or a sample in ascending order, always the same. */
function chooseRows(rows: number, most: number): number[] {
  const all = Array.from({ length: rows }, (_, i) => i);
  return rows <= most
    ? all
    : rng(0, 0x4e)
        .shuffle(all)
        .slice(0, most)
        .sort((a, b) => a - b);
}

interface Directions {
  /** Unit vectors [chosen, columns]. */
  readonly data: Float64Array;
  readonly isThere: Uint8Array;
}

function directions(W: ArrayLike<number>, chosen: readonly number[], columns: number): Directions {
  const data = new Float64Array(chosen.length * columns);
  const isThere = new Uint8Array(chosen.length);
  chosen.forEach((row, i) => {
    let squared = 0;
    for (let c = 0; c < columns; c++) squared += W[row * columns + c]! ** 2;
    const length = Math.sqrt(squared);
    if (!(length > NEAR)) return;
    isThere[i] = 1;
    for (let c = 0; c < columns; c++) data[i * columns + c] = W[row * columns + c]! / length;
  });
  return { data, isThere };
}

/** ‖w_i − w_j‖, term by term: of neighbours the dot product would leave nothing. */
function distance(w: Float64Array, i: number, j: number, columns: number): number {
  let sum = 0;
  for (let c = 0, p = i * columns, q = j * columns; c < columns; c++) {
    const d = w[p + c]! - w[q + c]!;
    sum += d * d;
  }
  return Math.sqrt(sum);
}

/** The angle between unit vectors that are so far apart, in radians. */
const angleOf = (apart: number): number => 2 * Math.asin(Math.min(1, apart / 2));

const binOf = (angle: number): number => Math.min(ANGLE_BINS - 1, Math.floor((angle / Math.PI) * ANGLE_BINS));
