/** BOFT's settings: PEFT's fields, the number and size of the blocks, and the rules that PEFT applies to them. */

import { say } from '../../lib/say.ts';
import { z } from '../../lib/schema.ts';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import { unsupported } from '../rules.ts';
import type { Layer, ModuleTensors } from '../types.ts';

export const schema = z.object({
  ...fileFields,
  ...layerFields,
  boft_block_size: field(size().min(0), 4, {
    title: () => say`Block size`,
    description: () =>
      say`Side of each rotation block; must divide the inputs of every target. 0 if the number of blocks is given.`,
    symbol: 'b',
    group: 'main',
    min: 2,
    max: 128,
    step: 1,
  }),
  boft_block_num: field(size().min(0), 0, {
    title: () => say`Number of blocks`,
    description: () => say`Instead of the block size: blocks per factor. 0 if the block size is given.`,
    symbol: 'd/b',
    group: 'advanced',
    min: 0,
    step: 1,
  }),
  boft_n_butterfly_factor: field(size(64), 1, {
    title: () => say`Butterfly factors`,
    description: () =>
      say`How many factors are multiplied. Each further one doubles how many inputs can mix.`,
    symbol: 'm',
    group: 'main',
    min: 1,
    max: 10,
    step: 1,
  }),
  boft_dropout: field(z.number().min(0).max(1), 0, {
    title: () => say`Multiplicative dropout`,
    description: () =>
      say`In training, replaces this share of the blocks of one random factor by the identity.`,
    symbol: 'p',
    group: 'main',
    min: 0,
    max: 0.9,
    step: 0.05,
  }),
  bias: biasField('boft_only'),
  init_weights: field(z.union([z.boolean(), z.string()]), true, {
    title: () => say`Start as identity`,
    description: () =>
      say`true: the adapter starts without effect; false: small random rotations and scales.`,
    group: 'advanced',
  }),
});

export type BoftConfig = z.output<typeof schema>;

export const refusedModule = (layer: Layer): string =>
  unsupported(layer, say`\`torch.nn.Linear\` and \`torch.nn.Conv2d\` (optionally quantized) are supported`);

/** The number of factors in a file is the first dimension of boft_R: PEFT without its CUDA extension trains one, whatever the config says. */
export function factorsInFile(tensors: ReadonlyMap<string, ModuleTensors>): number | null {
  let factors: number | null = null;
  for (const params of tensors.values()) {
    const found = params.get('boft_R')?.shape[0];
    if (found === undefined) continue;
    if (factors !== null && factors !== found) return null;
    factors = found;
  }
  return factors;
}

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
    return say`You can only specify boft_n_butterfly_factor ${factors} to be a positive integer number.`;
  // In PEFT's messages the factor number is already one less inside, and printed one more again.
  const strides = 2 ** (factors - 1);
  const sentence = what === 'in_features' ? what : what[0]!.toUpperCase() + what.slice(1);
  if (number !== 0) {
    if (dimension % number !== 0)
      return say`${sentence} (${dimension}) must be divisible by boft_block_num (${number})!`;
    if (factors > 1) {
      if (factors - 1 > Math.floor(Math.log2(number))) {
        return say`Invalid combination of boft_n_butterfly_factor (${factors}) and boft_block_num (${number})!`;
      }
      if (number % strides !== 0) {
        return say`boft_block_num (${number}) must be a multiple of 2 raised to the power of boft_n_butterfly_factor (${factors})!`;
      }
    }
  } else {
    if (dimension % size !== 0)
      return say`${sentence} (${dimension}) must be divisible by boft_block_size (${size})!`;
    if (factors > 1 && (dimension < size * strides || dimension % (size * strides) !== 0)) {
      return say`Invalid combination of ${what} (${dimension}), boft_n_butterfly_factor (${factors}) and boft_block_size (${size})!`;
    }
  }
  // PEFT also wants an even number of blocks, which the rules above already imply.
  const { block } = boftBlocks(dimension, config);
  if (factors > 1 && block % 2 !== 0) return say`boft_block_size (${block}) must be an even number!`;
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
