/** The examples of a dataset as lines of JSON: pictures as PNG, which is written here, texts as the very ids that the run saw. */
import { zlibSync } from 'fflate';
import { type BatchOptions, batch, exampleCount } from '../data/batches.ts';
import { IGNORED_LABEL } from '../data/tensors.ts';
import type { Dataset, ImageDataset, SplitName } from '../data/types.ts';
import { crc32 } from '../lib/bytes.ts';

export interface Rows {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Largest change of a sample (0 … 1) by keeping it in eight bits; 0 for texts. */
  readonly rounding: number;
}

/** Joins lines without ever holding the text in one string, which engines limit. */
function lines(count: number, line: (i: number) => unknown): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let i = 0; i < count; i++) {
    const part = encoder.encode(`${JSON.stringify(line(i))}\n`);
    parts.push(part);
    size += part.length;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function imageRows(dataset: ImageDataset, split: SplitName): Rows {
  const { width, height, labels } = dataset;
  const channels = dataset.channels === 3 ? 3 : 1;
  const source = dataset[split];
  let rounding = 0;
  const bytes = lines(source.count, (i) => {
    const samples = Uint8Array.from(source.pixels(i), (value) => {
      const rounded = Math.round(255 * Math.min(1, Math.max(0, value)));
      rounding = Math.max(rounding, Math.abs(rounded / 255 - value));
      return rounded;
    });
    return {
      image: base64(encodePng(samples, width, height, channels)),
      label: labels[source.label(i)],
    };
  });
  return { bytes, count: source.count, rounding };
}

/**
 * Rows of a split. Texts: `input_ids` up to their end, `text` for people, and either `label` (a class by name, or a number),
 * `labels` (one id per position, −100 where nothing counts, at the token itself rather than the one before), or neither where
 * every token is predicted from those before it.
 */
export function datasetRows(
  dataset: Dataset,
  split: SplitName,
  options: BatchOptions,
  decode: ((ids: ArrayLike<number>) => string) | null,
): Rows {
  if (dataset.kind === 'image') return imageRows(dataset, split);
  const names = 'labels' in dataset ? dataset.labels : [];
  const count = exampleCount(dataset, split, options);
  const bytes = lines(count, (i) => {
    const { inputs, labels } = batch(dataset, split, [i], options);
    const mask = inputs.attention_mask!.data;
    let length = mask.length;
    while (length > 0 && mask[length - 1] === 0) length--;
    const cut = (data: ArrayLike<number>) => Array.from(data).slice(0, length);
    const row: Record<string, unknown> = { input_ids: cut(inputs.input_ids!.data) };
    for (const [name, tensor] of Object.entries(inputs))
      if (name.endsWith('_ids') && name !== 'input_ids') row[name] = cut(tensor.data);
    const ids = row.input_ids as number[];
    if (dataset.kind === 'text-class') row.label = names[labels.data[0]!];
    else if (dataset.kind === 'text-value') row.label = labels.data[0];
    else if (dataset.kind === 'text' || dataset.kind === 'instruction') {
      const own = ids.map((_, t) => (t === 0 ? IGNORED_LABEL : labels.data[t - 1]!));
      if (own.some((label, t) => t > 0 && label !== ids[t])) row.labels = own;
    } else row.labels = cut(labels.data);
    if (decode) row.text = decode(ids);
    return row;
  });
  return { bytes, count, rounding: 0 };
}

// PNG of 8 bits a sample, grey or colour, for pictures that go into a project's data. After the W3C's specification, third edition.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

function chunk(type: string, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(body.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(body, 8);
  view.setUint32(body.length + 8, crc32(out.subarray(4, body.length + 8)));
  return out;
}

/**
 * @param samples [channels, height, width], 0 … 255, as models take them
 * @param channels 1 (grey) or 3 (red, green, blue)
 */
export function encodePng(
  samples: Uint8Array,
  width: number,
  height: number,
  channels: 1 | 3,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8;
  header[9] = channels === 1 ? 0 : 2;
  const row = width * channels + 1;
  const raw = new Uint8Array(row * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        raw[y * row + 1 + x * channels + c] = samples[(c * height + y) * width + x]!;
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', zlibSync(raw)),
    chunk('IEND', new Uint8Array(0)),
  ];
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
