/**
 * What was found wrong while reading, by row: few bad rows are left out and said, many end in an error. Nothing is dropped in silence.
 */

import { fail } from '../lib/errors.ts';
import { listOf, say } from '../lib/say.ts';

/** Where an example came from. */
export interface Origin {
  readonly file: string;
  /** 1-based; a CSV's header is row 1, a JSONL's rows are its lines. Absent where the file itself is the example. */
  readonly row?: number;
}

/** More than this share of the rows is not left out: then the file is not what it seems. */
const MOST_DROPPED = 0.1;
/** Row numbers that a sentence names. */
const SHOWN = 8;

export function rowList(rows: readonly number[]): string {
  if (rows.length === 1) return say`row ${rows[0]!}`;
  const shown = rows.slice(0, SHOWN).join(', ');
  return rows.length > SHOWN ? say`rows ${shown} and ${rows.length - SHOWN} more` : say`rows ${shown}`;
}

/** "a.csv, b.csv and 7 more" */
export const someOf = (names: readonly string[], most: number): string =>
  names.length > most
    ? say`${names.slice(0, most).join(', ')} and ${names.length - most} more`
    : names.join(', ');

/** `rows 3, 5 of a.csv and row 2 of b.csv`, or the names of files that are examples themselves. */
export function originList(origins: readonly Origin[]): string {
  const whole = origins.filter((o) => o.row === undefined).map((o) => o.file);
  const byFile = new Map<string, number[]>();
  for (const { file, row } of origins)
    if (row !== undefined) byFile.set(file, [...(byFile.get(file) ?? []), row]);
  const parts = [...byFile].map(([file, rows]) => say`${rowList(rows)} of ${file}`);
  if (whole.length > 0) parts.push(someOf(whole, SHOWN));
  return listOf(parts);
}

export interface Fault {
  /** After the file's name: `has no label`. */
  readonly what: string;
  readonly advice: string;
}

interface Group {
  readonly file: string;
  readonly fault: Fault;
  readonly rows: number[];
}

export interface Drops {
  add(origin: Origin, fault: Fault): void;
  readonly count: number;
  /**
   * Sentences on what is left out of `total` rows.
   * @throws PapilioError 'bad-data' when that is too much, or everything
   */
  settle(total: number): string[];
}

export function createDrops(): Drops {
  const groups = new Map<string, Group>();
  let count = 0;
  return {
    add({ file, row }, fault) {
      count++;
      const key = `${file}\n${fault.what}`;
      const group = groups.get(key) ?? { file, fault, rows: [] };
      groups.set(key, group);
      if (row !== undefined) group.rows.push(row);
    },
    get count() {
      return count;
    },
    settle(total) {
      const wrong = ({ file, fault, rows }: Group): string =>
        rows.length > 0 ? say`${file} ${fault.what} in ${rowList(rows)}` : `${file} ${fault.what}`;
      if (count > total * MOST_DROPPED) {
        // The commonest fault, and how many others there are.
        const [first, ...others] = [...groups.values()].sort((a, b) => b.rows.length - a.rows.length);
        const isAlike = (g: (typeof others)[number]) => g.fault.what === first!.fault.what;
        const sum = (list: typeof others) => list.reduce((n, g) => n + Math.max(1, g.rows.length), 0);
        const [alike, rest] = [sum(others.filter(isAlike)), sum(others.filter((g) => !isAlike(g)))];
        const more = [
          ...(alike > 0 ? [say`the same is wrong in ${alike} more of ${total}`] : []),
          ...(rest > 0 ? [say`${rest} more of ${total} rows are bad in other ways`] : []),
        ];
        fail(
          'bad-data',
          more.length > 0
            ? say`${wrong(first!)}; ${first!.fault.advice} (${more.join(', ')}).`
            : say`${wrong(first!)}; ${first!.fault.advice}.`,
          { rows: first!.rows },
        );
      }
      return [...groups.values()].map((group) => say`${wrong(group)}: left out.`);
    },
  };
}
