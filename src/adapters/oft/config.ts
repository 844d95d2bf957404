/** OFT's settings: PEFT's fields, how a block size is fitted to a dimension, and where a block's entries stand in the stored triangle. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import type { Layer } from '../types.ts';

/** PEFT's block size, and the largest that the form offers. */
const USUAL_BLOCK = 32;
const LARGEST_BLOCK = 256;

export const schema = z.object({
  ...fileFields,
  ...layerFields,
  oft_block_size: field(size().min(0), USUAL_BLOCK, {
    title: () => say`Block size`,
    description: () =>
      say`Side of each rotation block. A size that does not divide the inputs is replaced by the nearest that does. 0 if r is given.`,
    symbol: 'b',
    group: 'main',
    min: 2,
    max: LARGEST_BLOCK,
    step: 1,
  }),
  r: field(size().min(0), 0, {
    title: () => say`Number of blocks`,
    description: () => say`Instead of the block size: how many blocks. 0 if the block size is given.`,
    symbol: 'r',
    group: 'advanced',
    min: 0,
    step: 1,
  }),
  bias: biasField('oft_only'),
  use_cayley_neumann: field(z.boolean(), true, {
    title: () => say`Cayley-Neumann series`,
    description: () =>
      say`Approximates the Cayley transform by a short power series. It turns the other way round than the exact transform does.`,
    group: 'advanced',
  }),
  num_cayley_neumann_terms: field(size(64), 5, {
    title: () => say`Series terms`,
    description: () => say`Terms of the series; 3 and 4 are the same, 1 is the identity.`,
    symbol: 't',
    group: 'advanced',
    min: 2,
    max: 12,
    step: 1,
  }),
  block_share: field(z.boolean(), false, {
    title: () => say`Share blocks`,
    description: () => say`One rotation for all blocks of a layer.`,
    group: 'advanced',
  }),
  coft: field(z.boolean(), false, {
    title: () => say`Constrained (COFT)`,
    description: () => say`Keeps every block within a small radius of the identity.`,
    group: 'advanced',
  }),
  eps: field(z.number().min(0), 6e-5, {
    title: () => say`COFT radius`,
    description: () => say`How far a block may leave the identity; the default leaves almost no freedom.`,
    symbol: '\\varepsilon',
    group: 'advanced',
    min: 0,
  }),
  module_dropout: field(z.number().min(0).max(1), 0, {
    title: () => say`Module dropout`,
    description: () => say`Accepted by PEFT but never applied, here neither.`,
    group: 'file',
    min: 0,
    max: 1,
  }),
  init_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: () => say`Start as identity`,
    description: () => say`true: the adapter starts without effect; false: small random rotations.`,
    group: 'advanced',
  }),
});

export type OftConfig = z.output<typeof schema>;

/** The dimension OFT turns: the inputs of a linear layer, the vectors of an embedding. */
export function rotated(layer: Layer): number {
  return layer.kind === 'embedding' ? layer.out : layer.in;
}

/**
 * The divisor of `dimension` nearest to `requested` (ties go to the smaller one); what PEFT uses in place of a block size or block
 * number that does not divide.
 */
export function adjustToDivisor(dimension: number, requested: number): number {
  if (requested >= dimension) return dimension;
  let higher = requested;
  while (dimension % higher !== 0) higher++;
  let lower = requested;
  while (dimension % lower !== 0) lower--;
  return requested - lower <= higher - requested ? lower : higher;
}

/**
 * A block size to start with that needs no adjustment: of the sizes above 1 that divide every dimension, the one nearest to PEFT's. PEFT's
 * own, which it adjusts for each layer, where the dimensions have no such size in common.
 */
export function startBlock(dimensions: readonly number[]): number {
  let best: number | null = null;
  for (let size = 2; size <= LARGEST_BLOCK; size++) {
    const isNearer = best === null || Math.abs(size - USUAL_BLOCK) < Math.abs(best - USUAL_BLOCK);
    if (isNearer && dimensions.every((dimension) => dimension % size === 0)) best = size;
  }
  return best ?? USUAL_BLOCK;
}

/** Entries of the strict upper triangle of a block: b(b-1)/2. */
export function triangleSize(block: number): number {
  return (block * (block - 1)) / 2;
}

/** Position of entry (row, column), row < column, in the row-major strict upper triangle. */
export function triangleIndex(block: number, row: number, column: number): number {
  return row * block - (row * (row + 1)) / 2 + (column - row - 1);
}

/** The blocks a layer really gets. `stored` is 1 if all blocks are shared. */
export interface OftBlocks {
  readonly block: number;
  readonly number: number;
  readonly stored: number;
}

/** Effective blocks of a rotated dimension, by block size or by number of blocks (exactly one of the two is non-zero). */
export function oftBlocks(
  dimension: number,
  config: { readonly r: number; readonly oft_block_size: number; readonly block_share: boolean },
): OftBlocks {
  const block =
    config.oft_block_size > 0
      ? adjustToDivisor(dimension, config.oft_block_size)
      : dimension / adjustToDivisor(dimension, config.r);
  const number = dimension / block;
  return { block, number, stored: config.block_share ? 1 : number };
}
