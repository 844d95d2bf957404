/** The change that the page of FourierFT takes apart: its entries, its waves, and those of them that are chosen. Pure. */
import {
  energyWithin,
  heightsOf,
  placesOf,
  UPDATE_SIZE,
  type UpdateTarget,
  updateTarget,
  type Waves,
  type Way,
  wavesOf,
} from '../../../../labs.ts';

const d = UPDATE_SIZE;
const SEED = 1;

export interface Change {
  readonly entries: ArrayLike<number>;
  readonly waves: Waves;
  /** The sum of the squares of the entries. */
  readonly energy: number;
}

const known = new Map<UpdateTarget, Change>();

export function changeOf(target: UpdateTarget): Change {
  const made = known.get(target);
  if (made !== undefined) return made;
  const entries = updateTarget(target, SEED);
  const change = {
    entries,
    waves: wavesOf(entries, d),
    energy: entries.reduce((sum, value) => sum + value * value, 0),
  };
  known.set(target, change);
  return change;
}

/** How alike entries beside and below each other are: 1 where they are the same, 0 where they have nothing to do with each other. */
export function likeness({ entries, energy }: Change): number {
  let sum = 0;
  for (let at = 0; at < d * d; at++) {
    const [row, column] = [Math.floor(at / d), at % d];
    // The waves go round: the last row is beside the first.
    sum += entries[at]! * (entries[row * d + ((column + 1) % d)]! + entries[((row + 1) % d) * d + column]!);
  }
  return sum / (2 * energy);
}

export interface Chosen {
  readonly places: readonly number[];
  /** The height of each wave that comes nearest to the change. */
  readonly coefficients: readonly number[];
  /** Of the change's energy. */
  readonly share: number;
}

export function chosenOf({ waves, energy }: Change, way: Way, n: number, placeSeed: number): Chosen {
  const places = placesOf(way, waves, d, n, placeSeed);
  return {
    places,
    coefficients: heightsOf(waves, d, places),
    share: energyWithin(waves, d, places) / energy,
  };
}

/** The height of each wave by itself, [d, d] by (u, v). */
export const heightsOfAll = ({ waves }: Change): number[] =>
  Array.from({ length: d * d }, (_, at) => heightsOf(waves, d, [at])[0]!);

/** One place of each of the highest waves, the highest first. */
export const strongestOf = ({ waves }: Change, count: number): number[] =>
  placesOf('best', waves, d, count, 0);

/** Different waves that hold half of the cosines' energy, the strongest first. */
export function wavesOfHalf(change: Change): { readonly count: number; readonly cosines: number } {
  const { waves, energy } = change;
  const all = strongestOf(change, d * d);
  const cosines = energyWithin(waves, d, all);
  let count = 1;
  while (energyWithin(waves, d, all.slice(0, count)) < cosines / 2) count++;
  return { count, cosines: cosines / energy };
}
