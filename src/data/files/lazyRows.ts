/**
 * Rows of delimited text that are kept as places in it: the cells of a row are made when they are asked for, so a table takes some bytes for each row,
 * however many columns it has.
 */
import { cellsAgain, type Marks, type RecordAt } from './records.ts';
import type { Row } from './table.ts';

/** A list of whole numbers below 2³², in 4 bytes each. */
function createNumbers() {
  // Small: a zip may hold ten thousand tables of a few rows.
  let numbers = new Uint32Array(16);
  let length = 0;
  return {
    push(value: number): void {
      if (length === numbers.length) {
        const more = new Uint32Array(Math.ceil(length * 1.5));
        more.set(numbers);
        numbers = more;
      }
      numbers[length++] = value;
    },
    at: (i: number): number => numbers[i]!,
    get length() {
      return length;
    },
  };
}

export interface LazyRecords {
  readonly count: number;
  add(record: RecordAt): void;
  /** Of record i of those that were added. */
  number(i: number): number;
  cells(i: number): readonly string[];
  /** One cell, '' where the record has none. */
  cell(i: number, column: number): string;
}

/** @param text which the records stand in */
export function lazyRecords(text: string, marks: Marks): LazyRecords {
  const [numbers, begins, ends] = [createNumbers(), createNumbers(), createNumbers()];
  /** The record that was split last: the cells of one are asked for one after the other. */
  let last = -1;
  let asked = -1;
  let lastCells: readonly string[] = [];
  const { delimiter } = marks;
  const cells = (i: number): readonly string[] => {
    if (i === last) return lastCells;
    const end = ends.at(i);
    lastCells = cellsAgain(text.slice(begins.at(i), end >>> 1), marks, (end & 1) === 1);
    last = i;
    return lastCells;
  };
  return {
    get count() {
      return numbers.length;
    },
    add({ number, begin, end, isPlain }) {
      numbers.push(number);
      begins.push(begin);
      // A text has fewer than 2³¹ letters.
      ends.push(end * 2 + (isPlain ? 1 : 0));
    },
    number: numbers.at,
    cells,
    cell(i, column) {
      const end = ends.at(i);
      if (i === last || i === asked || (end & 1) === 0 || delimiter === null) return cells(i)[column] ?? '';
      // Without making the others, until a second one is asked for.
      asked = i;
      const stop = end >>> 1;
      let from = begins.at(i);
      for (let k = 0; ; k++) {
        const next = text.indexOf(delimiter, from);
        const to = next < 0 || next > stop ? stop : next;
        if (k === column) return text.slice(from, to);
        if (to === stop) return '';
        from = next + delimiter.length;
      }
    },
  };
}

/** Makes rows whose values are read from the text each time. */
export function rowMaker(records: LazyRecords, columns: readonly string[]): (i: number, row: number) => Row {
  // Columns may be called anything, so what values hold of their own stands under no name.
  const key = Symbol('record');
  const look = Object.create(null) as object;
  columns.forEach((name, column) => {
    Object.defineProperty(look, name, {
      enumerable: true,
      get(this: { readonly [key]: number }) {
        return records.cell(this[key], column);
      },
    });
  });
  function valuesOf(i: number): Readonly<Record<string, unknown>> {
    const values = Object.create(look) as { [key]: number };
    values[key] = i;
    return values as unknown as Readonly<Record<string, unknown>>;
  }
  class LazyRow implements Row {
    readonly row: number;
    private readonly i: number;
    constructor(i: number, row: number) {
      this.i = i;
      this.row = row;
    }
    get values() {
      return valuesOf(this.i);
    }
  }
  return (i, row) => new LazyRow(i, row);
}
