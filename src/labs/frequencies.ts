/**
 * Waves of a square of d × d numbers. FourierFT's coefficients are real, so each makes a cosine wave cos 2π(pu + qv)/d, and (u, v) makes the same wave as
 * (−u, −v): some half of all matrices, the sums of sines, are out of its reach.
 */
import { randpermFirst } from '../lib/mt19937.ts';
import type { Matrix } from './matrices.ts';
import type { Way } from './updatePieces.ts';

export interface Waves {
  /** What a matrix has of each cosine and each sine wave: Σ entry · cos and Σ entry · sin, [d, d] by (u, v). */
  readonly cosines: Matrix;
  readonly sines: Matrix;
}

/** The transform of a matrix, along its rows and then along its columns. */
export function wavesOf(matrix: ArrayLike<number>, d: number): Waves {
  const turns = Array.from({ length: d }, (_, k) => (2 * Math.PI * k) / d);
  const [cos, sin] = [turns.map(Math.cos), turns.map(Math.sin)];
  const [alongCos, alongSin] = [new Float64Array(d * d), new Float64Array(d * d)];
  for (let p = 0; p < d; p++)
    for (let v = 0; v < d; v++)
      for (let q = 0; q < d; q++) {
        const [value, turn] = [matrix[p * d + q]!, (q * v) % d];
        alongCos[p * d + v]! += value * cos[turn]!;
        alongSin[p * d + v]! += value * sin[turn]!;
      }
  const [cosines, sines] = [new Float64Array(d * d), new Float64Array(d * d)];
  for (let u = 0; u < d; u++)
    for (let v = 0; v < d; v++)
      for (let p = 0; p < d; p++) {
        const [c, s, turn] = [alongCos[p * d + v]!, alongSin[p * d + v]!, (p * u) % d];
        cosines[u * d + v]! += cos[turn]! * c - sin[turn]! * s;
        sines[u * d + v]! += sin[turn]! * c + cos[turn]! * s;
      }
  return { cosines, sines };
}

/** The place of the same cosine wave, (−u, −v). */
const mirrored = (at: number, d: number): number => ((d - Math.floor(at / d)) % d) * d + ((d - (at % d)) % d);

/** One place of each wave, with the share of a matrix's energy that its cosine has. */
function differentWaves({ cosines }: Waves, d: number): { readonly at: number; readonly energy: number }[] {
  return Array.from({ length: d * d }, (_, at) => at)
    .filter((at) => at <= mirrored(at, d))
    .map((at) => ({ at, energy: cosines[at]! ** 2 / (at === mirrored(at, d) ? d * d : (d * d) / 2) }));
}

/** Distance of a frequency from zero, squared; d − 1 is as low as 1. */
function heightOf(at: number, d: number): number {
  const [u, v] = [Math.floor(at / d), at % d];
  return Math.min(u, d - u) ** 2 + Math.min(v, d - v) ** 2;
}

/**
 * The places of n frequencies, row · d + column, all different.
 * @param placeSeed PEFT's `random_loc_seed`, which draws among all d² places, the same wave's two among them
 */
export function placesOf(way: Way, of: Waves, d: number, n: number, placeSeed: number): number[] {
  if (way === 'drawn') return [...randpermFirst(placeSeed, d * d, n)];
  const waves = differentWaves(of, d);
  if (way === 'low') waves.sort((a, b) => heightOf(a.at, d) - heightOf(b.at, d) || a.at - b.at);
  else waves.sort((a, b) => b.energy - a.energy || a.at - b.at);
  return waves.slice(0, n).map(({ at }) => at);
}

/** What of a matrix's energy, the sum of its squares, the cosines of these places have: cosines are orthogonal, so it is the most that they can take away. */
export function energyWithin(waves: Waves, d: number, places: readonly number[]): number {
  const chosen = new Set(places.map((at) => Math.min(at, mirrored(at, d))));
  return differentWaves(waves, d).reduce((sum, { at, energy }) => sum + (chosen.has(at) ? energy : 0), 0);
}

/**
 * The heights with which the waves of these places come nearest to a matrix: different cosines are orthogonal, so that each counts by itself, and a wave at
 * both of its places is shared between them.
 */
export function heightsOf({ cosines }: Waves, d: number, places: readonly number[]): number[] {
  const chosen = new Set(places);
  return places.map((at) => {
    const other = mirrored(at, d);
    if (other === at) return cosines[at]! / (d * d);
    const height = cosines[at]! / ((d * d) / 2);
    return chosen.has(other) ? height / 2 : height;
  });
}
