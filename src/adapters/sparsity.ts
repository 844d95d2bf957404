/** The sizes of factors and, of those made of blocks, which rows stand in which block. */
import type { Factor } from './types.ts';

/** Rows and columns of a factor. */
export function factorSize(factor: Factor): readonly [rows: number, columns: number] {
  return factor.kind === 'blocks' ? [factor.size, factor.size] : [factor.rows, factor.columns];
}

/** Entries of a factor that can be non-zero. */
export function factorNonZeros(factor: Factor): number {
  if (factor.kind === 'points') return factor.row.length;
  if (factor.kind === 'blocks') return factor.size * factor.block;
  return factor.rows * factor.columns;
}

/** The rows (and columns) of every block, ascending, block after block [size / block, block]: the order in which the block's own entries stand. */
export function blockMembers({ size, block, group }: Extract<Factor, { kind: 'blocks' }>): Uint32Array {
  const members = new Uint32Array(size);
  const filled = new Uint32Array(size / block);
  group.forEach((g, row) => {
    members[g * block + filled[g]!++] = row;
  });
  return members;
}
