/** The benchmark's figures as lines of text. */
import type { MethodResult, Speed, SubjectResult } from './measure.ts';

const columns = ['', 'trainable', 's/step', 'tokens/s', 'dispatches', 'submits', 'peak MiB', 'beside LoRA'];

const seconds = (s: number): string => (s < 0.01 ? s.toExponential(1) : s.toFixed(3));

function cells(name: string, stored: number, s: Speed, beside: string): string[] {
  return [
    name,
    String(stored),
    seconds(s.secondsPerStep),
    s.tokensPerSecond.toFixed(0),
    String(s.dispatches),
    String(s.submits),
    (s.peakBytes / 1048576).toFixed(1),
    beside,
  ];
}

function methodRow(m: MethodResult): string[] {
  const lora = m.nearestLora;
  const beside = lora ? `r ${lora.r}, ${lora.stored} numbers: ${seconds(lora.secondsPerStep)} s/step` : '';
  return cells(m.method, m.trainable.stored, m, beside);
}

/** A heading and one line per method, then the comparison with the peer. */
export function tableOf(result: SubjectResult): string[] {
  const rows = [columns, ...result.methods.map(methodRow)];
  const { peer } = result;
  const stored = result.methods.find((m) => m.method === 'lora')?.trainable.stored ?? 0;
  if (peer) {
    rows.push(cells('lora, in turns', stored, peer.ours, ''));
    rows.push(cells(peer.package, stored, peer, `the same LoRA step, r ${peer.r}`));
  }
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
  if (peer) {
    const same = peer.sameStep
      ? `losses agree to ${peer.losses.maxRel.toExponential(1)}`
      : `NOT THE SAME STEP: losses differ by ${peer.losses.maxRel.toExponential(1)}`;
    lines.push(`Papilio is ${peer.timesFaster.toFixed(2)} times as fast as ${peer.package} (${same}).`);
  }
  return lines;
}
