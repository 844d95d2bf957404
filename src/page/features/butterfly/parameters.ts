/** The numbers that a block learns, one for each pair of its rows, and where they stand: in the adapter's tensor and in the factor. */
import { triangleIndex } from '../../../methods.ts';
import type { Wiring } from './wiring.ts';

export interface Parameter {
  readonly factor: number;
  readonly block: number;
  /** Positions in the block, low < high. */
  readonly low: number;
  readonly high: number;
  /** The two entries of the factor that it moves first: [low row, high column], and the other way round. Others of the block follow. */
  readonly rows: readonly [number, number];
  /** Where the adapter's tensor keeps it, flat; of two numbers only the difference counts. */
  readonly stored: readonly number[];
}

/**
 * The parameter of two positions of a block.
 *
 * @param isSquare the tensor keeps whole blocks [m, d/b, b, b] (BOFT) rather than triangles [d/b, b(b−1)/2] (OFT)
 */
function parameterAt(
  { size, block: b, shared, stages }: Wiring,
  isSquare: boolean,
  [factor, block, p, q]: readonly [factor: number, block: number, p: number, q: number],
): Parameter {
  const [low, high] = p < q ? [p, q] : [q, p];
  const { members } = stages[factor]!;
  const start = ((factor * size) / b + block) * b * b;
  return {
    factor,
    block,
    low,
    high,
    rows: [members[block * b + low]!, members[block * b + high]!],
    stored: isSquare
      ? [start + low * b + high, start + high * b + low]
      : [(shared ? 0 : block) * ((b * (b - 1)) / 2) + triangleIndex(b, low, high)],
  };
}

/** How many a block has. */
export const pairsOf = (block: number): number => (block * (block - 1)) / 2;

/** Parameters first … of a block, in the order of its triangle. */
export function parametersOf(
  wiring: Wiring,
  isSquare: boolean,
  factor: number,
  block: number,
  first = 0,
  most = Number.POSITIVE_INFINITY,
): Parameter[] {
  const { block: b } = wiring;
  const list: Parameter[] = [];
  let k = 0;
  for (let low = 0; low < b; low++)
    for (let high = low + 1; high < b; high++, k++)
      if (k >= first && list.length < most)
        list.push(parameterAt(wiring, isSquare, [factor, block, low, high]));
  return list;
}

/** The parameter that moves an entry of a factor first; null on the diagonal and outside of the blocks. */
export function parameterOf(
  wiring: Wiring,
  isSquare: boolean,
  factor: number,
  row: number,
  column: number,
): Parameter | null {
  const { group, members } = wiring.stages[factor]!;
  const block = group[row]!;
  if (row === column || group[column] !== block) return null;
  const own = members.subarray(block * wiring.block, (block + 1) * wiring.block);
  return parameterAt(wiring, isSquare, [factor, block, own.indexOf(row), own.indexOf(column)]);
}

/** Its value: half the difference of the two numbers that BOFT keeps, or OFT's one. */
export function parameterValue({ stored }: Parameter, tensor: Float32Array): number {
  const [a, b] = stored;
  return b === undefined ? tensor[a!]! : (tensor[a!]! - tensor[b]!) / 2;
}

/** Where it stands, as one writes it: "boft_R[1, 0, 2, 3] − [1, 0, 3, 2]". */
export function storedText(
  { block: b }: Wiring,
  { factor, block, low, high, stored }: Parameter,
  tensor: string,
): string {
  const [first, second] = stored;
  return second === undefined
    ? `${tensor}[${Math.floor(first! / pairsOf(b))}, ${first! % pairsOf(b)}]`
    : `${tensor}[${factor}, ${block}, ${low}, ${high}] − [${factor}, ${block}, ${high}, ${low}]`;
}
