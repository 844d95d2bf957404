/**
 * A PNG decoder for where there is no browser: every colour type at 1, 2, 4, 8 and 16 bits (16 keeps the high byte),
 * with palette and transparency, not interlaced. After the W3C's PNG specification, third edition.
 */
import { unzlibSync } from 'fflate';
import { within } from '../../lib/budget.ts';
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';

export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  /** [height, width, 4], 0 … 255, alpha not multiplied in. */
  readonly rgba: Uint8Array | Uint8ClampedArray;
}

/**
 * Makes pixels of an encoded picture; {@link decodePng}, or the browser's own decoder, which knows JPEG too.
 * @throws when it is none; the message begins with `name`
 */
export type ImageDecoder = (bytes: Uint8Array, name: string) => DecodedImage | Promise<DecodedImage>;

/** Larger pictures are made smaller by the browser, which decodes them itself. */
export const MAX_PIXELS = 1 << 24;

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

export const isPng = (bytes: Uint8Array): boolean => SIGNATURE.every((b, i) => bytes[i] === b);

export function decodePng(bytes: Uint8Array, name = say`The picture`): DecodedImage {
  const bad = (why: string): never => fail('bad-data', say`${name} is not a PNG that can be read: ${why}.`);
  if (!isPng(bytes)) bad(say`it does not begin as a PNG does`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packed: Uint8Array[] = [];
  let header: { width: number; height: number; depth: number; colour: number } | undefined;
  let palette: Uint8Array | undefined;
  let transparent: Uint8Array | undefined;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) bad(say`it is cut short in its ${type} part`);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') {
      if (length !== 13) bad(say`its header has the wrong length`);
      header = {
        width: view.getUint32(at + 8),
        height: view.getUint32(at + 12),
        depth: body[8]!,
        colour: body[9]!,
      };
      if (body[12] !== 0) bad(say`it is interlaced; save it without interlacing`);
    } else if (type === 'PLTE') palette = body;
    else if (type === 'tRNS') transparent = body;
    else if (type === 'IDAT') packed.push(body);
    else if (type === 'IEND') break;
    at += 12 + length;
  }
  if (!header) return bad(say`it has no header`);
  const { width, height, depth, colour } = header;
  const channels = CHANNELS[colour];
  if (channels === undefined || ![1, 2, 4, 8, 16].includes(depth))
    return bad(say`its colour type is unknown`);
  if (depth < 8 && channels > 1) bad(say`its bit depth does not fit its colour type`);
  if (colour === 3 && !palette) bad(say`it has no palette`);
  if (width === 0 || height === 0) bad(say`it has no pixels`);
  within('pictureSide', Math.max(width, height), name);
  within('picturePixels', width * height, name, bytes.length);

  const rowBytes = Math.ceil((width * channels * depth) / 8);
  const expected = height * (rowBytes + 1);
  const data = concat(packed);
  // Before memory is taken: deflate cannot shrink further than this.
  if (expected > 1032 * data.length + 64) bad(say`its data ends too early`);
  let raw: Uint8Array;
  try {
    // One byte more than the picture needs: data that goes on is seen, and never grows the buffer.
    raw = unzlibSync(data, { out: new Uint8Array(expected + 1) });
  } catch (cause) {
    return bad(say`its data cannot be unpacked (${(cause as Error).message})`);
  }
  if (raw.length < expected) bad(say`its data ends too early`);
  const samples = unfilter(raw, height, rowBytes, Math.max(1, (channels * depth) >> 3), bad);
  return { width, height, rgba: toRgba(samples, header, channels, rowBytes, palette, transparent) };
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Undoes the row filters where they stand: raw [height, 1 + rowBytes] → [height, rowBytes]. */
function unfilter(
  raw: Uint8Array,
  height: number,
  rowBytes: number,
  step: number,
  bad: (why: string) => never,
): Uint8Array {
  // A row is written before where it is read.
  const out = raw;
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (rowBytes + 1)]!;
    if (filter > 4) bad(say`row ${y + 1} has the unknown filter ${filter}`);
    const from = y * (rowBytes + 1) + 1;
    const to = y * rowBytes;
    for (let x = 0; x < rowBytes; x++) {
      const left = x >= step ? out[to + x - step]! : 0;
      const up = y > 0 ? out[to + x - rowBytes]! : 0;
      const corner = x >= step && y > 0 ? out[to + x - rowBytes - step]! : 0;
      let guess = 0;
      if (filter === 1) guess = left;
      else if (filter === 2) guess = up;
      else if (filter === 3) guess = (left + up) >> 1;
      else if (filter === 4) {
        const p = left + up - corner;
        const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
        guess = a <= b && a <= c ? left : b <= c ? up : corner;
      }
      out[to + x] = (raw[from + x]! + guess) & 255;
    }
  }
  return out.subarray(0, height * rowBytes);
}

function toRgba(
  samples: Uint8Array,
  { width, height, depth, colour }: { width: number; height: number; depth: number; colour: number },
  channels: number,
  rowBytes: number,
  palette: Uint8Array | undefined,
  transparent: Uint8Array | undefined,
): Uint8Array {
  const rgba = new Uint8Array(width * height * 4);
  const largest = (1 << depth) - 1;
  /** Sample k of a row: the packed value below 8 bits, the high byte above. */
  const at = (row: number, k: number): number => {
    if (depth === 8) return samples[row + k]!;
    if (depth === 16) return samples[row + 2 * k]!;
    const bit = k * depth;
    return (samples[row + (bit >> 3)]! >> (8 - depth - (bit & 7))) & largest;
  };
  for (let y = 0; y < height; y++) {
    const row = y * rowBytes;
    for (let x = 0; x < width; x++) {
      const to = (y * width + x) * 4;
      const k = x * channels;
      const first = at(row, k);
      if (colour === 3) {
        for (let c = 0; c < 3; c++) rgba[to + c] = palette![first * 3 + c] ?? 0;
        rgba[to + 3] = transparent?.[first] ?? 255;
      } else if (channels <= 2) {
        rgba.fill(depth < 8 ? Math.round((first * 255) / largest) : first, to, to + 3);
        rgba[to + 3] = channels === 2 ? at(row, k + 1) : 255;
      } else {
        for (let c = 0; c < 3; c++) rgba[to + c] = at(row, k + c);
        rgba[to + 3] = channels === 4 ? at(row, k + 3) : 255;
      }
    }
  }
  return rgba;
}
