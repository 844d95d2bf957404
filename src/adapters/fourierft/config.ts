/** FourierFT's settings: PEFT's fields, where the coefficients sit in the spectrum, and values that suit layers of given sizes. */

import { randpermFirst } from '../../lib/mt19937.ts';
import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import { lookupFrequencyPattern } from '../perModule.ts';
import type { Layer } from '../types.ts';

/** Coefficients of one layer: their places are drawn and kept. */
const MOST_FREQUENCIES = 2 ** 22;

export const schema = z.object({
  ...fileFields,
  ...layerFields,
  n_frequency: field(size(MOST_FREQUENCIES), 1000, {
    title: () => say`Frequencies`,
    description: () => say`Learned coefficients per layer, at most inputs times outputs.`,
    symbol: 'n',
    group: 'main',
    min: 1,
    max: 10000,
    step: 1,
  }),
  scaling: field(z.number(), 150, {
    title: () => say`Scaling`,
    description: () => say`Factor on the update; it acts like a learning rate of the adapter.`,
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  random_loc_seed: field(z.int().nullable(), 777, {
    title: () => say`Location seed`,
    description: () =>
      say`Chooses which frequencies are learned; the same places as in PEFT for the same seed.`,
    group: 'advanced',
  }),
  n_frequency_pattern: field(
    z.record(z.string(), size(MOST_FREQUENCIES)),
    {},
    {
      title: () => say`Frequencies by module`,
      description: () => say`Module name or expression to its own number of frequencies.`,
      group: 'advanced',
    },
  ),
  bias: biasField('fourier_only'),
  init_weights: field(z.boolean(), false, {
    title: () => say`Start at zero`,
    description: () =>
      say`true: the adapter starts without effect; false (the paper): random coefficients, so the model changes at once.`,
    group: 'advanced',
  }),
});

export type FourierftConfig = z.output<typeof schema>;

/** Coefficients of a layer, its n_frequency_pattern entry considered. */
export function frequencyCount(layer: Layer, config: FourierftConfig): number {
  return lookupFrequencyPattern(config.n_frequency_pattern, layer.name, config.n_frequency);
}

/**
 * What the paper trains: squares of width 768, 1000 frequencies, a scaling of 150 at a rate of 5e-2. Ten times the scaling at a tenth of the
 * rate is the same update, at a rate that also suits a head that trains beside it.
 */
const PAPER = { width: 768, frequencies: 1000, scaling: 1500 };

/**
 * Frequencies and scaling for layers of these sizes, beginning without effect.
 *
 * With n coefficients of size s, an entry of ΔW has size α s √(n/2) / (d_out d_in), while one of W has about 1 / √d_in. So the share of
 * W that a step of Adam changes is proportional to α √n / (d_out √d_in); α keeps it what it is for the paper's sizes. Unchanged it would be 40
 * times too much for a model of width 64. Layers of several sizes share one α: their geometric mean counts.
 */
export function fourierStart(layers: readonly Layer[], given: Readonly<Record<string, unknown>>) {
  const { width, frequencies, scaling } = PAPER;
  const fewest = Math.min(frequencies, ...layers.map((layer) => layer.in * layer.out));
  const n = typeof given.n_frequency === 'number' ? given.n_frequency : fewest;
  const sizes = layers.map((layer) => Math.log(layer.out * Math.sqrt(layer.in)));
  const mean =
    layers.length === 0 ? width ** 1.5 : Math.exp(sizes.reduce((a, b) => a + b, 0) / layers.length);
  const suited = scaling * (mean / width ** 1.5) * Math.sqrt(frequencies / Math.max(1, n));
  return { n_frequency: fewest, scaling: Number(suited.toPrecision(2)), init_weights: true };
}

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
