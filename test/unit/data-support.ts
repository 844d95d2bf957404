// Small files made by hand for the reader tests: pictures, IDX arrays, a tokenizer.

import { zlibSync } from 'fflate';
import { type Found, type OpenOptions, openDataset } from '../../src/data/files/open.ts';
import { preprocessingOf } from '../../src/data/preprocessing.ts';
import { loadTokenizer } from '../../src/data/tokenizer.ts';
import { crc32, type InputFile } from '../../src/lib/bytes.ts';
import { trainBpe } from '../../tools/pretrain/bpe.ts';

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const file = (path: string, content: string | Uint8Array): InputFile => ({
  name: path,
  bytes: typeof content === 'string' ? utf8(content) : content,
});
export const tokenizer = loadTokenizer(trainBpe(['a tale of words and more words'], { vocabSize: 300 }));
const size = { width: 4, height: 4, channels: 1 };
export const asText: OpenOptions = { task: 'text', tokenizer };
export const asClasses: OpenOptions = { task: 'text-class', tokenizer };
export const asPictures: OpenOptions = { task: 'image', preprocessing: preprocessingOf({}, {}, size) };

/** A PNG of `rows` bytes per line, one filter byte per line given. */
export function png(
  width: number,
  height: number,
  options: {
    depth?: number;
    colour: number;
    rows: number[][];
    filters?: number[];
    palette?: number[];
    alpha?: number[];
    interlace?: number;
  },
): Uint8Array {
  const chunk = (type: string, body: Uint8Array): number[] => {
    const bytes = new Uint8Array(12 + body.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, body.length);
    bytes.set(utf8(type), 4);
    bytes.set(body, 8);
    view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)));
    return [...bytes];
  };
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([options.depth ?? 8, options.colour, 0, 0, options.interlace ?? 0], 8);
  const raw = options.rows.flatMap((row, y) => [options.filters?.[y] ?? 0, ...row]);
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk('IHDR', header),
    ...(options.palette ? chunk('PLTE', Uint8Array.from(options.palette)) : []),
    ...(options.alpha ? chunk('tRNS', Uint8Array.from(options.alpha)) : []),
    ...chunk('IDAT', zlibSync(Uint8Array.from(raw))),
    ...chunk('IEND', new Uint8Array()),
  ]);
}

export function idx(shape: number[], data: number[]): Uint8Array {
  const out = new Uint8Array(4 + 4 * shape.length + data.length);
  out.set([0, 0, 8, shape.length]);
  shape.forEach((d, i) => {
    new DataView(out.buffer).setUint32(4 + 4 * i, d);
  });
  out.set(data, 4 + 4 * shape.length);
  return out;
}

export const grey = (value: number) =>
  png(2, 2, {
    colour: 0,
    rows: [
      [value, value],
      [value, value],
    ],
  });

/** A dataset with the notes that reading it left. */
export async function opened<T>(
  files: readonly InputFile[],
  options: OpenOptions,
): Promise<{ set: T; notes: string; found: Found }> {
  const found: Found = { notes: [] };
  const set = (await openDataset(files, options, found)) as T;
  return { set, notes: found.notes.join('\n'), found };
}

/** A table of two classes, and the same as lines of JSON. */
export const rows = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ text: `text ${i}`, label: `class ${i % 2}` }));
export const lines = (n: number) => rows(n).map((row) => JSON.stringify(row));

/** Lines 0 … n − 1. */
export const times = (n: number, make: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => make(i)).join('\n');

/** A picture that only browsers decode: one pixel. */
export const GIF = `GIF89a\x01\0\x01${'\0'.repeat(24)}`;
