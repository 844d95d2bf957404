/** VeRA's settings: PEFT's fields, and the frozen matrices that all layers share. */

import { mt19937 } from '../../lib/mt19937.ts';
import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, dropoutField, field, fileFields, layerFields, size } from '../fields.ts';
import type { Layer } from '../types.ts';

const { exclude_modules: _unknownToVera, ...targets } = layerFields;

export const schema = z.object({
  ...fileFields,
  ...targets,
  r: field(size(), 256, {
    title: () => say`Rank`,
    description: () =>
      say`Rows of A and columns of B. They are frozen, so a high rank costs few trained numbers.`,
    symbol: 'r',
    group: 'main',
    min: 1,
    max: 1024,
    step: 1,
  }),
  projection_prng_key: field(z.int(), 0, {
    title: () => say`Projection seed`,
    description: () => say`Draws the frozen matrices; the same numbers as in PEFT for the same seed.`,
    group: 'advanced',
  }),
  save_projection: field(z.boolean(), true, {
    title: () => say`Save the matrices`,
    description: () =>
      say`Store the frozen matrices in the adapter file too; otherwise they are drawn again from the seed.`,
    group: 'advanced',
  }),
  vera_dropout: dropoutField(),
  d_initial: field(z.number(), 0.1, {
    title: () => say`First scale`,
    description: () => say`What every entry of the inner vector starts with.`,
    symbol: 'd',
    group: 'advanced',
    step: 0.05,
  }),
  bias: biasField('vera_only'),
  init_weights: field(z.boolean(), true, {
    title: () => say`Start without effect`,
    description: () =>
      say`true: the outer vector starts at zero; false: it starts at one and the inner vector is random.`,
    group: 'advanced',
  }),
});

export type VeraConfig = z.output<typeof schema>;

export const notSaved = (): string =>
  say`Specified to not save vera_A and vera_B within the state dictionary, instead they will be restored using the PRNG key store in \`config.projection_prng_key\`. Consider setting \`config.save_projection\` to \`True\` to guarantee restoring the checkpoint correctly on all system configurations.`;

export function projections(layers: readonly Layer[], config: VeraConfig) {
  const sizes = {
    r: config.r,
    in: Math.max(...layers.map((l) => l.in)),
    out: Math.max(...layers.map((l) => l.out)),
  };
  let drawn: ReturnType<typeof drawProjections> | undefined;
  const both = () => {
    drawn ??= drawProjections(sizes, config.projection_prng_key);
    return drawn;
  };
  return [
    { name: 'vera_A', shape: [sizes.r, sizes.in], make: () => both().A },
    { name: 'vera_B', shape: [sizes.out, sizes.r], make: () => both().B },
  ];
}

// VeRA's frozen random matrices, drawn as PEFT draws them: torch's CPU generator, A before B, one stream.

/** Rows and columns of A [r, largest in] and B [largest out, r]. */
export interface ProjectionSizes {
  readonly r: number;
  readonly in: number;
  readonly out: number;
}

/** Kaiming-uniform with gain √2: the bound is √6 over the root of the second dimension. */
const bound = (columns: number): number => (Math.sqrt(3) * Math.SQRT2) / Math.sqrt(columns);

/** Both matrices of a seed, row-major. */
export function drawProjections(sizes: ProjectionSizes, seed: number): { A: Float32Array; B: Float32Array } {
  const { uniform } = mt19937(seed);
  const draw = (rows: number, columns: number) => {
    const limit = bound(columns);
    return Float32Array.from({ length: rows * columns }, () => uniform(-limit, limit));
  };
  const A = draw(sizes.r, sizes.in);
  return { A, B: draw(sizes.out, sizes.r) };
}
