/** The way back from the trained adapter to the base: along which strengths, and what was measured on it. Pure. */
import type { EvalMetric } from '../../../protocol.ts';

/** All factors at once, or one after the other, the last first. */
export type Way = 'together' | 'in-turn';

/**
 * The strength of each factor, factor 0 first.
 * @param at 1 as trained, 0 the base
 */
export function strengthsAt(way: Way, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) =>
    way === 'together' ? at : Math.min(1, Math.max(0, round(at * count - k))),
  );
}

/** Steps of a slider are no binary fractions. */
const round = (value: number): number => Math.round(value * 1e6) / 1e6;

/** A score that was measured somewhere on a way. */
export interface Measured {
  readonly way: Way;
  readonly at: number;
  readonly metric: EvalMetric;
}

/** One more point; one at the same place, or of another step of the run, gives way to it. */
export const withPoint = (points: readonly Measured[], point: Measured): readonly Measured[] => [
  ...points.filter(
    ({ way, at, metric }) => metric.step === point.metric.step && (way !== point.way || at !== point.at),
  ),
  point,
];

/** The points of a way, from base to trained; where both ways end they are the same models. */
export const alongWay = (points: readonly Measured[], way: Way): readonly Measured[] =>
  points
    .filter((point) => point.way === way || point.at === 0 || point.at === 1)
    .sort((a, b) => a.at - b.at)
    .filter((point, i, all) => point.at !== all[i - 1]?.at);

/** Where a curve is measured: tenths, and where a factor ends. */
export function stations(way: Way, count: number): number[] {
  const tenths = Array.from({ length: 11 }, (_, i) => i / 10);
  const ends = way === 'in-turn' ? Array.from({ length: count + 1 }, (_, k) => round(k / count)) : [];
  return [...new Set([...tenths, ...ends])].sort((a, b) => b - a);
}
