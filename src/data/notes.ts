/**
 * What was found wrong while reading, by row: few bad rows are left out and said, many end in an error. Nothing is dropped in silence.
 */
import { fail } from '../lib/errors.ts';

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

export const rowList = (rows: readonly number[]): string =>
  `${rows.length === 1 ? 'row' : 'rows'} ${rows.slice(0, SHOWN).join(', ')}${rows.length > SHOWN ? ` and ${rows.length - SHOWN} more` : ''}`;

/** `rows 3, 5 of a.csv and row 2 of b.csv`, or the names of files that are examples themselves. */
export function originList(origins: readonly Origin[]): string {
  const whole = origins.filter((o) => o.row === undefined).map((o) => o.file);
  const byFile = new Map<string, number[]>();
  for (const { file, row } of origins)
    if (row !== undefined) byFile.set(file, [...(byFile.get(file) ?? []), row]);
  const parts = [...byFile].map(([file, rows]) => `${rowList(rows)} of ${file}`);
  if (whole.length > 0)
    parts.push(
      `${whole.slice(0, SHOWN).join(', ')}${whole.length > SHOWN ? ` and ${whole.length - SHOWN} more` : ''}`,
    );
  return parts.join(' and ');
}

export interface Fault {
  /** After the file's name: `has no label`. */
  readonly what: string;
  readonly advice: string;
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
  const groups = new Map<string, { file: string; fault: Fault; rows: number[] }>();
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
      const where = (rows: readonly number[]) => (rows.length > 0 ? ` in ${rowList(rows)}` : '');
      if (count > total * MOST_DROPPED) {
        // The commonest fault, and how many others there are.
        const [first, ...others] = [...groups.values()].sort((a, b) => b.rows.length - a.rows.length);
        const isAlike = (g: (typeof others)[number]) => g.fault.what === first!.fault.what;
        const sum = (list: typeof others) => list.reduce((n, g) => n + Math.max(1, g.rows.length), 0);
        const [alike, rest] = [sum(others.filter(isAlike)), sum(others.filter((g) => !isAlike(g)))];
        const more = [
          ...(alike > 0 ? [`the same is wrong in ${alike} more of ${total}`] : []),
          ...(rest > 0 ? [`${rest} more of ${total} rows are bad in other ways`] : []),
        ];
        fail(
          'bad-data',
          `${first!.file} ${first!.fault.what}${where(first!.rows)}; ${first!.fault.advice}${more.length > 0 ? ` (${more.join(', ')})` : ''}.`,
          { rows: first!.rows },
        );
      }
      return [...groups.values()].map(
        ({ file, fault, rows }) => `${file} ${fault.what}${where(rows)}: left out.`,
      );
    },
  };
}
