/** Where FourierFT's coefficients sit in the spectrum: PEFT's own random choice, recomputed because files do not store it. */
import { randpermFirst } from '../../lib/mt19937.ts';

export interface Locations {
  /** Frequency along the outputs, 0..out-1. */
  readonly row: Uint32Array;
  /** Frequency along the inputs, 0..in-1. */
  readonly column: Uint32Array;
}

/**
 * The first `count` entries of torch's permutation of out*in, split into row and column. The same for every layer of equal shape.
 *
 * @throws PapilioError 'limit' for matrices on which torch versions disagree.
 */
export function fourierLocations(out: number, inputs: number, count: number, seed: number): Locations {
  const chosen = randpermFirst(seed, out * inputs, count);
  return {
    row: chosen.map((index) => Math.floor(index / inputs)),
    column: chosen.map((index) => index % inputs),
  };
}
