/** Decoded pictures → the bytes that a model takes, and packed picture datasets. */
import { createBudget } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { DecodedImage } from './files/png.ts';
import type { Preprocessing, Resize } from './preprocessing.ts';
import { type Resample, resample } from './preprocessing.ts';
import { chooseSplit, orderLabels } from './rows.ts';
import type { ImageDataset, ImageSplit, SplitName } from './types.ts';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** 1 = grey (luma), 3 = red, green, blue. */
  readonly channels: number;
}

/** One of a decoded picture's planes [H, W]: 0 red, 1 green, 2 blue; what is transparent lies on white. */
function colourOf({ width, height, rgba }: DecodedImage, colour: number): Uint8Array {
  const plane = new Uint8Array(width * height);
  for (let p = 0; p < plane.length; p++) {
    const alpha = rgba[4 * p + 3]!;
    plane[p] = 255 - alpha + Math.round((alpha * rgba[4 * p + colour]!) / 255);
  }
  return plane;
}

/** The planes of a picture as the model has them, one made after the other: grey by PIL's luma, or red, green, blue. */
function* planesOf(image: DecodedImage, { channels, bgr }: Preprocessing): Generator<Uint8Array> {
  if (channels === 3) for (const c of bgr ? [2, 1, 0] : [0, 1, 2]) yield colourOf(image, c);
  else if (channels === 1) yield luma([0, 1, 2].map((c) => colourOf(image, c)));
  else
    fail(
      'bad-data',
      say`The model wants ${channels} channels; pictures have one (grey) or three (red, green, blue).`,
    );
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
  const area = steps.width * steps.height;
  const [across, down] = [middle(size.width, steps.width), middle(size.height, steps.height)];
  const out = new Uint8Array(steps.channels * area);
  let c = 0;
  for (const plane of planesOf(image, steps)) {
    const part = resample(plane, image.width, image.height, size.width, size.height, steps.resample, {
      across,
      down,
    });
    for (let y = 0; y < down.length; y++)
      out.set(
        part.subarray(y * across.length, (y + 1) * across.length),
        c * area + (down.at + y) * steps.width + across.at,
      );
    c++;
  }
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

/** What drawings lie on and their strokes, 0 (dark) … 1 (light). */
export interface DrawingTones {
  readonly ground: number;
  readonly stroke: 0 | 1;
}

/** Pictures that are looked at for their tones. */
const LOOKED_AT = 8;

/** What a drawing should look like to be like the first pictures: their ground is the mean along their edges, where drawings seldom have strokes. */
export function tonesOf({ width, height, channels, train }: ImageDataset): DrawingTones {
  let [edge, edges, all, count] = [0, 0, 0, 0];
  for (let i = 0; i < Math.min(LOOKED_AT, train.count); i++) {
    const pixels = train.pixels(i);
    for (let p = 0; p < channels * height * width; p++) {
      const [x, y] = [p % width, Math.floor(p / width) % height];
      all += pixels[p]!;
      count++;
      if (x > 0 && y > 0 && x < width - 1 && y < height - 1) continue;
      edge += pixels[p]!;
      edges++;
    }
  }
  const ground = edge / edges;
  return { ground, stroke: all / count < ground ? 0 : 1 };
}

/** The bytes [C, H, W] of a picture at the model's size, or how they are made each time. */
export type PictureBytes = Uint8Array | (() => Uint8Array);

/** As many bytes of pictures at the model's size stay in memory, however small their files are. */
export const KEPT_AT_SIZE = 2 ** 25;

/**
 * How pictures stay in memory: at the model's size, or, where all of them would take much, as they are if that is less; then they are made
 * ready when a batch asks for them, by the same steps.
 *
 * @param count of pictures
 * @param name of them all, for complaints
 * @param fileBytes of their files
 */
export function createPictureKeeper(
  count: number,
  steps: Preprocessing,
  name: string,
  fileBytes: number,
): (image: DecodedImage) => PictureBytes {
  const size = steps.channels * steps.width * steps.height;
  const kept = createBudget('keptBytes', fileBytes);
  return (image) => {
    const asIs = image.rgba.length;
    const isAtSize = count * size <= KEPT_AT_SIZE || asIs >= size;
    kept.take(isAtSize ? size : asIs, name);
    if (isAtSize) return prepared(image, steps);
    return () => prepared(image, steps);
  };
}

/** Examples of a split, read as f32 in 0 … 1. */
export function pictureSplit(
  picture: (i: number) => Uint8Array,
  labels: ArrayLike<number>,
  members: Uint32Array,
): ImageSplit {
  return {
    count: members.length,
    label: (i) => labels[members[i]!]!,
    pixels: (i) => Float32Array.from(picture(members[i]!), (v) => v / 255),
  };
}

export interface LabelledPicture {
  readonly pixels: PictureBytes;
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
  const picture = (i: number): Uint8Array => {
    const { pixels } = pictures[i]!;
    const bytes = typeof pixels === 'function' ? pixels() : pixels;
    if (bytes.length !== stride)
      fail('shape', say`Picture ${i + 1} of ${name} has ${bytes.length} values, not ${stride}.`);
    return bytes;
  };
  // What the model wants and pictures do not have is seen before anything is trained.
  pictures.forEach(({ pixels }, i) => {
    if (i === 0 || typeof pixels !== 'function') picture(i);
  });
  const split = chooseSplit(pictures, labels, options.seed, name);
  return {
    kind: 'image',
    name,
    width: size.width,
    height: size.height,
    channels: size.channels,
    labels: names,
    train: pictureSplit(picture, labels, split.train),
    held: pictureSplit(picture, labels, split.held),
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
  const { seed = 0, name = say`Your drawings` } = options;
  const size = { width: side, height: side, channels: 1 };
  const short = classes.find((c) => c.images.length < 2);
  if (short)
    fail(
      'bad-data',
      say`The class "${short.label}" has ${short.images.length} drawing(s); draw at least two, one is held for measuring.`,
    );
  const pictures = classes.flatMap(({ label, images }) =>
    images.map((pixels) => ({ pixels: fitted(pixels, size, size), label })),
  );
  return picturesDataset(name, pictures, size, { seed });
}
