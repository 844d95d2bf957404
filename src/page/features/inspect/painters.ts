/** What the matrix pictures show, and in which colours: values on a fixed diverging scale. The structure of factors is in factorPainters.ts. */
import { useMemo } from 'react';
import { say } from '../../../common.ts';
import { real } from '../../format.ts';
import { cssColor } from '../../parts/Chart.tsx';
import type { Numbers } from '../../parts/numberFiles.ts';
import { useUi } from '../../usePage.ts';
import type { Painter, Picture } from './MatrixCanvas.tsx';
import { type Pixel, pixelOf, pixelOfHex } from './pixels.ts';

/** Blue below zero, the page at zero, orange above. Fixed scales, so that growth is seen as growth. */
export interface MapColors {
  readonly zero: Pixel;
  /** Where a factor may differ from zero but does not. */
  readonly still: Pixel;
  readonly low: Pixel;
  readonly high: Pixel;
  /** Two tones that neighbouring blocks take in turn. */
  readonly tones: readonly [Pixel, Pixel];
}

const read = (variable: string): Pixel => pixelOfHex(cssColor(variable));

const readAll = (): MapColors => ({
  zero: read('--map-zero'),
  still: read('--map-still'),
  low: read('--map-low'),
  high: read('--map-high'),
  tones: [read('--map-tone-a'), read('--map-tone-b')],
});

/** The colours of the theme in force. */
export function useMapColors(): MapColors {
  const scheme = useUi((s) => s.scheme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme is what changes the variables that are read.
  return useMemo(readAll, [scheme]);
}

const SHADES = 256;

/**
 * From one colour to another and a third: shade k of SHADES on either side of the ground. A value mixes the ground towards low or high by
 * √(|value| / limit), held at the ends: the scale is fixed, and the root lets small values be seen without ever changing what a colour means.
 */
export function shades(ground: Pixel, { low, high }: MapColors): Uint32Array {
  return Uint32Array.from({ length: 2 * SHADES + 1 }, (_, i) =>
    mixed(ground, i < SHADES ? low : high, Math.abs(i - SHADES) / SHADES),
  );
}

/** Of the way from one colour to another so much, 0 … 1. */
function mixed(ground: Pixel, end: Pixel, share: number): Pixel {
  const channel = (shift: number) => {
    const from = (ground >>> shift) & 255;
    return Math.round(from + (((end >>> shift) & 255) - from) * share);
  };
  return pixelOf(channel(0), channel(8), channel(16));
}

/** The colour of one value on that scale. */
export const diverging = (value: number, limit: number, { zero, low, high }: MapColors): Pixel =>
  mixed(zero, value < 0 ? low : high, Math.sqrt(Math.min(1, Math.abs(value) / limit)));

/** A colour as CSS has it. */
export const cssOf = (pixel: Pixel): string =>
  `rgb(${pixel & 255}, ${(pixel >>> 8) & 255}, ${(pixel >>> 16) & 255})`;

/** Of the shades that of a value. */
export const shadeOf = (value: number, limit: number): number =>
  SHADES + Math.round(Math.sign(value) * SHADES * Math.sqrt(Math.min(1, Math.abs(value) / limit)));

/** Numbers of a picture, entry by entry. */
export function numbersBy(
  rows: number,
  columns: number,
  at: (row: number, column: number) => number | boolean,
): Numbers {
  const data = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) data[r * columns + c] = Number(at(r, c));
  return { rows, columns, data };
}

/** Entries of a pixel that are looked at, along each side. */
const LOOKS = 8;

/** A matrix of numbers to be drawn. */
interface Values {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** Numbers from one row to the next, and from one column to the next. */
  readonly strides: readonly [number, number];
  readonly lessIdentity: boolean;
}

