/** What the pages of a change of weights have in common: how it is drawn and how much of it is told. */
import { greatest } from '../../../common.ts';
import { real } from '../../format.ts';

/** Rows of a table: no more than a row of the change has entries. */
export const TOLD = 12;

/** The largest size of an entry, 1 where all are zero: at it a colour is full. */
export const strength = (values: ArrayLike<number>): number => greatest(Array.from(values, Math.abs)) || 1;

/** The first entries of the first row of matrices, beside each other: row, column, and one of each. */
export const entryRows = (...matrices: readonly ArrayLike<number>[]): string[][] =>
  Array.from({ length: TOLD }, (_, at) => [
    '1',
    String(at + 1),
    ...matrices.map((values) => real(values[at]!)),
  ]);
