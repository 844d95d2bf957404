/** Pictures where there is a browser: whatever it reads, turned upright as it does. */
import { within } from '../../lib/budget.ts';
import { fail } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { type DecodedImage, MAX_PIXELS } from './png.ts';

/** @throws PapilioError 'bad-data' for what the browser cannot read, 'too-large' for more pixels than are taken */
export async function decodeInBrowser(bytes: Uint8Array, name: string): Promise<DecodedImage> {
  // The bytes of the file, as other decoders give them: no change to the screen's colours.
  const bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]), {
    colorSpaceConversion: 'none',
  }).catch(() => null);
  if (!bitmap) return fail('bad-data', say`${name} is no picture that this browser can read.`);
  // Whatever the file said of its size before.
  within('picturePixels', bitmap.width * bitmap.height, name, bytes.length);
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.floor(bitmap.width * scale));
  const height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = new OffscreenCanvas(width, height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { width, height, rgba: context.getImageData(0, 0, width, height).data };
}
