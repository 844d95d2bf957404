/** Pictures where there is no browser: their size by their first bytes, and PNG and JPEG decoded, turned upright as their EXIF says. */
import { BOUNDS, within } from '../../lib/budget.ts';
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { type DecodedImage, decodePng, isPng } from './png.ts';

const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;

/** @throws PapilioError 'bad-data' when it is neither, or cannot be read; the message begins with `name` */
export async function decodePicture(bytes: Uint8Array, name = say`The picture`): Promise<DecodedImage> {
  if (isPng(bytes)) return decodePng(bytes, name);
  if (!isJpeg(bytes))
    return fail(
      'bad-data',
      say`${name} is neither PNG nor JPEG, which is all that is read outside the browser.`,
    );
  checkPicture(bytes, name);
  const { width = 0, height = 0 } = pictureCost(bytes) ?? {};
  within('jpegPixels', width * height, name, bytes.length);
  const { decode } = (await import('jpeg-js')).default;
  try {
    const image = decode(bytes, {
      useTArray: true,
      maxResolutionInMP: BOUNDS.picturePixels.never / 1e6,
      // Coefficients and samples of the largest picture that is taken.
      maxMemoryUsageInMB: 1536,
    });
    const { exifBuffer } = image as { readonly exifBuffer?: Uint8Array };
    return upright({ width: image.width, height: image.height, rgba: image.data }, orientationOf(exifBuffer));
  } catch (cause) {
    return fail(
      'bad-data',
      say`${name} is no JPEG that can be read: ${(cause as Error).message.replace(/\.$/, '')}.`,
    );
  }
}

/** EXIF's tag 0x0112 (1 to 8), 1 where it is missing. The library hands on what follows "Exif" and its first zero. */
function orientationOf(exif: Uint8Array | undefined): number {
  if (!exif) return 1;
  const at = 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const fits = (from: number, size: number) => at + from + size <= view.byteLength;
  if (!fits(0, 8)) return 1;
  const little = view.getUint16(at) === 0x4949;
  const first = view.getUint32(at + 4, little);
  if (!fits(first, 2)) return 1;
  const entries = view.getUint16(at + first, little);
  for (let i = 0; i < entries && fits(first + 2 + 12 * i, 12); i++) {
    const entry = at + first + 2 + 12 * i;
    if (view.getUint16(entry, little) === 0x0112) {
      const value = view.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

/** Mirrors and turns a picture stored in one of EXIF's eight ways. */
function upright(image: DecodedImage, orientation: number): DecodedImage {
  if (orientation === 1) return image;
  const { width: w, height: h, rgba } = image;
  const isTurned = orientation >= 5;
  const [width, height] = isTurned ? [h, w] : [w, h];
  const from = new Uint32Array(rgba.buffer, rgba.byteOffset, w * h);
  const to = new Uint32Array(w * h);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Where the upright picture's (x, y) lies in the stored one.
      const [along, down] = isTurned ? [y, x] : [x, y];
      const sx = [2, 3, 7, 8].includes(orientation) ? w - 1 - along : along;
      const sy = [3, 4, 6, 7].includes(orientation) ? h - 1 - down : down;
      to[y * width + x] = from[sy * w + sx]!;
    }
  }
  return { width, height, rgba: new Uint8Array(to.buffer) };
}

// The size of a picture by the first bytes of its file, and what decoding it may cost: sides, pixels, and for JPEG how often they are gone
// over. Looked at before a decoder, the browser's or our own, takes memory for them.

export interface PictureCost {
  readonly width: number;
  readonly height: number;
  /** How often a decoder goes over all of it. */
  readonly passes: number;
}

const ascii = (bytes: Uint8Array, at: number, text: string): boolean =>
  [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));

