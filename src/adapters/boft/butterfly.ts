/** BOFT's integers: block number and size, the rules PEFT applies to them, and the butterfly permutations. */

export interface BoftBlocks {
  readonly block: number;
  readonly number: number;
  readonly factors: number;
}

interface BoftSizes {
  readonly boft_block_size: number;
  readonly boft_block_num: number;
  readonly boft_n_butterfly_factor: number;
}

/** The blocks of a layer with `dimension` inputs; only meaningful where {@link refuseBlocks} says null. */
export function boftBlocks(dimension: number, config: BoftSizes): BoftBlocks {
  const block = config.boft_block_size > 0 ? config.boft_block_size : dimension / config.boft_block_num;
  return { block, number: dimension / block, factors: config.boft_n_butterfly_factor };
}

/**
 * Why PEFT refuses these blocks on `dimension` inputs, in its words and its order, or null.
 * @param what its name for the dimension
 */
export function refuseBlocks(dimension: number, config: BoftSizes, what = 'in_features'): string | null {
  const { boft_block_num: number, boft_block_size: size, boft_n_butterfly_factor: factors } = config;
  if (factors < 1)
    return `You can only specify boft_n_butterfly_factor ${factors} to be a positive integer number.`;
  // In PEFT's messages the factor number is already one less inside, and printed one more again.
  const strides = 2 ** (factors - 1);
  const sentence = what === 'in_features' ? what : what[0]!.toUpperCase() + what.slice(1);
  if (number !== 0) {
    if (dimension % number !== 0)
      return `${sentence} (${dimension}) must be divisible by boft_block_num (${number})!`;
    if (factors > 1) {
      if (factors - 1 > Math.floor(Math.log2(number))) {
        return `Invalid combination of boft_n_butterfly_factor (${factors}) and boft_block_num (${number})!`;
      }
      if (number % strides !== 0) {
        return `boft_block_num (${number}) must be a multiple of 2 raised to the power of boft_n_butterfly_factor (${factors})!`;
      }
    }
  } else {
    if (dimension % size !== 0)
      return `${sentence} (${dimension}) must be divisible by boft_block_size (${size})!`;
    if (factors > 1 && (dimension < size * strides || dimension % (size * strides) !== 0)) {
      return `Invalid combination of ${what} (${dimension}), boft_n_butterfly_factor (${factors}) and boft_block_size (${size})!`;
    }
  }
  // PEFT also wants an even number of blocks, which the rules above already imply.
  const { block } = boftBlocks(dimension, config);
  if (factors > 1 && block % 2 !== 0) return `boft_block_size (${block}) must be an even number!`;
  return null;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
/** Sides of a block that are worth starting with, PEFT's default first. */
const STARTS = [4, 2, 3, 5, 7, 11, 13];

/**
 * A block size that divides every dimension: PEFT's 4 where it does, else the nearest small one; 1, which turns nothing, where the
 * dimensions have no small factor in common.
 */
export function blockFor(dimensions: readonly number[]): number {
  const common = dimensions.reduce(gcd, 0);
  return common === 0 ? STARTS[0]! : (STARTS.find((side) => common % side === 0) ?? 1);
}
