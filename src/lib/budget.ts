/**
 * What input from elsewhere may cost, in one place: every reader counts against these bounds before it takes the memory or the time, and
 * what goes beyond is one kind of error that names the node, row, entry or file.
 */
import { fail } from './errors.ts';

export interface Bound {
  readonly most: number;
  /** What is counted, in the plural: "bytes unpacked". */
  readonly unit: string;
  readonly advice: string;
}

export const BOUNDS = {
  unpackedBytes: { most: 2 ** 30, unit: 'bytes unpacked', advice: 'give a smaller file' },
  foldersAgain: {
    most: 1000,
    unit: 'visits to folders that links lead to a second time',
    advice: 'give a folder without such links',
  },
} as const satisfies Readonly<Record<string, Bound>>;

export type BoundName = keyof typeof BOUNDS;

const words = (n: number): string => (Number.isFinite(n) ? n.toLocaleString('en-GB') : 'endless');

/**
 * `count` if it is within the bound.
 *
 * @param where what asks for it, as the sentence's subject: "Node Range_3 (Range)", "row 7 of labels.csv"
 * @throws PapilioError 'too-large'
 */
export function within(name: BoundName, count: number, where: string): number {
  const { most, unit, advice }: Bound = BOUNDS[name];
  // Written so that NaN is beyond every bound.
  if (!(count <= most))
    fail(
      'too-large',
      `${where} asks for ${words(count)} ${unit}, and the most is ${words(most)}; ${advice}.`,
      {
        bound: name,
        count,
        most,
      },
    );
  return count;
}

/** Counts what several takers use of one bound together. */
export interface Budget {
  /** @throws PapilioError 'too-large' naming the taker that went beyond */
  take(count: number, where: string): void;
}

export function createBudget(name: BoundName): Budget {
  let used = 0;
  return {
    take(count, where) {
      used = within(name, used + count, where);
    },
  };
}
