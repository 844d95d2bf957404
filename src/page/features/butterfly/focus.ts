/**
 * What is pointed at, the same for every picture: from some nodes of one column, to some of another, or both. An input is "from" alone, an
 * output "to" alone, an edge - and the entry of a factor that it is - both, and so is an entry of a product. Lit is every node and edge
 * that lies on a way between them.
 */
import { say } from '../../../common.ts';
import type { Wiring } from './wiring.ts';
import { reach, sources } from './wiring.ts';

/** Nodes first … last of a column; several where one is drawn for many. */
export interface Place {
  readonly column: number;
  readonly first: number;
  readonly last: number;
}

export interface Focus {
  readonly from: Place | null;
  /** In the same column as `from`: a node with what lies before it and after it. */
  readonly to: Place | null;
}

export const node = (column: number, index: number): Place => ({ column, first: index, last: index });

/** The focus on nodes of a column: what an input reaches, where an output comes from, both for those between. */
export function focusOn({ stages }: Wiring, place: Place): Focus {
  return {
    from: place.column < stages.length ? place : null,
    to: place.column > 0 ? place : null,
  };
}

/** The focus on entry (row, column) of a factor: its edge. */
export const focusOnEntry = (factor: number, row: number, column: number): Focus => ({
  from: node(factor, column),
  to: node(factor + 1, row),
});

/** The same in another wiring: inputs stay inputs and outputs outputs; null where it is not there. */
export function carried(focus: Focus, before: Wiring, now: Wiring): Focus | null {
  const [was, is] = [before.stages.length, now.stages.length];
  const place = (one: Place): Place | null => {
    const column = one.column === was ? is : one.column;
    const isThere = one.last < now.size && (column < is || one.column === was);
    return isThere ? { ...one, column } : null;
  };
  const from = focus.from && place(focus.from);
  const to = focus.to && place(focus.to);
  const isWhole = (from === null) === (focus.from === null) && (to === null) === (focus.to === null);
  // An edge is one of its factor.
  const entry = entryOf(focus);
  const isOther = entry !== null && from !== null && to !== null && to.column !== from.column + 1;
  return isWhole && !isOther ? { from, to } : null;
}

const marks = (size: number, { first, last }: Place): Uint8Array =>
  new Uint8Array(size).fill(1, first, Math.min(size, last + 1));

/** The lit nodes of each of the m + 1 columns. */
export function litNodes(wiring: Wiring, { from, to }: Focus): Uint8Array[] {
  const { size, stages } = wiring;
  const lit: Uint8Array[] = Array.from({ length: stages.length + 1 }, () => new Uint8Array(size));
  const after = from && reach(wiring, from.column, marks(size, from));
  const before = to && sources(wiring, to.column, marks(size, to));
  if (from && to && from.column < to.column) {
    for (let k = from.column; k <= to.column; k++)
      lit[k] = Uint8Array.from(after![k - from.column]!, (on, i) => on & before![k]![i]!);
    return lit;
  }
  before?.forEach((column, k) => {
    lit[k] = column;
  });
  after?.forEach((column, k) => {
    lit[from!.column + k] = column;
  });
  return lit;
}

/** Every lit entry (row, column) of a factor: an edge both of whose ends are lit. */
export function forLit(
  { block, stages }: Wiring,
  lit: readonly Uint8Array[],
  factor: number,
  see: (row: number, column: number) => void,
): void {
  const { members } = stages[factor]!;
  const [before, after] = [lit[factor]!, lit[factor + 1]!];
  if (!before.includes(1) || !after.includes(1)) return;
  for (let start = 0; start < members.length; start += block)
    for (let a = start; a < start + block; a++) {
      if (after[members[a]!] === 0) continue;
      for (let b = start; b < start + block; b++)
        if (before[members[b]!] === 1) see(members[a]!, members[b]!);
    }
}

/** The entry of a factor that is meant, where the focus is on one. */
export function entryOf({ from, to }: Focus): { factor: number; row: number; column: number } | null {
  const isOne =
    from && to && to.column === from.column + 1 && from.first === from.last && to.first === to.last;
  return isOne ? { factor: from.column, row: to.first, column: from.first } : null;
}

const RUNS = 5;

/** Marked nodes as a reader counts them: "0–3, 8–11". */
export function runsText(marked: Uint8Array): string {
  const runs: string[] = [];
  for (let i = 0; i < marked.length; i++) {
    if (marked[i] === 0) continue;
    const first = i;
    while (marked[i + 1] === 1) i++;
    runs.push(first === i ? `${first}` : `${first}–${i}`);
  }
  if (runs.length <= RUNS + 1) return runs.length === 0 ? say`none` : runs.join(', ');
  return say`${runs.slice(0, RUNS).join(', ')} and ${runs.length - RUNS} more runs`;
}

export function countOf(marked: Uint8Array): number {
  let count = 0;
  for (const on of marked) count += on;
  return count;
}

/** Nodes of a column in words: inputs on the left, outputs on the right. */
function placeText({ stages }: Wiring, place: Place): string {
  const { first, last, column } = place;
  if (first === last) {
    if (column === 0) return say`input ${first}`;
    if (column === stages.length) return say`output ${first}`;
    return say`node ${first} after factor ${column - 1}`;
  }
  const nodes = `${first}–${last}`;
  if (column === 0) return say`inputs ${nodes}`;
  if (column === stages.length) return say`outputs ${nodes}`;
  return say`nodes ${nodes} after factor ${column - 1}`;
}

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

/** What is lit, in one sentence. */
export function focusText(
  wiring: Wiring,
  focus: Focus,
  lit: readonly Uint8Array[] = litNodes(wiring, focus),
): string {
  const { size, stages } = wiring;
  const { from, to } = focus;
  const of = (column: number) => say`${runsText(lit[column]!)} (${countOf(lit[column]!)} of ${size})`;
  if (from && to && from.column < to.column) {
    const ends = say`${placeText(wiring, from)} to ${placeText(wiring, to)}`;
    const isJoined = lit[from.column]!.includes(1);
    if (to.column === from.column + 1)
      return isJoined
        ? say`Factor ${from.column}: the edge from ${ends}.`
        : say`Factor ${from.column}: no edge from ${ends}.`;
    return isJoined ? say`There is a way from ${ends}.` : say`There is no way from ${ends}.`;
  }
  const place = (from ?? to)!;
  const name = capital(placeText(wiring, place));
  const isOne = place.first === place.last;
  const [inputs, outputs] = [to && of(0), from && of(stages.length)];
  if (inputs && outputs)
    return isOne
      ? say`${name} comes from inputs ${inputs} and reaches outputs ${outputs}.`
      : say`${name} come from inputs ${inputs} and reach outputs ${outputs}.`;
  if (inputs)
    return isOne ? say`${name} comes from inputs ${inputs}.` : say`${name} come from inputs ${inputs}.`;
  return isOne
    ? say`${name} reaches outputs ${outputs ?? ''}.`
    : say`${name} reach outputs ${outputs ?? ''}.`;
}

/** What is lit, column by column, as the picture says it; nothing of a column where nothing is. */
export function columnTexts(wiring: Wiring, lit: readonly Uint8Array[]): string[] {
  const last = wiring.stages.length;
  return lit.map((column, k) => {
    const count = countOf(column);
    if (count === 0) return '';
    const name = k === 0 ? say`Inputs` : k === last ? say`Outputs` : say`After factor ${k - 1}`;
    return say`${name}: ${runsText(column)} (${count})`;
  });
}
