/**
 * Pictures made larger or smaller as Pillow's `Image.resize` does it on bytes (src/libImaging/Resample.c and Geometry.c): filters widened
 * when they shrink, coefficients in fixed point, first across, then down, rounded to bytes in between. transformers' image processors
 * call just that, so a picture has the same bytes here as there.
 */

/** PIL's filters, at the index that preprocessor_config.json's `resample` uses. */
export const RESAMPLES = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type Resample = (typeof RESAMPLES)[number];

interface Filter {
  /** Half its width, in pixels of the smaller picture. */
  readonly support: number;
  readonly at: (x: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

function cubic(signed: number): number {
  const a = -0.5;
  const x = Math.abs(signed);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const FILTERS: Readonly<Record<Exclude<Resample, 'nearest'>, Filter>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI))),
  },
  bicubic: { support: 2, at: cubic },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow's PRECISION_BITS: bytes times coefficients of this many binary places fill 32 bits. */
const PRECISION = 2 ** (32 - 8 - 2);

/** Some of the pixels of a side. */
interface Run {
  readonly start: number;
  readonly length: number;
}

/** The part of the resized picture that is wanted. */
export interface Window {
  readonly across: Run;
  readonly down: Run;
}

const whole = (length: number): Run => ({ start: 0, length });

interface Taps {
  readonly first: number;
  /** Fixed point, PRECISION = 1. */
  readonly weights: Float64Array;
}

/** For every wanted output pixel the first input that counts and the weights from there on. */
function tapsOf(from: number, to: number, { start, length }: Run, filter: Filter): Taps[] {
  const scale = from / to;
  const widened = Math.max(1, scale);
  const support = filter.support * widened;
  return Array.from({ length }, (_, i) => {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const exact = Float64Array.from({ length: end - first }, (_, k) =>
      filter.at((k + first - centre + 0.5) / widened),
    );
    const sum = exact.reduce((a, b) => a + b, 0);
    const weights = exact.map((w) => {
      const fixed = (sum === 0 ? w : w / sum) * PRECISION;
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
    return { first, weights };
  });
}

const toByte = (sum: number) => Math.min(255, Math.max(0, Math.floor(sum / PRECISION)));

/**
 * One plane of bytes [fromHeight, fromWidth] at another size, or a part of it: what is cut away is never computed, so that a strip of one
 * pixel's width, of which the middle is wanted at a large size, costs no more than that middle.
 *
 * @returns [window's height, window's width]; the same array where nothing changes
 */
export function resample(
  plane: Uint8Array,
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
  how: Resample,
  { across, down }: Window = { across: whole(width), down: whole(height) },
): Uint8Array {
  const isWhole = across.length === width && down.length === height;
  if (isWhole && fromWidth === width && fromHeight === height) return plane;
  if (how === 'nearest' || (fromWidth === width && fromHeight === height))
    return nearest(plane, fromWidth, places(fromWidth, width, across), places(fromHeight, height, down));
  const filter = FILTERS[how];
  // Rows that the wanted ones are made of.
  const vertical = fromHeight === height ? null : tapsOf(fromHeight, height, down, filter);
  const first = vertical ? Math.min(...ends(vertical).map(({ first }) => first)) : down.start;
  const end = vertical
    ? Math.max(...ends(vertical).map((t) => t.first + t.weights.length))
    : first + down.length;
  const rows = narrowed(plane.subarray(first * fromWidth, end * fromWidth), fromWidth, width, across, filter);
  if (!vertical) return rows;
  const out = new Uint8Array(down.length * across.length);
  for (let y = 0; y < down.length; y++) {
    const { first: top, weights } = vertical[y]!;
    for (let x = 0; x < across.length; x++) {
      let sum = PRECISION / 2;
      for (let k = 0; k < weights.length; k++)
        sum += weights[k]! * rows[(top - first + k) * across.length + x]!;
      out[y * across.length + x] = toByte(sum);
    }
  }
  return out;
}

/** Taps move on with their pixels: the outermost tell how far they reach. */
const ends = (taps: readonly Taps[]): readonly Taps[] => [taps[0]!, taps.at(-1)!];

/** Rows at another width. */
function narrowed(plane: Uint8Array, from: number, to: number, across: Run, filter: Filter): Uint8Array {
  if (from === to && across.length === to) return plane;
  const height = plane.length / from;
  const rows = new Uint8Array(height * across.length);
  const taps = from === to ? null : tapsOf(from, to, across, filter);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < across.length; x++) {
      if (!taps) {
        rows[y * across.length + x] = plane[y * from + across.start + x]!;
        continue;
      }
      const { first, weights } = taps[x]!;
      let sum = PRECISION / 2;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * plane[y * from + first + k]!;
      rows[y * across.length + x] = toByte(sum);
    }
  }
  return rows;
}

/** For every wanted output pixel the input it takes; added up step by step as Pillow does, since ties fall where its sum falls. */
function places(from: number, to: number, { start, length }: Run): Int32Array {
  const scale = from / to;
  const out = new Int32Array(length);
  let at = 0.5 * scale;
  for (let i = 0; i < start; i++) at += scale;
  for (let i = 0; i < length; i++, at += scale) out[i] = Math.min(from - 1, Math.floor(at));
  return out;
}

function nearest(plane: Uint8Array, fromWidth: number, across: Int32Array, down: Int32Array): Uint8Array {
  const out = new Uint8Array(down.length * across.length);
  let at = 0;
  for (const y of down) for (const x of across) out[at++] = plane[y * fromWidth + x]!;
  return out;
}
