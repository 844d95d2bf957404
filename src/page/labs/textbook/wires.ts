/** Wires of a product of factors, for the pages' pictures: which nodes each factor joins, and what an input reaches. Pure. */
import { forLit, runsText } from '../../features/butterfly/focus.ts';
import { everything } from '../../features/butterfly/graphPicture.ts';
import { patternOf, type Setting } from '../../features/butterfly/setting.ts';
import { wiringOf } from '../../features/butterfly/wiring.ts';
import { subscript } from '../../format.ts';

export interface Wires {
  readonly size: number;
  /** Of each factor, the one that is applied first at first: [from, to], from 0 on. */
  readonly factors: readonly (readonly (readonly [from: number, to: number])[])[];
}

/** As the method itself wires it. */
export function wiresOf(d: number, b: number, m: number): Wires {
  const setting: Setting = { method: 'boft', dimension: d, block: b, factors: m, shared: false };
  const wiring = wiringOf(patternOf(setting))!;
  const lit = everything(wiring);
  return {
    size: d,
    factors: wiring.stages.map((_, k) => {
      const edges: (readonly [number, number])[] = [];
      forLit(wiring, lit, k, (row, column) => edges.push([column, row]));
      return edges;
    }),
  };
}

/** Nodes of every column that an input reaches; its own column first. */
export function reachedFrom({ size, factors }: Wires, input: number): Uint8Array[] {
  const columns = [new Uint8Array(size).fill(1, input, input + 1)];
  for (const edges of factors) {
    const next = new Uint8Array(size);
    for (const [from, to] of edges) if (columns.at(-1)![from] === 1) next[to] = 1;
    columns.push(next);
  }
  return columns;
}

/** Where the product of the first k factors can differ from zero, [size, size] of 0 and 1, row by row. */
export function filledBy(wires: Wires, k: number): number[] {
  const { size, factors } = wires;
  const first = { size, factors: factors.slice(0, k) };
  const filled = new Array<number>(size * size).fill(0);
  for (let column = 0; column < size; column++)
    reachedFrom(first, column)
      .at(-1)!
      .forEach((on, row) => {
        filled[row * size + column] = on;
      });
  return filled;
}

/** Where one factor can differ from zero. */
export const patternAt = ({ size, factors }: Wires, k: number): number[] =>
  filledBy({ size, factors: [factors[k]!] }, 1);

export const countOf = (marked: ArrayLike<number>): number =>
  Array.from(marked).filter((on) => on !== 0).length;

/** Marked nodes as a reader counts them, from 1: "1–4, 9–12". */
export const nodesText = (marked: Uint8Array): string => runsText(Uint8Array.of(0, ...marked));

/** "B₁B₀", the product of the first k factors. */
export const productName = (k: number): string =>
  Array.from({ length: k }, (_, i) => `B${subscript(k - 1 - i)}`).join('');