/** Of PNG, JPEG, GIF, BMP and WebP; null for others, and for files too short to tell. */
export function pictureCost(bytes: Uint8Array): PictureCost | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const once = (width: number, height: number): PictureCost => ({ width, height, passes: 1 });
  if (bytes.length < 26) return null;
  if (ascii(bytes, 1, 'PNG')) return once(view.getUint32(16), view.getUint32(20));
  if (ascii(bytes, 0, 'GIF8')) return gif(bytes, view);
  if (ascii(bytes, 0, 'BM'))
    // The first version of the format has 16 bits for a side.
    return view.getUint32(14, true) === 12
      ? once(view.getUint16(18, true), view.getUint16(20, true))
      : once(Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true)));
  if (ascii(bytes, 0, 'RIFF') && ascii(bytes, 8, 'WEBP')) return bytes.length < 30 ? null : webp(bytes, view);
  return bytes[0] === 0xff && bytes[1] === 0xd8 ? jpeg(bytes, view) : null;
}

/** The screen, or the frames where they reach beyond it: a decoder makes room for both. */
function gif(bytes: Uint8Array, view: DataView): PictureCost {
  let [width, height] = [view.getUint16(6, true), view.getUint16(8, true)];
  const colours = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  for (let at = 13 + colours(bytes[10]!); at + 10 < bytes.length; ) {
    if (bytes[at] === 0x2c) {
      const [left, top, across, down] = [1, 3, 5, 7].map((i) => view.getUint16(at + i, true)) as [
        number,
        number,
        number,
        number,
      ];
      width = Math.max(width, left + across);
      height = Math.max(height, top + down);
      // The table of colours, and the smallest code's size.
      at += 10 + colours(bytes[at + 9]!) + 1;
    } else if (bytes[at] === 0x21) at += 2;
    else break;
    while (at < bytes.length && bytes[at] !== 0) at += 1 + bytes[at]!;
    at++;
  }
  return { width, height, passes: 1 };
}

function webp(bytes: Uint8Array, view: DataView): PictureCost | null {
  const once = (width: number, height: number): PictureCost => ({ width, height, passes: 1 });
  const three = (at: number) => view.getUint16(at, true) + 65536 * view.getUint8(at + 2);
  if (ascii(bytes, 12, 'VP8X')) return once(three(24) + 1, three(27) + 1);
  if (ascii(bytes, 12, 'VP8 '))
    return once(view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff);
  if (!ascii(bytes, 12, 'VP8L')) return null;
  const bits = view.getUint32(21, true);
  return once((bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1);
}

/** The largest frame, and how many scans there are: a progressive picture is gone over by each. */
function jpeg(bytes: Uint8Array, view: DataView): PictureCost | null {
  let found: PictureCost | null = null;
  let passes = 0;
  for (let at = 2; at + 9 < bytes.length; ) {
    const code = bytes[at + 1]!;
    // In the data of a scan an 0xff stands before 0, a restart or a marker.
    if (bytes[at] !== 0xff || code === 0 || code === 0xff || (code >= 0xd0 && code <= 0xd9)) {
      at++;
      continue;
    }
    const isFrame = code >= 0xc0 && code <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(code);
    if (isFrame) {
      const [height, width] = [view.getUint16(at + 5), view.getUint16(at + 7)];
      if (!found || width * height > found.width * found.height) found = { width, height, passes: 1 };
    }
    if (code === 0xda) passes++;
    at += 2 + view.getUint16(at + 2);
  }
  return found && { ...found, passes: Math.max(1, passes) };
}

/**
 * Counts a picture before it is decoded. What does not say its size is not decoded: there are formats that only browsers know.
 * @throws PapilioError 'too-large' naming the picture; 'bad-data' where its size is not to be read
 */
export function checkPicture(bytes: Uint8Array, name: string): void {
  const cost =
    pictureCost(bytes) ??
    fail('bad-data', say`${name} is no PNG, JPEG, WebP, GIF or BMP whose size can be read.`);
  const { width, height, passes } = cost;
  within('pictureSide', Math.max(width, height), name);
  within('picturePixels', width * height, name, bytes.length);
  within('picturePasses', passes, name);
}
