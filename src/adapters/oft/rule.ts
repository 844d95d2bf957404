/** OFT's integers: how PEFT fits a block size to a dimension, and where a block's entries live in the stored triangle. */

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

/** PEFT's block size, and the largest that the form offers. */
export const USUAL_BLOCK = 32;
export const LARGEST_BLOCK = 256;

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
