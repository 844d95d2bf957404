/** Colours of matrices: blue below zero, the page at zero, orange above. Fixed scales, so that growth is seen as growth. */
import { useMemo } from 'react';
import { rgbOf } from '../../parts/colors.ts';
import { useUi } from '../../usePage.ts';

type Rgb = readonly [number, number, number];

export interface MapColors {
  readonly zero: Rgb;
  /** Where a factor may differ from zero but does not. */
  readonly still: Rgb;
  readonly low: Rgb;
  readonly high: Rgb;
  /** Two tones that neighbouring blocks take in turn. */
  readonly tones: readonly [Rgb, Rgb];
}

const read = (): MapColors => ({
  zero: rgbOf('--map-zero'),
  still: rgbOf('--map-still'),
  low: rgbOf('--map-low'),
  high: rgbOf('--map-high'),
  tones: [rgbOf('--map-tone-a'), rgbOf('--map-tone-b')],
});

/** The colours of the theme in force. */
export function useMapColors(): MapColors {
  const scheme = useUi((s) => s.scheme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme is what changes the variables that are read.
  return useMemo(read, [scheme]);
}

/**
 * Mixes zero towards low or high by √(|value| / limit), held at the ends: the scale is fixed, and the root lets small values be seen
 * without ever changing what a colour means.
 */
export function diverging(value: number, limit: number, colors: MapColors): Rgb {
  const t = Math.sqrt(Math.min(1, Math.abs(value) / limit));
  const end = value < 0 ? colors.low : colors.high;
  const mix = (k: 0 | 1 | 2) => colors.zero[k] + (end[k] - colors.zero[k]) * t;
  return [mix(0), mix(1), mix(2)];
}
