/** The benchmark's figures as lines of text. */
import type { KernelCost, StepKernels } from '../../src/training/kernels.ts';
import type { MethodResult, Speed, SubjectResult } from './measure.ts';

const columns = [
  '',
  'trainable',
  's/step',
  'processor s',
  'tokens/s',
  'dispatches',
  'submits',
  'peak MiB',
  'of roofline',
  'beside LoRA',
];

const seconds = (s: number): string => (s < 0.01 ? s.toExponential(1) : s.toFixed(3));

const whole = (n: number | null): string => (n === null ? '–' : String(n));
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

function cells(
  name: string,
  stored: number,
  s: Speed,
  beside: string,
  share: number | null = null,
): string[] {
  return [
    name,
    String(stored),
    seconds(s.secondsPerStep),
    seconds(s.processorSeconds),
    s.tokensPerSecond.toFixed(0),
    whole(s.dispatches),
    whole(s.submits),
    s.peakBytes === null ? '–' : (s.peakBytes / 1048576).toFixed(1),
    share === null ? '–' : percent(share),
    beside,
  ];
}

function methodRow(m: MethodResult): string[] {
  const lora = m.nearestLora;
  const beside = lora
    ? `${m.timesLora!.toFixed(2)} times r ${lora.r} (${lora.stored} numbers, ${seconds(lora.secondsPerStep)} s/step)`
    : '';
  return cells(m.method, m.trainable.stored, m, beside, m.rooflineShare);
}

/** A heading and one line per method, then the comparison with each peer. */
export function tableOf(result: SubjectResult): string[] {
  const rows = [columns, ...result.methods.map(methodRow)];
  const stored = result.methods.find((m) => m.method === 'lora')?.trainable.stored ?? 0;
  for (const peer of result.peers) {
    rows.push(cells('lora, in turns', stored, peer.ours, ''));
    rows.push(cells(peer.package, stored, peer, `the same LoRA step, r ${peer.r}`));
  }
  const lines = aligned(rows);
  for (const peer of result.peers) {
    const same = peer.sameStep
      ? `losses agree to ${peer.losses.maxRel.toExponential(1)}`
      : `NOT THE SAME STEP: losses differ by ${peer.losses.maxRel.toExponential(1)}`;
    lines.push(`Papilio is ${peer.timesFaster.toFixed(2)} times as fast as ${peer.package} (${same}).`);
  }
  for (const { method, kernels } of result.methods) {
    if (kernels)
      lines.push(
        '',
        `${method}, kernel by kernel: ${roofline(kernels)}`,
        ...aligned(kernelRows(kernels.kernels)),
      );
  }
  return lines;
}

function roofline({ peaks }: StepKernels): string {
  const work = `${(peaks.workPerSecond / 1e9).toPrecision(3)} G multiply-adds/s in a product`;
  return `the roofline is ${work}, ${(peaks.bytesPerSecond / 1e9).toPrecision(3)} GB/s in a long sum`;
}

/** Columns of equal width; the first and the last begin at the left. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** Kernels that take less than this part of a step are one line. */
const SMALL_SHARE = 0.01;

function kernelRows(kernels: readonly KernelCost[]): string[][] {
  const all = kernels.reduce((n, k) => n + k.count * k.microseconds, 0);
  const shareOf = (k: KernelCost): number => (k.count * k.microseconds) / all;
  const rows = [['kernel', 'times', 'µs each', 'of the step', 'MB', 'of roofline', 'workgroups', 'first at']];
  for (const k of kernels.filter((each) => shareOf(each) >= SMALL_SHARE))
    rows.push([
      k.kernel,
      String(k.count),
      k.microseconds.toFixed(1),
      percent(shareOf(k)),
      (k.bytes / 1e6).toFixed(2),
      k.rooflineShare === null ? '–' : percent(k.rooflineShare),
      k.workgroups.join(' × '),
      k.label,
    ]);
  const rest = kernels.filter((k) => shareOf(k) < SMALL_SHARE);
  if (rest.length > 0) {
    const sum = rest.reduce((n, k) => n + shareOf(k), 0);
    rows.push([
      `${rest.length} smaller`,
      String(rest.reduce((n, k) => n + k.count, 0)),
      '',
      percent(sum),
      '',
      '',
      '',
      '',
    ]);
  }
  return rows;
}
