/** Pictures from files: by the folders they lie in, or by a table that names or holds them. */
import { type Budget, createBudget } from '../../lib/budget.ts';
import { bytesOfBase64, type InputFile } from '../../lib/bytes.ts';
import { fail } from '../../lib/errors.ts';
import { clause, say } from '../../lib/say.ts';
import {
  createPictureKeeper,
  type LabelledPicture,
  type PictureBytes,
  picturesDataset,
} from '../pictures.ts';
import type { Preprocessing } from '../preprocessing.ts';
import type { ImageDataset } from '../types.ts';
import { checkPicture } from './decodePicture.ts';
import type { DecodedImage, ImageDecoder } from './png.ts';
import { type Entry, labelsOf, type Reading } from './rowsOf.ts';
import { assignSplits, splitNamed, splitOfFolders } from './splits.ts';

export interface PictureOptions {
  readonly steps: Preprocessing;
  readonly seed: number;
  readonly decodeImage: ImageDecoder;
}

const convertIt = (): string => say`convert or delete it`;

/** The picture as it is kept, or why there is none. */
async function decode(
  bytes: Uint8Array,
  path: string,
  {
    decodeImage,
    keep,
    pixels,
  }: Pick<PictureOptions, 'decodeImage'> & {
    readonly keep: (image: DecodedImage) => PictureBytes;
    readonly pixels: Budget;
  },
): Promise<PictureBytes | string> {
  let image: DecodedImage;
  try {
    checkPicture(bytes, path);
    image = await decodeImage(bytes, path);
  } catch (cause) {
    const why = (cause as Error).message.replace(`${path} `, '');
    return say`cannot be read as a picture (${clause(why)})`;
  }
  // Outside: what the model demands is no fault of the picture, and what all cost together not of this one.
  pixels.take(image.width * image.height, path);
  return keep(image);
}

/** Folders that say what files are and not what they show. */
const PLAIN = /^(images?|imgs?|pictures?|pics?|photos?|jpe?gs?|pngs?|jpegimages|files|raw)$/i;

/** Folders that count parts of something: batch0, part_2, 03. */
const COUNTED = /^([a-z]{0,10}[-_ ]?\d{1,4})$/i;

const isSplit = (folder: string) => splitNamed(folder) !== undefined;

/**
 * For every path, how many of its folders lead up to the one that names its class; 0 where none does. The class is the innermost folder that is
 * no split (cat/train), no plain word (cat/images), and no count that comes again below several others (cat/batch1, dog/batch1).
 */
function classDepths(paths: readonly (readonly string[])[]): number[] {
  const at = (depths: readonly number[]) => depths.map((depth, i) => paths[i]![depth - 1]);
  const differ = (depths: readonly number[]) => new Set(at(depths)).size > 1;
  const up = (from: readonly number[], skips: (folder: string) => boolean) =>
    from.map((start, i) => {
      let depth = start;
      while (depth > 0 && skips(paths[i]![depth - 1]!)) depth--;
      return depth;
    });
  const ends = paths.map((folders) => folders.length);
  // Splits below the classes are all that lies there; a class among others may be called "valid".
  const own = paths.every((folders) => folders.length > 0 && isSplit(folders.at(-1)!))
    ? up(ends, isSplit)
    : ends;
  // photos/1.png and drawings/1.png are classes, where leaving them out leaves nothing that differs.
  const above = up(own, (folder) => PLAIN.test(folder));
  const areClasses = above.every(
    (depth, i) => depth > 0 && (depth === own[i] || !isSplit(paths[i]![depth - 1]!)),
  );
  const chosen = differ(above) && areClasses ? above : own;
  const higher = chosen.map((depth) => depth - 1);
  if (!differ(higher) || higher.some((depth, i) => depth < 1 || isSplit(paths[i]![depth - 1]!)))
    return chosen;
  // Every picture lies in a folder of one name, or of a count that each of several folders has: the one above tells more.
  return !differ(chosen) || areCounts(at(chosen), at(higher)) ? higher : chosen;
}

/** Whether all names are counts, and each comes below every name of `parents`. */
function areCounts(
  names: readonly (string | undefined)[],
  parents: readonly (string | undefined)[],
): boolean {
  if (!names.every((name) => name !== undefined && COUNTED.test(name))) return false;
  const pairs = new Set(names.map((name, i) => `${parents[i]}/${name}`));
  return pairs.size === new Set(names).size * new Set(parents).size;
}

