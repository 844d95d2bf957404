/** Pictures from files: by the folders they lie in, or by a table that names or holds them. */
import { fail } from '../../lib/errors.ts';
import { type LabelledPicture, type PictureSize, picturesDataset, toPixels } from '../pictures.ts';
import type { ImageDataset } from '../types.ts';
import type { DataFile } from './bytes.ts';
import { type DecodedImage, decodePng, type ImageDecoder, isPng } from './png.ts';
import { type Entry, labelsOf, type Reading } from './rowsOf.ts';
import { splitNamed } from './splits.ts';

export const PICTURES = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp'];

export interface PictureOptions {
  readonly size: PictureSize;
  readonly seed: number;
  readonly decodeImage: ImageDecoder;
}

const UNREADABLE = 'convert or delete it';

/** Pixels at the model's size, or why there are none. */
async function decode(bytes: Uint8Array, path: string, options: PictureOptions) {
  if (!isPng(bytes) && options.decodeImage === decodePng)
    return 'is not a PNG; outside the browser only PNG is read';
  let image: DecodedImage;
  try {
    image = await options.decodeImage(bytes, path);
  } catch (cause) {
    const why = (cause as Error).message.replace(`${path} `, '');
    return `cannot be read as a picture (${why.replace(/\.$/, '')})`;
  }
  // Outside: what the model demands is no fault of the picture.
  return toPixels(image, options.size);
}

/** One folder per class, splits by the folders above. @throws PapilioError 'bad-data' */
export async function picturesByFolder(
  name: string,
  files: readonly DataFile[],
  options: PictureOptions,
  reading: Reading,
): Promise<ImageDataset> {
  const entries: Entry[] = files.map((file) => {
    const folders = file.path.split('/').slice(0, -1);
    const label = folders.at(-1);
    if (label === undefined)
      fail(
        'bad-data',
        `${file.path} has no label: it lies in no folder; put each class into a folder of its name, or add a table with the columns file_name and label.`,
      );
    const split = folders
      .slice(0, -1)
      .map(splitNamed)
      .find((s) => s !== undefined);
    return { origin: { file: file.path }, split, values: { label, image: file.bytes } };
  });
  return dataset(name, entries, options, reading);
}

/** A table whose image column holds pictures, or names files among `files`. @throws PapilioError 'bad-data' */
export async function picturesByTable(
  name: string,
  entries: readonly Entry[],
  files: readonly DataFile[],
  options: PictureOptions,
  reading: Reading,
): Promise<ImageDataset> {
  const byPath = new Map(files.map((file) => [file.path, file.bytes]));
  const found = entries.map((entry): Entry => {
    const { image } = entry.values;
    const held = imageBytes(image);
    if (held) return { ...entry, values: { ...entry.values, image: held } };
    const path = typeof image === 'string' ? image.replace(/^\.?\//, '') : '';
    const folder = entry.origin.file.split('/').slice(0, -1).join('/');
    const bytes = byPath.get(folder === '' ? path : `${folder}/${path}`) ?? byPath.get(path);
    return { ...entry, values: { ...entry.values, image: bytes ?? path } };
  });
  return dataset(name, found, options, reading);
}

/** Bytes as they stand, in Hugging Face's `{bytes, path}`, or as a data URL. */
function imageBytes(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') {
    const coded = /^data:image\/[a-z+]+;base64,(.*)$/s.exec(value)?.[1];
    return coded === undefined ? null : Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
  }
  const { bytes } = (value ?? {}) as { readonly bytes?: unknown };
  return bytes instanceof Uint8Array ? bytes : null;
}

async function dataset(
  name: string,
  entries: readonly Entry[],
  options: PictureOptions,
  reading: Reading,
): Promise<ImageDataset> {
  const pictures: { readonly entry: Entry; readonly pixels: Float32Array }[] = [];
  for (const entry of entries) {
    const { image } = entry.values;
    const pixels =
      image instanceof Uint8Array
        ? await decode(image, entry.origin.file, options)
        : `names the picture "${String(image)}", which is not among the files`;
    if (typeof pixels === 'string') reading.drops.add(entry.origin, { what: pixels, advice: UNREADABLE });
    else pictures.push({ entry, pixels });
  }
  const kept = pictures.map(({ entry }) => entry);
  const labels = labelsOf(
    kept,
    kept.map((entry) => entry.values.label),
    kept.map((entry) => entry.origin),
    reading,
  );
  reading.notes.push(...reading.drops.settle(entries.length));
  const labelled = pictures.flatMap(({ entry, pixels }, i): LabelledPicture[] =>
    labels[i] === null ? [] : [{ pixels, label: labels[i]!, ...(entry.split ? { split: entry.split } : {}) }],
  );
  return picturesDataset(name, labelled, options.size, {
    seed: options.seed,
    ...(reading.labels ? { labels: reading.labels } : {}),
  });
}
