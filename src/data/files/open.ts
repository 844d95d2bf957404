/**
 * Whatever the user dropped, pasted or named → a dataset: text, tables of text and label, pictures by class folder, IDX
 * files, or a zip of any of these. Every way of going wrong is a 'bad-data' sentence.
 */
import { fail } from '../../lib/errors.ts';
import { type LabelledPicture, type PictureSize, picturesDataset, toPixels } from '../pictures.ts';
import { documentsDataset, HELD_SHARE, textDataset } from '../text.ts';
import { textClassDataset } from '../text-classes.ts';
import type { Tokenizer } from '../tokenizer.ts';
import type { Dataset, ImageDataset } from '../types.ts';
import { type DataFile, extension, gunzip, isHidden, readText, unpackZip } from './bytes.ts';
import { idxDataset, isIdxName } from './idx.ts';
import { decodePng, type ImageDecoder, isPng } from './png.ts';
import { readTable, type TableRow } from './table.ts';

export interface OpenOptions {
  /** What the model learns: `text` = language model, `text-class` and `image` = classifier. */
  readonly task: 'text' | 'text-class' | 'image';
  readonly name?: string;
  readonly seed?: number;
  /** The model's tokenizer; needed for both text tasks. */
  readonly tokenizer?: Tokenizer;
  /** The model's picture size; needed for `image`. */
  readonly size?: PictureSize;
  /** The model's own class names, used where all found labels are among them. */
  readonly labels?: readonly string[];
  readonly textColumn?: string;
  readonly labelColumn?: string;
  /** Share of a running text that is held. */
  readonly heldShare?: number;
  /** Decodes pictures; without it PNG only. */
  readonly decodeImage?: ImageDecoder;
}

const PICTURES = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp'];
const TABLES = ['csv', 'tsv', 'jsonl'];
const TEXTS = ['txt', 'md', 'text'];

/** Opens files as a dataset for `task`. Throws 'bad-data', or 'bad-argument' where the caller gave too little. */
export async function openDataset(given: readonly DataFile[], options: OpenOptions): Promise<Dataset> {
  const files = given
    .filter((file) => !isHidden(file.path))
    .flatMap((file) => (extension(file.path) === 'zip' ? unpackZip(file.bytes, file.path) : [file]))
    .map((file) =>
      extension(file.path) === 'gz' && !isIdxName(file.path)
        ? { path: file.path.slice(0, -3), bytes: gunzip(file.bytes, file.path) }
        : file,
    )
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  if (files.length === 0) fail('bad-data', 'There are no files in what was opened.');
  const name = options.name ?? given[0]!.path;
  const byKind = (kinds: readonly string[]) => files.filter((file) => kinds.includes(extension(file.path)));
  const seen = [...new Set(files.map((file) => extension(file.path) || 'no extension'))]
    .slice(0, 6)
    .join(', ');

  if (options.task === 'image') {
    const { size } = options;
    if (!size) return fail('bad-argument', 'Pictures need the size that the model takes.');
    const common = { seed: options.seed ?? 0, ...(options.labels ? { labels: options.labels } : {}) };
    if (files.some((file) => isIdxName(file.path))) return idxDataset(name, files, size, common);
    const pictures = byKind(PICTURES);
    if (pictures.length === 0)
      fail(
        'bad-data',
        `${name} holds no pictures (found: ${seen}); give a folder or .zip with one folder per class, or IDX files.`,
      );
    return openPictures(name, pictures, size, { ...common, decodeImage: options.decodeImage ?? decodePng });
  }

  const { tokenizer } = options;
  if (!tokenizer)
    return fail(
      'bad-argument',
      'Text needs the tokenizer of the model: put its tokenizer.json beside the .onnx.',
    );
  const tables = byKind(TABLES);
  const rows = (needLabels: boolean): TableRow[] =>
    tables.flatMap((file) =>
      readTable(file, {
        needLabels,
        ...(options.textColumn === undefined ? {} : { textColumn: options.textColumn }),
        ...(options.labelColumn === undefined ? {} : { labelColumn: options.labelColumn }),
      }),
    );
  if (options.task === 'text-class') {
    if (tables.length === 0)
      fail(
        'bad-data',
        `${name} holds no .csv or .jsonl (found: ${seen}); a text classifier needs rows of text and label.`,
      );
    return textClassDataset(name, rows(true), tokenizer, {
      seed: options.seed ?? 0,
      ...(options.labels ? { labels: options.labels } : {}),
    });
  }
  const texts = byKind(TEXTS);
  if (texts.length > 0) {
    const text = texts.map((file) => readText(file.bytes, file.path)).join('\n\n');
    return textDataset(
      name,
      text,
      tokenizer,
      options.heldShare === undefined ? {} : { heldShare: options.heldShare },
    );
  }
  if (tables.length === 0)
    fail(
      'bad-data',
      `${name} holds no text (found: ${seen}); give .txt, or .jsonl or .csv with a text column.`,
    );
  const documents = rows(false).map((row) => row.text);
  const cut =
    documents.length - Math.max(1, Math.round(documents.length * (options.heldShare ?? HELD_SHARE)));
  return documentsDataset(name, documents.slice(0, cut), documents.slice(cut), tokenizer);
}

/** Folders that name a split instead of a class. */
const SPLITS: Readonly<Record<string, 'train' | 'held'>> = {
  train: 'train',
  training: 'train',
  test: 'held',
  val: 'held',
  valid: 'held',
  validation: 'held',
  held: 'held',
};

async function openPictures(
  name: string,
  files: readonly DataFile[],
  size: PictureSize,
  options: { readonly seed: number; readonly labels?: readonly string[]; readonly decodeImage: ImageDecoder },
): Promise<ImageDataset> {
  const pictures: LabelledPicture[] = [];
  for (const file of files) {
    const folders = file.path.split('/').slice(0, -1);
    const label = folders.at(-1);
    const split = folders
      .slice(0, -1)
      .map((folder) => SPLITS[folder.toLowerCase()])
      .find((s) => s !== undefined);
    if (label === undefined)
      fail(
        'bad-data',
        `${file.path} has no label: it lies in no folder; put each class into a folder of its name.`,
      );
    if (!isPng(file.bytes) && options.decodeImage === decodePng)
      fail(
        'bad-data',
        `${file.path} is not a PNG; outside the browser only PNG is read, so convert it or use the page.`,
      );
    let image: Awaited<ReturnType<ImageDecoder>>;
    try {
      image = await options.decodeImage(file.bytes, file.path);
    } catch (cause) {
      return fail('bad-data', `${file.path} cannot be read as a picture: ${(cause as Error).message}`);
    }
    pictures.push({ pixels: toPixels(image, size), label: label!, ...(split ? { split } : {}) });
  }
  return picturesDataset(name, pictures, size, options);
}