/** A reduced picture of values: every pixel keeps the one of largest size among those that it stands for. */
function paintValues(
  { pixels, width, height, scale }: Picture,
  { data, rows, columns, strides: [down, across], lessIdentity }: Values,
  table: Uint32Array,
  limit: number,
): void {
  const step = Math.max(1, Math.floor(scale / LOOKS));
  const [low, high] = [new Float32Array(width), new Float32Array(width)];
  for (let y = 0; y < height; y++) {
    low.fill(0);
    high.fill(0);
    const last = Math.min(rows, (y + 1) * scale);
    for (let r = y * scale; r < last; r += step) {
      let at = r * down;
      for (let x = 0; x < width; x++) {
        const end = Math.min(columns, (x + 1) * scale);
        let least = low[x]!;
        let most = high[x]!;
        for (let c = x * scale; c < end; c += step, at += step * across) {
          const value = lessIdentity && r === c ? data[at]! - 1 : data[at]!;
          if (value > most) most = value;
          else if (value < least) least = value;
        }
        low[x] = least;
        high[x] = most;
        at = r * down + end * across;
      }
    }
    for (let x = 0; x < width; x++)
      pixels[y * width + x] = table[shadeOf(high[x]! >= -low[x]! ? high[x]! : low[x]!, limit)]!;
  }
}

function painterOf(values: Values, limit: number, colors: MapColors): Painter {
  const { data, rows, columns, strides, lessIdentity } = values;
  const table = shades(colors.zero, colors);
  const at = (r: number, c: number) =>
    data[r * strides[0] + c * strides[1]]! - Number(lessIdentity && r === c);
  return {
    rows,
    columns,
    paint: (picture) => paintValues(picture, values, table, limit),
    describe: (r, c) => say`row ${r}, column ${c}: ${real(at(r, c))}`,
    numbers: () => numbersBy(rows, columns, at),
  };
}

/** Values [rows, columns], less the identity if wanted, on a scale from −limit to limit. */
export const valuePainter = (
  data: Float32Array,
  rows: number,
  columns: number,
  limit: number,
  colors: MapColors,
  lessIdentity = false,
): Painter => painterOf({ data, rows, columns, strides: [columns, 1], lessIdentity }, limit, colors);

/** The same picture lying on its side. */
export function turnedPainter(
  data: Float32Array,
  rows: number,
  columns: number,
  limit: number,
  colors: MapColors,
): Painter {
  const values = { data, rows: columns, columns: rows, strides: [1, columns], lessIdentity: false } as const;
  const painter = painterOf(values, limit, colors);
  return {
    ...painter,
    describe: (r, c) => say`row ${c}, column ${r}: ${real(data[c * columns + r]!)}`,
    // As it is kept, not as it lies.
    numbers: () => ({ rows, columns, data }),
  };
}

/** Values at a few places. */
export function pointsPainter(
  points: { readonly rows: Int32Array; readonly columns: Int32Array; readonly values: Float32Array },
  [rows, columns]: readonly [number, number],
  limit: number,
  colors: MapColors,
): Painter {
  const table = shades(colors.zero, colors);
  const values = new Map(
    Array.from(points.values, (value, k) => [points.rows[k]! * columns + points.columns[k]!, value]),
  );
  return {
    rows,
    columns,
    paint({ pixels, width, scale }) {
      pixels.fill(colors.zero);
      const largest = new Map<number, number>();
      points.values.forEach((value, k) => {
        const place = Math.floor(points.rows[k]! / scale) * width + Math.floor(points.columns[k]! / scale);
        if (Math.abs(value) < Math.abs(largest.get(place) ?? 0)) return;
        largest.set(place, value);
        pixels[place] = table[shadeOf(value, limit)]!;
      });
    },
    describe(r, c) {
      const value = values.get(r * columns + c);
      return say`frequency ${r}, ${c}: ${value === undefined ? say`not learned` : real(value)}`;
    },
    numbers: () => numbersBy(rows, columns, (r, c) => values.get(r * columns + c) ?? 0),
  };
}
