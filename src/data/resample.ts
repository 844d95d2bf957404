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

interface Taps {
  readonly first: number;
  /** Fixed point, PRECISION = 1. */
  readonly weights: Float64Array;
}

/** For every output pixel the first input that counts and the weights from there on. */
function tapsOf(from: number, to: number, filter: Filter): Taps[] {
  const scale = from / to;
  const widened = Math.max(1, scale);
  const support = filter.support * widened;
  return Array.from({ length: to }, (_, out) => {
    const centre = (out + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const exact = Float64Array.from({ length: end - first }, (_, i) =>
      filter.at((i + first - centre + 0.5) / widened),
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
 * One plane of bytes [fromHeight, fromWidth] at another size.
 * @returns [height, width]; the same array where nothing changes
 */
export function resample(
  plane: Uint8Array,
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
  how: Resample,
): Uint8Array {
  if (fromWidth === width && fromHeight === height) return plane;
  if (how === 'nearest') return nearest(plane, fromWidth, fromHeight, width, height);
  const filter = FILTERS[how];
  let rows = plane;
  if (fromWidth !== width) {
    const taps = tapsOf(fromWidth, width, filter);
    rows = new Uint8Array(fromHeight * width);
    for (let y = 0; y < fromHeight; y++) {
      for (let x = 0; x < width; x++) {
        const { first, weights } = taps[x]!;
        let sum = PRECISION / 2;
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * plane[y * fromWidth + first + k]!;
        rows[y * width + x] = toByte(sum);
      }
    }
  }
  if (fromHeight === height) return rows;
  const taps = tapsOf(fromHeight, height, filter);
  const out = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const { first, weights } = taps[y]!;
    for (let x = 0; x < width; x++) {
      let sum = PRECISION / 2;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * rows[(first + k) * width + x]!;
      out[y * width + x] = toByte(sum);
    }
  }
  return out;
}

/** For every output pixel the input it takes; added up step by step as Pillow does, since ties fall where its sum falls. */
function places(from: number, to: number): Int32Array {
  const scale = from / to;
  const out = new Int32Array(to);
  for (let i = 0, at = 0.5 * scale; i < to; i++, at += scale) out[i] = Math.min(from - 1, Math.floor(at));
  return out;
}

function nearest(
  plane: Uint8Array,
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
): Uint8Array {
  const out = new Uint8Array(height * width);
  const [across, down] = [places(fromWidth, width), places(fromHeight, height)];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) out[y * width + x] = plane[down[y]! * fromWidth + across[x]!]!;
  return out;
}
