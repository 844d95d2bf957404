/** One step's kernels in their order, put together by op and by layer. */
import { say } from '../../../common.ts';
import type { SpeedReport } from '../../../protocol.ts';
import type { NumberTable } from '../../parts/chartNumbers.ts';

type Part = NonNullable<SpeedReport['timeline']>[number];

export interface Bar extends Part {
  readonly op: string;
  /** The module, and whether it is its backward pass; null where the kernel is of none. */
  readonly module: string | null;
  /** The layer that the module is in. */
  readonly layer: string;
  /** Microseconds of all that come before. */
  readonly from: number;
}

export type GroupBy = 'op' | 'layer';

/** `softmax #12 (encoder.layer.0.attention)`: as plans name their steps. */
function namesIn(label: string): { readonly op: string; readonly module: string | null } {
  const [, op = label, module = null] = /^(\S+) #\d+(?: \((.*)\))?$/.exec(label) ?? [];
  return { op, module };
}

/** What is computed between the modules: adapters, sums, the loss, the update. */
export const OUTSIDE = (): string => say`of no module`;

/** A module's path down to its first number; all of it where there is none. */
function layerOf(module: string | null): string {
  if (module === null) return OUTSIDE();
  const [path = '', ...after] = module.split(', ');
  const names = path.split('.');
  const numbered = names.findIndex((name) => /^\d+$/.test(name));
  return [numbered < 0 ? path : names.slice(0, numbered + 1).join('.'), ...after].join(', ');
}

export function barsOf(parts: readonly Part[]): Bar[] {
  let from = 0;
  return parts.map((part) => {
    const names = namesIn(part.label);
    const bar = { ...part, ...names, layer: layerOf(names.module), from };
    from += part.microseconds;
    return bar;
  });
}

export const lengthOf = (bars: readonly Bar[]): number =>
  bars.reduce((sum, { microseconds }) => sum + microseconds, 0);

/** The bar that is running so many microseconds after the beginning; the last one after the end. */
export function barAt(bars: readonly Bar[], microseconds: number): number {
  let [low, high] = [0, bars.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bars[middle]!.from <= microseconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

export interface Stretch {
  readonly name: string;
  readonly from: number;
  readonly microseconds: number;
}

/** Neighbours of one layer, as one. */
export function stretchesOf(bars: readonly Bar[]): Stretch[] {
  const found: { name: string; from: number; microseconds: number }[] = [];
  for (const { layer, from, microseconds } of bars) {
    const last = found.at(-1);
    if (last?.name === layer) last.microseconds += microseconds;
    else found.push({ name: layer, from, microseconds });
  }
  return found;
}

export interface Total {
  readonly name: string;
  readonly count: number;
  readonly microseconds: number;
}

/** Sums by op or by layer, the dearest first. */
export function totalsOf(bars: readonly Bar[], by: GroupBy): Total[] {
  const sums = new Map<string, { name: string; count: number; microseconds: number }>();
  for (const bar of bars) {
    const sum = sums.get(bar[by]) ?? { name: bar[by], count: 0, microseconds: 0 };
    sum.count++;
    sum.microseconds += bar.microseconds;
    sums.set(bar[by], sum);
  }
  return [...sums.values()].sort((a, b) => b.microseconds - a.microseconds);
}

/** Every kernel of the step, for a file. */
export const timelineTable = (bars: readonly Bar[]): NumberTable => ({
  head: ['place', 'op', 'module', 'kernel', 'workgroups', 'microseconds', say`from microseconds`],
  rows: bars.map(({ op, module, kernel, workgroups, microseconds, from }, i) => [
    ...[i + 1, op, module, kernel],
    ...[workgroups.join(' × '), microseconds, from],
  ]),
});
