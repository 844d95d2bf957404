/** Five neurons of two inputs, which the pages of OFT and LoRA change. */

/** [5, 2] */
export const NEURONS: readonly number[] = [1.05, 0.25, 0.5, 0.85, -0.7, 0.75, -0.95, -0.35, 0.25, -1.0];

/** The neurons turned by R [2, 2]. */
export const turnedBy = (r: readonly number[]): number[] =>
  NEURONS.map((_, at) => {
    const [x, y] = [NEURONS[at - (at % 2)]!, NEURONS[at - (at % 2) + 1]!];
    const row = at % 2;
    return r[2 * row]! * x + r[2 * row + 1]! * y;
  });

/** By what share the length of a neuron changed at most, and which it was, from 0. */
export function lengthsChanged(before: readonly number[], after: readonly number[]) {
  const length = (of: readonly number[], i: number) => Math.hypot(of[2 * i]!, of[2 * i + 1]!);
  return Array.from({ length: before.length / 2 }, (_, neuron) => ({
    neuron,
    share: Math.abs(length(after, neuron) / length(before, neuron) - 1),
  })).reduce((a, b) => (b.share > a.share ? b : a));
}

/** ‖W' − W‖ */
export const movedBy = (before: readonly number[], after: readonly number[]): number =>
  Math.hypot(...before.map((value, i) => after[i]! - value));
