/** What the spectral lab fits to what: its targets, its methods, and the budgets at which they are compared. */

/** Inputs and outputs of the weight whose change is fitted. */
export const UPDATE_SIZE = 32;

export const UPDATE_TARGETS = ['smooth', 'shifted', 'entries', 'lowrank', 'random'] as const;
export type UpdateTarget = (typeof UPDATE_TARGETS)[number];

/** The highest frequency of the smooth targets, which have rank 2 · 3 + 1 at most. */
export const HIGHEST = 3;
/** Entries of the sparse target that are not zero, none in another's row or column. */
export const ENTRIES = 6;
/** Rank of the target of low rank. */
export const LOW_RANK = 2;

/** How FourierFT's frequencies are chosen: as PEFT draws them, the lowest first, or those that the target has most of. */
export const WAYS = ['drawn', 'low', 'best'] as const;
export type Way = (typeof WAYS)[number];

export interface UpdatePiece {
  /** LoRA, or FourierFT by how its frequencies are chosen. */
  readonly method: 'lora' | Way;
  /** LoRA's rank; FourierFT has as many coefficients as LoRA has numbers. */
  readonly rank: number;
}

/** Ranks that are tried. */
export const RANKS: readonly number[] = [1, 2, 3, 4, 6, 8];

/** Numbers that LoRA has at a rank: A [rank, size] and B [size, rank]. */
export const numbersOf = (rank: number): number => 2 * UPDATE_SIZE * rank;

/** In the order of parts and answers. */
export const UPDATE_PIECES: readonly UpdatePiece[] = (['lora', ...WAYS] as const).flatMap((method) =>
  RANKS.map((rank) => ({ method, rank })),
);

export const pieceAt = ({ method, rank }: UpdatePiece): number =>
  UPDATE_PIECES.findIndex((piece) => piece.method === method && piece.rank === rank);
