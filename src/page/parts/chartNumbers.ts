/** What a chart shows, as values, and the same in figures: one table for the reader and for the file that is taken away. */
import { say } from '../../common.ts';

export interface ChartLine {
  readonly name: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** A CSS variable, e.g. `--line-0`. */
  readonly color: string;
  readonly width: number;
  readonly opacity?: number;
  readonly dash?: 'solid' | 'dash' | 'dot' | 'dashdot' | 'longdash';
  readonly hasMarkers?: boolean;
  /** Only drawn: the numbers are those of another line. */
  readonly isQuiet?: boolean;
  /** Written beside the points. */
  readonly text?: string;
  /** Where it is written; above unless said. */
  readonly textSide?: 'left' | 'right';
  /** What `onPick` is told when somebody clicks on it. */
  readonly id?: string;
  /** All numbers behind a line that is drawn with fewer of them, or smoothed. */
  readonly whole?: {
    readonly x: ArrayLike<number>;
    readonly y: ArrayLike<number>;
    readonly smoothed?: { readonly y: ArrayLike<number>; readonly formula: string };
  };
}

export interface ChartSpec {
  readonly lines: readonly ChartLine[];
  /** Written at the axes; '' where the heading says it. */
  readonly xTitle: string;
  readonly yTitle: string;
  /** What stands along the axes, where that is not written there. */
  readonly names?: { readonly x: string; readonly y: string };
  readonly isShare?: boolean;
  /** The vertical axis begins at 0. */
  readonly isFromZero?: boolean;
  readonly isLog: boolean;
}

/** Null where there is nothing. */
export type Cell = number | string | null;

/** Of a chart: one row for every x, one column for every line. */
export interface NumberTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** How a column was computed from others, by its title. */
  readonly formulas?: Readonly<Record<string, string>>;
}

interface Column {
  readonly title: string;
  readonly formula?: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

function columnsOf({ lines, yTitle, names }: ChartSpec): Column[] {
  const what = names?.y ?? yTitle;
  return lines
    .filter(({ isQuiet }) => !isQuiet)
    .flatMap(({ name, x, y, whole }): Column[] => {
      const raw = { title: what === '' || what === name ? name : `${name}: ${what}`, x, y };
      if (whole === undefined) return [raw];
      const { smoothed } = whole;
      return [
        { ...raw, x: whole.x, y: whole.y },
        ...(smoothed === undefined
          ? []
          : [{ title: say`${raw.title}, smoothed`, formula: smoothed.formula, x: whole.x, y: smoothed.y }]),
      ];
    });
}

/** The numbers of a chart, by x from the least to the greatest. A line that has an x several times has a row for each. */
export function tableOf(spec: ChartSpec): NumberTable {
  const columns = columnsOf(spec);
  const rows = new Map<string, (number | null)[]>();
  columns.forEach(({ x, y }, column) => {
    const seen = new Map<number, number>();
    for (let i = 0; i < x.length; i++) {
      const at = x[i]!;
      const again = seen.get(at) ?? 0;
      seen.set(at, again + 1);
      const key = `${at} ${again}`;
      const row: (number | null)[] = rows.get(key) ?? [at, ...columns.map(() => null)];
      row[column + 1] = y[i]!;
      rows.set(key, row);
    }
  });
  return {
    head: [spec.names?.x ?? (spec.xTitle || 'x'), ...columns.map(({ title }) => title)],
    rows: [...rows.values()].sort(([a], [b]) => a! - b!),
    formulas: Object.fromEntries(
      columns.flatMap(({ title, formula }) => (formula === undefined ? [] : [[title, formula]])),
    ),
  };
}

/** At most so many rows, evenly spread, the first and the last among them. */
export function fewRows(table: NumberTable, most: number): NumberTable {
  const { rows } = table;
  if (rows.length <= most) return table;
  const at = (i: number) => Math.round((i * (rows.length - 1)) / (most - 1));
  return { ...table, rows: Array.from({ length: most }, (_, i) => rows[at(i)]!) };
}
