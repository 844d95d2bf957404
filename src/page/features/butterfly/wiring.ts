/**
 * The wires of a rotation R = B_(m−1) ⋯ B_0, as the BOFT paper draws them (arXiv:2311.06243, figures 2 and 4): m + 1 columns of nodes, and
 * between columns k and k + 1 an edge from node c to node r wherever entry (r, c) of B_k can be non-zero. B_0 comes first. Where the wires
 * run follows from the method's own pattern, which has them from the permutation that the kernels use.
 */
import { blockMembers, type Pattern } from '../../../methods.ts';
import type { NumberTable } from '../../parts/chartNumbers.ts';

/** One factor: nodes of the same block are joined, each with each and itself. */
export interface Stage {
  readonly label: string;
  /** Block of every node. */
  readonly group: Uint32Array;
  /** The nodes of every block, ascending [size / block, block]. */
  readonly members: Uint32Array;
}

export interface Wiring {
  readonly size: number;
  readonly block: number;
  /** All blocks of a factor are one and the same. */
  readonly shared: boolean;
  /** B_0 first. */
  readonly stages: readonly Stage[];
}

/** The wires of a pattern; null where it does not rotate. */
export function wiringOf({ role, factors }: Pattern): Wiring | null {
  if (role !== 'rotation') return null;
  const stages: Stage[] = [];
  for (const factor of factors) {
    if (factor.kind !== 'blocks') return null;
    stages.push({ label: factor.label, group: factor.group, members: blockMembers(factor) });
  }
  const [first] = factors;
  return first?.kind === 'blocks'
    ? { size: first.size, block: first.block, shared: first.shared, stages }
    : null;
}

/** Every edge: of which factor, from which node to which. */
export function wiresOf({ block, stages }: Wiring): NumberTable {
  const rows: number[][] = [];
  stages.forEach(({ group, members }, factor) => {
    group.forEach((g, from) => {
      for (const to of members.subarray(g * block, (g + 1) * block)) rows.push([factor, from, to]);
    });
  });
  return { head: ['factor', 'from', 'to'], rows };
}

/** The nodes that those marked are joined with by one factor: the same in both directions. */
function across({ block }: Wiring, { members }: Stage, marked: Uint8Array): Uint8Array {
  const joined = new Uint8Array(marked.length);
  for (let start = 0; start < members.length; start += block) {
    let isTouched = 0;
    for (let at = start; at < start + block; at++) isTouched |= marked[members[at]!]!;
    if (isTouched === 1) for (let at = start; at < start + block; at++) joined[members[at]!] = 1;
  }
  return joined;
}

/** Columns `column` … m: what the marked nodes of a column reach. */
export function reach(wiring: Wiring, column: number, marked: Uint8Array): Uint8Array[] {
  const columns = [marked];
  for (const stage of wiring.stages.slice(column)) columns.push(across(wiring, stage, columns.at(-1)!));
  return columns;
}

/** Columns 0 … `column`: where what arrives at the marked nodes of a column comes from. */
export function sources(wiring: Wiring, column: number, marked: Uint8Array): Uint8Array[] {
  const columns = [marked];
  for (const stage of wiring.stages.slice(0, column).reverse())
    columns.unshift(across(wiring, stage, columns[0]!));
  return columns;
}

/** The product of the first k factors, for k = 1 … m: which inputs arrive at each node of column k. */
export interface Product {
  /** Bits of 32 inputs each that a row takes. */
  readonly words: number;
  /** One row of bits for every block of factor k − 1: its nodes hear of the same inputs. */
  readonly bits: Uint32Array;
  /** Share of entries that can be non-zero, 0 … 1. */
  readonly fill: number;
}

const products = new WeakMap<Wiring, readonly Product[]>();

/** All of them, worked out once for each wiring. */
export function productsOf(wiring: Wiring): readonly Product[] {
  const known = products.get(wiring);
  if (known !== undefined) return known;
  const { size, block, stages } = wiring;
  const words = Math.ceil(size / 32);
  const all: Product[] = [];
  for (const [k, { members }] of stages.entries()) {
    const bits = new Uint32Array((size / block) * words);
    const before = all.at(-1);
    for (let at = 0; at < size; at++) {
      const row = Math.floor(at / block) * words;
      const node = members[at]!;
      if (before === undefined) bits[row + (node >>> 5)]! |= 1 << (node & 31);
      else {
        const from = stages[k - 1]!.group[node]! * words;
        for (let w = 0; w < words; w++) bits[row + w]! |= before.bits[from + w]!;
      }
    }
    let set = 0;
    for (const word of bits) set += ones(word);
    all.push({ words, bits, fill: (set * block) / (size * size) });
  }
  products.set(wiring, all);
  return all;
}

/** Whether an entry (row, column) of the product of the first k ≥ 1 factors can be non-zero. */
export function filledIn(wiring: Wiring, k: number): (row: number, column: number) => boolean {
  const { words, bits } = productsOf(wiring)[k - 1]!;
  const { group } = wiring.stages[k - 1]!;
  return (row, column) => ((bits[group[row]! * words + (column >>> 5)]! >>> (column & 31)) & 1) === 1;
}

/** Every entry (row, column) of that product between marked inputs and marked outputs. */
export function forFilled(
  wiring: Wiring,
  k: number,
  inputs: Uint8Array,
  outputs: Uint8Array,
  see: (row: number, column: number) => void,
): void {
  const isFilled = filledIn(wiring, k);
  const columns = Uint32Array.from(inputs.keys()).filter((column) => inputs[column] === 1);
  if (columns.length === 0) return;
  for (let row = 0; row < wiring.size; row++)
    if (outputs[row] === 1) for (const column of columns) if (isFilled(row, column)) see(row, column);
}

/** The first k at which every output hears of every input; null where that never comes. */
export function denseFrom(wiring: Wiring): number | null {
  const at = productsOf(wiring).findIndex(({ fill }) => fill === 1);
  return at < 0 ? null : at + 1;
}

/** Bits of a word that are set. */
function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
