/** Drawing and counting the factors' sparsity: which columns a row reaches, factor by factor and in the product of several. */
import type { Factor, Pattern } from './types.ts';

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

/** The columns that each row of one factor reaches, ascending. */
export function factorRows(factor: Factor): Uint32Array[] {
  const [rows, columns] = factorSize(factor);
  if (factor.kind === 'dense') {
    const all = Uint32Array.from({ length: columns }, (_, column) => column);
    return Array.from({ length: rows }, () => all);
  }
  const lists: number[][] = Array.from({ length: rows }, () => []);
  if (factor.kind === 'points') {
    factor.row.forEach((row, k) => {
      lists[row]!.push(factor.column[k]!);
    });
    return lists.map((list) => Uint32Array.from(list).sort());
  }
  const members: number[][] = Array.from({ length: factor.size / factor.block }, () => []);
  factor.group.forEach((group, row) => {
    members[group]!.push(row);
  });
  const columnsOf = members.map((list) => Uint32Array.from(list));
  return lists.map((_, row) => columnsOf[factor.group[row]!]!);
}

export interface ComposedPattern {
  /** The columns that each row of the product can reach, ascending; of the picked rows where there was a pick. */
  readonly rows: readonly Uint32Array[];
  readonly nonZeros: number;
  /** Share of all entries of those rows, 0..1. */
  readonly fill: number;
}

/**
 * Structural pattern of the product of the first `count` factors. A rotation is applied with the last factor first (M = B_{m-1}...B_0
 * acts on row vectors), an update is the product in the written order (B A).
 *
 * @param picked rows to work out; all where it is left out
 */
export function composedPattern(
  pattern: Pattern,
  count = pattern.factors.length,
  picked?: readonly number[],
): ComposedPattern {
  const chosen = pattern.factors.slice(0, count);
  const ordered = pattern.role === 'rotation' ? chosen.reverse() : chosen;
  const [first, ...others] = ordered;
  if (first === undefined) return { rows: [], nonZeros: 0, fill: 0 };
  const all = factorRows(first);
  let rows = picked ? picked.map((row) => all[row]!) : all;
  for (const factor of others) {
    const step = factorRows(factor);
    const columns = factorSize(factor)[1];
    rows = rows.map((reached) => reach(reached, step, columns));
  }
  const nonZeros = rows.reduce((sum, row) => sum + row.length, 0);
  const columns = factorSize(ordered.at(-1)!)[1];
  return { rows, nonZeros, fill: nonZeros / (rows.length * columns) };
}

/** Entries of a product that are worked out for a picture. */
const MOST_DRAWN = 2 ** 22;

/** Every n-th row of a square product, few enough to be drawn, and that n. */
export function drawnRows(
  size: number,
  most = MOST_DRAWN,
): { readonly every: number; readonly picked: number[] } {
  const every = Math.ceil(size / Math.max(1, Math.floor(most / size)));
  return { every, picked: Array.from({ length: Math.ceil(size / every) }, (_, k) => k * every) };
}

function reach(reached: Uint32Array, step: readonly Uint32Array[], columns: number): Uint32Array {
  const marks = new Uint8Array(columns);
  let total = 0;
  let previous: Uint32Array | null = null;
  for (const middle of reached) {
    const list = step[middle]!;
    // Neighbours often share a block, and then the very same list.
    if (list === previous) continue;
    previous = list;
    for (const column of list) {
      total += 1 - marks[column]!;
      marks[column] = 1;
    }
  }
  const out = new Uint32Array(total);
  for (let column = 0, k = 0; column < columns; column++) if (marks[column]) out[k++] = column;
  return out;
}
