/** Pictures of any size → the model's size and channels, and packed picture datasets. */
import { fail } from '../lib/errors.ts';
import type { DecodedImage } from './files/png.ts';
import { chooseSplit, orderLabels } from './split.ts';
import type { ImageDataset, ImageSplit, SplitName } from './types.ts';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** 1 = grey (luma), 3 = red, green, blue. */
  readonly channels: number;
}

/** Weights of a triangle filter that shrinks without aliasing: for each output, its first input and the weights. */
function taps(from: number, to: number): { first: number; weights: number[] }[] {
  const scale = from / to;
  const support = Math.max(1, scale);
  return Array.from({ length: to }, (_, o) => {
    const centre = (o + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support));
    const last = Math.min(from - 1, Math.ceil(centre + support) - 1);
    const weights: number[] = [];
    for (let i = first; i <= last; i++) weights.push(Math.max(0, 1 - Math.abs((i + 0.5 - centre) / support)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/** Resizes one plane [fromHeight, fromWidth] → [height, width] (bilinear, area-true when shrinking). */
export function resizePlane(
  plane: ArrayLike<number>,
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
): Float32Array {
  const across = taps(fromWidth, width);
  const down = taps(fromHeight, height);
  const rows = new Float32Array(fromHeight * width);
  for (let y = 0; y < fromHeight; y++) {
    across.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * plane[y * fromWidth + first + k]!;
      rows[y * width + x] = sum;
    });
  }
  const out = new Float32Array(height * width);
  down.forEach(({ first, weights }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * rows[(first + k) * width + x]!;
      out[y * width + x] = sum;
    }
  });
  return out;
}

/** A decoded picture → [C, H, W] in 0 … 1; what is transparent lies on white. */
export function toPixels(image: DecodedImage, size: PictureSize): Float32Array {
  const { width, height, channels } = size;
  if (channels !== 1 && channels !== 3)
    fail(
      'bad-data',
      `The model wants ${channels} channels; pictures have one (grey) or three (red, green, blue).`,
    );
  const count = image.width * image.height;
  const out = new Float32Array(channels * width * height);
  const plane = new Float32Array(count);
  const weights =
    channels === 1
      ? [[0.299, 0.587, 0.114]]
      : [
          [1, 0, 0],
          [0, 1, 0],
          [0, 0, 1],
        ];
  weights.forEach(([r = 0, g = 0, b = 0], c) => {
    for (let p = 0; p < count; p++) {
      const alpha = image.rgba[4 * p + 3]! / 255;
      const value = r * image.rgba[4 * p]! + g * image.rgba[4 * p + 1]! + b * image.rgba[4 * p + 2]!;
      plane[p] = 1 - alpha + (alpha * value) / 255;
    }
    out.set(resizePlane(plane, image.width, image.height, width, height), c * width * height);
  });
  return out;
}

/** Pictures kept as bytes, C·H·W each, read as f32 in 0 … 1. */
export function packedSplit(
  bytes: Uint8Array,
  stride: number,
  labels: ArrayLike<number>,
  members: Uint32Array,
): ImageSplit {
  return {
    count: members.length,
    label: (i) => labels[members[i]!]!,
    pixels: (i) => {
      const from = members[i]! * stride;
      return Float32Array.from(bytes.subarray(from, from + stride), (v) => v / 255);
    },
  };
}

export interface LabelledPicture {
  /** [C, H, W] in 0 … 1. */
  readonly pixels: Float32Array;
  readonly label: string;
  /** Where the file's folders say it; else drawn by seed. */
  readonly split?: SplitName;
}

/** A dataset of pictures that are all in memory. Throws 'bad-data' for one class or nothing to hold. */
export function picturesDataset(
  name: string,
  pictures: readonly LabelledPicture[],
  size: PictureSize,
  options: { readonly seed: number; readonly labels?: readonly string[] },
): ImageDataset {
  const names = orderLabels(
    pictures.map((p) => p.label),
    name,
    options.labels,
  );
  const numbers = new Map(names.map((label, i) => [label, i]));
  const labels = Int32Array.from(pictures, (p) => numbers.get(p.label)!);
  const stride = size.channels * size.width * size.height;
  const bytes = new Uint8Array(stride * pictures.length);
  pictures.forEach((p, i) => {
    if (p.pixels.length !== stride)
      fail('shape', `Picture ${i + 1} of ${name} has ${p.pixels.length} values, not ${stride}.`);
    for (let k = 0; k < stride; k++)
      bytes[i * stride + k] = Math.round(Math.min(1, Math.max(0, p.pixels[k]!)) * 255);
  });
  const split = chooseSplit(
    pictures.map((p) => p.split),
    labels,
    options.seed,
    name,
  );
  return {
    kind: 'image',
    name,
    ...size,
    labels: names,
    train: packedSplit(bytes, stride, labels, split.train),
    held: packedSplit(bytes, stride, labels, split.held),
  };
}

/** What the user drew: classes with pictures [C·H·W] in 0 … 1 at the model's size; one in seven or so is held. */
export function drawingsDataset(
  classes: readonly { readonly label: string; readonly images: readonly Float32Array[] }[],
  size: PictureSize,
  options: { readonly seed?: number; readonly name?: string } = {},
): ImageDataset {
  const { seed = 0, name = 'Your drawings' } = options;
  const short = classes.find((c) => c.images.length < 2);
  if (short)
    fail(
      'bad-data',
      `The class "${short.label}" has ${short.images.length} drawing(s); draw at least two, one is held for measuring.`,
    );
  const pictures = classes.flatMap(({ label, images }) => images.map((pixels) => ({ pixels, label })));
  return picturesDataset(name, pictures, size, { seed });
}
