/** Pictures where there is no browser: PNG and JPEG, turned upright as their EXIF says. */
import { BOUNDS, within } from '../../lib/budget.ts';
import { fail } from '../../lib/errors.ts';
import { checkPicture, pictureCost } from './pictureSize.ts';
import { type DecodedImage, decodePng, isPng } from './png.ts';

const isJpeg = (bytes: Uint8Array): boolean => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;

/** @throws PapilioError 'bad-data' when it is neither, or cannot be read; the message begins with `name` */
export async function decodePicture(bytes: Uint8Array, name = 'The picture'): Promise<DecodedImage> {
  if (isPng(bytes)) return decodePng(bytes, name);
  if (!isJpeg(bytes))
    return fail(
      'bad-data',
      `${name} is neither PNG nor JPEG, which is all that is read outside the browser.`,
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
      `${name} is no JPEG that can be read: ${(cause as Error).message.replace(/\.$/, '')}.`,
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
