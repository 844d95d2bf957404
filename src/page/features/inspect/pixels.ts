/** Colours as a canvas keeps them. */

/** Alpha, blue, green and red, from the highest byte down. */
export type Pixel = number;

export const pixelOf = (red: number, green: number, blue: number, alpha = 255): Pixel =>
  ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/** A colour of a stylesheet as #rrggbb, or as #rgb, which a build makes of it where it can. */
export function pixelOfHex(color: string, alpha = 255): Pixel {
  const digits = color.trim().slice(1);
  const long = digits.length === 3 ? [...digits].map((digit) => digit + digit).join('') : digits;
  const hex = Number.parseInt(long, 16);
  return pixelOf((hex >> 16) & 255, (hex >> 8) & 255, hex & 255, alpha);
}

/** What is drawn on where pixels are put, and not shapes drawn: they stay on the processor's side, where a frame has them for less. */
export const pixelContext = (canvas: HTMLCanvasElement): CanvasRenderingContext2D | null =>
  canvas.getContext('2d', { willReadFrequently: true });
