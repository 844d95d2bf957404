/** Decoded pictures → the bytes that a model takes, and packed picture datasets. */
import { fail } from '../lib/errors.ts';
import type { DecodedImage } from './files/png.ts';
import type { Preprocessing, Resize } from './preprocessing.ts';
import { type Resample, resample } from './resample.ts';
import { chooseSplit, orderLabels } from './split.ts';
import type { ImageDataset, ImageSplit, SplitName } from './types.ts';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** 1 = grey (luma), 3 = red, green, blue. */
  readonly channels: number;
}

/** A decoded picture's planes [H, W] each: grey by PIL's luma, or red, green, blue; what is transparent lies on white. */
function planesOf({ width, height, rgba }: DecodedImage, channels: number): Uint8Array[] {
  if (channels !== 1 && channels !== 3)
    fail(
      'bad-data',
      `The model wants ${channels} channels; pictures have one (grey) or three (red, green, blue).`,
    );
  const count = width * height;
  const colours = [0, 1, 2].map((c) => {
    const plane = new Uint8Array(count);
    for (let p = 0; p < count; p++) {
      const alpha = rgba[4 * p + 3]!;
      plane[p] = 255 - alpha + Math.round((alpha * rgba[4 * p + c]!) / 255);
    }
    return plane;
  });
  return channels === 3 ? colours : [luma(colours)];
}

/** Red, green and blue → grey by Pillow's L24: luma in 16 bits, rounded. */
function luma([red, green, blue]: readonly Uint8Array[]): Uint8Array {
  return red!.map((r, p) => (r * 19595 + green![p]! * 38470 + blue![p]! * 7471 + 0x8000) >> 16);
}

/** Width and height after resizing; transformers' get_resize_output_image_size, whole numbers by cutting. */
export function resizedSize(
  width: number,
  height: number,
  resize: Resize | null,
): { readonly width: number; readonly height: number } {
  if (resize === null) return { width, height };
  if (resize.to === 'exact') return resize;
  const [short, long] = width <= height ? [width, height] : [height, width];
  let newShort = resize.edge;
  let newLong = Math.trunc((resize.edge * long) / short);
  if (resize.longest !== undefined && newLong > resize.longest) {
    newShort = Math.max(1, Math.trunc((resize.longest * newShort) / newLong));
    newLong = resize.longest;
  }
  return width <= height ? { width: newShort, height: newLong } : { width: newLong, height: newShort };
}

/** What the middle of a side keeps, and where it lies in a side that is longer; transformers' center_crop. */
function middle(
  from: number,
  to: number,
): { readonly start: number; readonly at: number; readonly length: number } {
  const start = from >= to ? (from - to) >> 1 : -Math.ceil((to - from) / 2);
  const first = Math.max(0, start);
  const at = Math.max(0, -start);
  return { start: first, at, length: Math.min(from - first, to - at) };
}

/** A decoded picture as the model's own preprocessing has it before rescaling: bytes [C, H, W], 0 where the picture is smaller. */
export function prepared(image: DecodedImage, steps: Preprocessing): Uint8Array {
  const size = resizedSize(image.width, image.height, steps.resize);
  const planes = planesOf(image, steps.channels);
  if (steps.bgr) planes.reverse();
  const area = steps.width * steps.height;
  const [across, down] = [middle(size.width, steps.width), middle(size.height, steps.height)];
  const out = new Uint8Array(steps.channels * area);
  planes.forEach((plane, c) => {
    const part = resample(plane, image.width, image.height, size.width, size.height, steps.resample, {
      across,
      down,
    });
    for (let y = 0; y < down.length; y++)
      out.set(
        part.subarray(y * across.length, (y + 1) * across.length),
        c * area + (down.at + y) * steps.width + across.at,
      );
  });
  return out;
}

/** Grey values 0 … 1 or bytes [channels, height, width] at the model's size and channels, nothing cut away; for what is drawn or made. */
export function fitted(
  pixels: Uint8Array | Float32Array,
  from: PictureSize,
  to: PictureSize,
  how: Resample = 'bilinear',
): Uint8Array {
  const bytes =
    pixels instanceof Uint8Array
      ? pixels
      : Uint8Array.from(pixels, (v) => Math.round(255 * Math.min(1, Math.max(0, v))));
  const area = from.width * from.height;
  const planes = Array.from({ length: from.channels }, (_, c) => bytes.subarray(c * area, (c + 1) * area));
  const out = new Uint8Array(to.channels * to.width * to.height);
  const wanted = from.channels === 3 && to.channels === 1 ? [luma(planes)] : planes;
  for (let c = 0; c < to.channels; c++) {
    const plane = wanted[c] ?? wanted[0]!;
    out.set(resample(plane, from.width, from.height, to.width, to.height, how), c * to.width * to.height);
  }
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
  /** Bytes [C, H, W]. */
  readonly pixels: Uint8Array;
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
    bytes.set(p.pixels, i * stride);
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
    width: size.width,
    height: size.height,
    channels: size.channels,
    labels: names,
    train: packedSplit(bytes, stride, labels, split.train),
    held: packedSplit(bytes, stride, labels, split.held),
  };
}

/** The same examples at the model's size and in its channels: the dataset itself where it is so already. */
export function atSize(dataset: ImageDataset, size: PictureSize): ImageDataset {
  if (dataset.width === size.width && dataset.height === size.height && dataset.channels === size.channels)
    return dataset;
  const split = (from: ImageSplit): ImageSplit => ({
    ...from,
    pixels: (i) => Float32Array.from(fitted(from.pixels(i), dataset, size), (v) => v / 255),
  });
  const { width, height, channels } = size;
  return { ...dataset, width, height, channels, train: split(dataset.train), held: split(dataset.held) };
}

/** What the user drew: classes with grey pictures [side·side] in 0 … 1; one in seven or so is held. */
export function drawingsDataset(
  classes: readonly { readonly label: string; readonly images: readonly Float32Array[] }[],
  side: number,
  options: { readonly seed?: number; readonly name?: string } = {},
): ImageDataset {
  const { seed = 0, name = 'Your drawings' } = options;
  const size = { width: side, height: side, channels: 1 };
  const short = classes.find((c) => c.images.length < 2);
  if (short)
    fail(
      'bad-data',
      `The class "${short.label}" has ${short.images.length} drawing(s); draw at least two, one is held for measuring.`,
    );
  const pictures = classes.flatMap(({ label, images }) =>
    images.map((pixels) => ({ pixels: fitted(pixels, size, size), label })),
  );
  return picturesDataset(name, pictures, size, { seed });
}
