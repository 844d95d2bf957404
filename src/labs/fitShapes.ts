/** Shapes of a product of butterfly factors: how many factors, how large their blocks, and what that costs. */

/** m factors of rotation blocks b × b; m = 1 is one block-diagonal matrix, which is OFT's. */
export interface FitShape {
  readonly m: number;
  readonly b: number;
}

/** Free numbers of one skew-symmetric block. */
export const trianglesOf = (b: number): number => (b * (b - 1)) / 2;

/** Free numbers of the whole product. */
export const freeNumbers = (d: number, { m, b }: FitShape): number => m * (d / b) * trianglesOf(b);

/** Most factors of blocks of b that d inputs have room for: the last one mixes all of them. */
export const mostFactors = (d: number, b: number): number => Math.log2(d / b) + 1;

/** Every number of factors of every block size that d inputs have room for. */
export function shapesOf(d: number): FitShape[] {
  const shapes: FitShape[] = [];
  for (let b = 2; b <= d; b *= 2) for (let m = 1; m <= mostFactors(d, b); m++) shapes.push({ m, b });
  return shapes;
}
