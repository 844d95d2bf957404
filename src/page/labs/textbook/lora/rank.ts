/** What the strongest directions of a matrix hold of it, from its singular values, the largest first. Pure. */

const squares = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);

/** Of the sum of the squares of the entries, in so many directions. */
export const shareAt = (singular: readonly number[], rank: number): number =>
  squares(singular.slice(0, rank)) / squares(singular);

/** What any matrix of this rank leaves at least, as a share of the size (Eckart and Young). */
export const leftAt = (singular: readonly number[], rank: number): number =>
  Math.sqrt(squares(singular.slice(rank)) / squares(singular));

/** The fewest directions that hold this share. */
export function rankOfShare(singular: readonly number[], share: number): number {
  let rank = 1;
  while (rank < singular.length && shareAt(singular, rank) < share) rank++;
  return rank;
}
