/** What a door did with its trials, counted and written as a table. */
import { isFailure, type Trial } from './trial.ts';

export interface DoorReport {
  readonly door: string;
  readonly seed: number;
  inputs: number;
  /** How often each end was reached. */
  readonly ends: Record<string, number>;
  readonly failures: (Trial & { readonly file?: string })[];
  slowest: { readonly ms: number; readonly index: number };
  /** Memory beyond four times the input. */
  most: { readonly bytes: number; readonly index: number };
  seconds: number;
}

export const emptyReport = (door: string, seed: number): DoorReport => ({
  ...{ door, seed, inputs: 0, ends: {}, failures: [], seconds: 0 },
  ...{ slowest: { ms: 0, index: -1 }, most: { bytes: 0, index: -1 } },
});

export function count(report: DoorReport, trial: Trial): void {
  const { end, ms, index, bytes, memory } = trial;
  report.inputs++;
  report.ends[end] = (report.ends[end] ?? 0) + 1;
  if (isFailure(end)) return;
  if (ms > report.slowest.ms) report.slowest = { ms, index };
  const beyond = memory - 4 * bytes;
  if (beyond > report.most.bytes) report.most = { bytes: beyond, index };
}

const endsOf = ({ ends }: DoorReport): string =>
  Object.entries(ends)
    .sort(([, a], [, b]) => b - a)
    .map(([end, times]) => `${end} ${times}`)
    .join(', ');

/** Failures that say the same in the same place, with the first of them. */
export function groupsOf({
  failures,
}: DoorReport): (DoorReport['failures'][number] & { readonly times: number })[] {
  const groups = new Map<string, DoorReport['failures'][number] & { times: number }>();
  for (const failure of failures) {
    const [words = '', ...frames] = (failure.message ?? '').split('\n');
    const place = frames.slice(0, 2).join('\n');
    const key = `${failure.end} ${place === '' ? words : `${words.split(':')[0]} ${place}`}`;
    const group = groups.get(key);
    if (group) group.times++;
    else groups.set(key, { ...failure, times: 1 });
  }
  return [...groups.values()].sort((a, b) => b.times - a.times);
}

const HEAD = ['door', 'inputs', 'failed', 'slowest', 'memory', 'time', 'ended as'] as const;

export function tableOf(reports: readonly DoorReport[]): string {
  const rows = reports.map((r) => [
    ...[r.door, String(r.inputs), String(r.failures.length), `${Math.round(r.slowest.ms)} ms`],
    ...[`${(r.most.bytes / 2 ** 20).toFixed(0)} MiB`, `${r.seconds.toFixed(0)} s`, endsOf(r)],
  ]);
  const widths = HEAD.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]!.length)));
  return [HEAD, ...rows]
    .map((row) =>
      row
        .map((cell, i) =>
          i === 0 || i === HEAD.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
