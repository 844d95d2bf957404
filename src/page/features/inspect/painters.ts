/** What the matrix pictures show, and in which colours: structure of factors and products, and values on a fixed diverging scale. */
import { useMemo } from 'react';
import type { ComposedPattern, Factor } from '../../../methods.ts';
import { real } from '../../format.ts';
import { cssColor } from '../../parts/Chart.tsx';
import { useUi } from '../../usePage.ts';
import type { Painter } from './MatrixCanvas.tsx';

type Rgb = readonly [number, number, number];

/** Blue below zero, the page at zero, orange above. Fixed scales, so that growth is seen as growth. */
export interface MapColors {
  readonly zero: Rgb;
  /** Where a factor may differ from zero but does not. */
  readonly still: Rgb;
  readonly low: Rgb;
  readonly high: Rgb;
  /** Two tones that neighbouring blocks take in turn. */
  readonly tones: readonly [Rgb, Rgb];
}

/** Red, green and blue, 0 … 255, of a CSS variable that holds #rrggbb. */
function rgbOf(variable: string): Rgb {
  const hex = Number.parseInt(cssColor(variable).slice(1), 16);
  return [(hex >> 16) & 255, (hex >> 8) & 255, hex & 255];
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

/** Labels of factors as they are read: the index of B_0 lowered. */
export const pretty = (label: string): string =>
  label.replace(/_(\d)/g, (_, digit: string) => '₀₁₂₃₄₅₆₇₈₉'[Number(digit)]!).replace('_', ' ');

/** Where one factor can be non-zero; blocks in two tones by turns. */
export function factorPainter(factor: Factor, colors: MapColors): Painter {
  if (factor.kind === 'blocks') {
    const { size, group, label } = factor;
    const isIn = (r: number, c: number) => group[r] === group[c];
    return {
      rows: size,
      columns: size,
      color: (r, c) => (isIn(r, c) ? colors.tones[group[r]! % 2 === 0 ? 0 : 1] : colors.zero),
      weight: (r, c) => (isIn(r, c) ? 1 : 0),
      describe: (r, c) =>
        isIn(r, c) ? `${label}: row ${r}, column ${c}, block ${group[r]}` : `row ${r}, column ${c}: always 0`,
    };
  }
  if (factor.kind === 'dense') {
    return {
      rows: factor.rows,
      columns: factor.columns,
      color: () => colors.tones[0],
      weight: () => 1,
      describe: (r, c) => `${factor.label}: row ${r}, column ${c}`,
    };
  }
  const places = Float64Array.from(factor.row, (row, k) => row * factor.columns + factor.column[k]!).sort();
  const isIn = (r: number, c: number) => has(places, r * factor.columns + c);
  return {
    rows: factor.rows,
    columns: factor.columns,
    color: (r, c) => (isIn(r, c) ? colors.tones[0] : colors.zero),
    weight: (r, c) => (isIn(r, c) ? 1 : 0),
    describe: (r, c) =>
      `frequency ${r} along the outputs, ${c} along the inputs${isIn(r, c) ? ': learned' : ''}`,
    points: factor,
  };
}

/** Whether an ascending list has a number. */
function has(list: Float64Array, value: number): boolean {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return list[low] === value;
}

/** Where a product of factors can be non-zero, of which every `every`-th row is known. */
export function composedPainter(
  { rows }: ComposedPattern,
  every: number,
  columns: number,
  colors: MapColors,
): Painter {
  const marks = new Uint8Array(rows.length * columns);
  rows.forEach((row, r) => {
    for (const column of row) marks[r * columns + column] = 1;
  });
  const at = (r: number, c: number) => marks[Math.floor(r / every) * columns + c]!;
  return {
    rows: columns,
    columns,
    color: (r, c) => (at(r, c) ? colors.tones[0] : colors.zero),
    weight: at,
    describe: (r) => `input ${r} reaches ${rows[Math.floor(r / every)]!.length} of ${columns}`,
  };
}

/** Values, less the identity if wanted, on a scale from −limit to limit. */
export function valuePainter(
  data: Float32Array,
  rows: number,
  columns: number,
  limit: number,
  colors: MapColors,
  lessIdentity = false,
): Painter {
  const at = (r: number, c: number) => data[r * columns + c]! - (lessIdentity && r === c ? 1 : 0);
  return {
    rows,
    columns,
    color: (r, c) => diverging(at(r, c), limit, colors),
    weight: (r, c) => Math.abs(at(r, c)),
    describe: (r, c) => `row ${r}, column ${c}: ${real(at(r, c))}`,
  };
}

/** A factor's learnt part, B − I, on the ground of where it may differ from zero. */
export function learntFactorPainter(
  factor: Factor,
  data: Float32Array,
  limit: number,
  colors: MapColors,
): Painter {
  const structure = factorPainter(factor, colors);
  const ground = { ...colors, zero: colors.still };
  const values = valuePainter(data, structure.rows, structure.columns, limit, ground, true);
  return {
    ...values,
    color: (r, c) => (structure.weight(r, c) === 0 ? colors.zero : values.color(r, c)),
    weight: (r, c) => structure.weight(r, c) + values.weight(r, c),
  };
}