/** One folder per class, splits by the folders above. @throws PapilioError 'bad-data' */
export async function picturesByFolder(
  name: string,
  files: readonly InputFile[],
  options: PictureOptions,
  reading: Reading,
): Promise<ImageDataset> {
  const paths = files.map((file) => file.name.split('/').slice(0, -1));
  const depths = classDepths(paths);
  // Splits stand above a class or below it.
  const above = new Map(files.map((file, i) => [file, paths[i]!.toSpliced(Math.max(0, depths[i]! - 1), 1)]));
  const splits = assignSplits(files, (file) => [...above.get(file)!, ''].join('/'), reading.notes);
  const used = new Set(splits.files);
  const entries = files.flatMap((file, i): Entry[] => {
    const folders = paths[i]!;
    const label = folders[depths[i]! - 1];
    if (label === undefined)
      fail(
        'bad-data',
        say`${file.name} has no label: it lies in no folder; put each class into a folder of its name, or add a table with the columns file_name and label.`,
      );
    if (!used.has(file)) return [];
    return [
      { origin: { file: file.name }, split: splits.of(file.name), values: { label, image: file.bytes } },
    ];
  });
  if (depths.some((depth, i) => depth < paths[i]!.length))
    reading.notes.push(
      say`Classes are named by the folder above ${JSON.stringify(paths.find((p, i) => depths[i]! < p.length)!.at(-1))}.`,
    );
  return dataset(name, entries, options, reading);
}

/** A table whose image column holds pictures, or names files among `files`. @throws PapilioError 'bad-data' */
export async function picturesByTable(
  name: string,
  entries: readonly Entry[],
  files: readonly InputFile[],
  options: PictureOptions,
  reading: Reading,
): Promise<ImageDataset> {
  const find = finder(files);
  const found = entries.map((entry): Entry => {
    const { image } = entry.values;
    const held = imageBytes(image);
    if (held) return { ...entry, values: { ...entry.values, image: held } };
    const path = pathIn(image);
    const split = entry.split ?? splitOfFolders(path.split('/').slice(0, -1));
    return { ...entry, split, values: { ...entry.values, image: find(path, entry.origin.file) ?? path } };
  });
  return dataset(name, found, options, reading);
}

/** The path that a cell names, as files are named here: `.\\img\\1.png` → `img/1.png`. */
function pathIn(cell: unknown): string {
  const named = typeof cell === 'object' && cell !== null ? (cell as { readonly path?: unknown }).path : cell;
  return typeof named === 'string'
    ? named
        .trim()
        .replaceAll('\\', '/')
        .replace(/^(\.?\/)+/, '')
    : '';
}

/** Finds a picture by its path beside the table, from the top, or by as much of its path as no other picture ends in. */
function finder(files: readonly InputFile[]): (path: string, table: string) => Uint8Array | undefined {
  const byPath = new Map(files.map((file) => [file.name, file.bytes]));
  const byEnding = new Map<string, Uint8Array | null>();
  for (const { name: path, bytes } of files) {
    const parts = path.split('/');
    for (let i = parts.length - 1; i > 0; i--) {
      const ending = parts.slice(i).join('/');
      byEnding.set(ending, byEnding.has(ending) ? null : bytes);
    }
  }
  return (path, table) => {
    const folder = table.split('/').slice(0, -1).join('/');
    return (
      byPath.get(folder === '' ? path : `${folder}/${path}`) ??
      byPath.get(path) ??
      byEnding.get(path) ??
      byEnding.get(path.split('/').at(-1)!) ??
      undefined
    );
  };
}

/** Bytes as they stand, in Hugging Face's `{bytes, path}`, or as a data URL. */
function imageBytes(value: unknown): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') {
    const coded = /^data:image\/[a-z+]+;base64,(.*)$/s.exec(value)?.[1];
    return coded === undefined ? null : bytesOfBase64(coded);
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
  const pictures: { readonly entry: Entry; readonly pixels: PictureBytes }[] = [];
  const files = new Set(
    entries.flatMap(({ values }) => (values.image instanceof Uint8Array ? [values.image] : [])),
  );
  const fileBytes = [...files].reduce((n, { length }) => n + length, 0);
  const decoding = {
    decodeImage: options.decodeImage,
    keep: createPictureKeeper(entries.length, options.steps, name, fileBytes),
    pixels: createBudget('decodedPixels', fileBytes),
  };
  for (const entry of entries) {
    const { image } = entry.values;
    const pixels =
      image instanceof Uint8Array
        ? await decode(image, entry.origin.file, decoding)
        : say`names the picture "${String(image)}", which is not among the files`;
    if (typeof pixels === 'string') reading.drops.add(entry.origin, { what: pixels, advice: convertIt() });
    else pictures.push({ entry, pixels });
  }
  const taken = pictures.map(({ entry }) => entry);
  const labels = labelsOf(
    taken,
    taken.map((entry) => entry.values.label),
    taken.map((entry) => entry.origin),
    reading,
  );
  reading.notes.push(...reading.drops.settle(entries.length));
  const labelled = pictures.flatMap(({ entry, pixels }, i): LabelledPicture[] =>
    labels[i] === null ? [] : [{ pixels, label: labels[i]!, ...(entry.split ? { split: entry.split } : {}) }],
  );
  return picturesDataset(name, labelled, options.steps, {
    seed: options.seed,
    ...(reading.labels ? { labels: reading.labels } : {}),
  });
}
