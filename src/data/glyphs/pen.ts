/**
 * The pen: polylines in pixels → a field of distances → ink. `field[p]` is the distance from pixel p's centre to the
 * nearest stroke less half that stroke's width, so ink is where it is below zero and every nib (solid, hollow, double)
 * is a function of it. Anti-aliasing is the usual half-pixel ramp.
 */
export const FAR = 8;

/** Lowers `field` [size·size] by the segment (x0, y0)–(x1, y1) of width 2·half, in pixels. */
export function addSegment(
  field: Float32Array,
  size: number,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  half: number,
): void {
  const reach = half + 3.5;
  const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
  const right = Math.min(size - 1, Math.ceil(Math.max(x0, x1) + reach));
  const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
  const bottom = Math.min(size - 1, Math.ceil(Math.max(y0, y1) + reach));
  const dx = x1 - x0;
  const dy = y1 - y0;
  const inverse = 1 / Math.max(1e-9, dx * dx + dy * dy);
  for (let y = top; y <= bottom; y++) {
    const py = y + 0.5 - y0;
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - x0;
      const t = Math.min(1, Math.max(0, (px * dx + py * dy) * inverse));
      const ex = px - t * dx;
      const ey = py - t * dy;
      const d = Math.sqrt(ex * ex + ey * ey) - half;
      const p = y * size + x;
      if (d < field[p]!) field[p] = d;
    }
  }
}

const clamp01 = (x: number): number => Math.min(1, Math.max(0, x));

/** Ink of a solid nib at field value f. */
export const solid = (f: number): number => clamp01(0.5 - f);

/** Ink of a hollow nib: only a wall of width `wall` along the stroke's edge. */
export const hollow = (f: number, wall: number): number => clamp01(0.5 + wall / 2 - Math.abs(f + wall / 2));

/** A 3 × 3 binomial blur of `pixels` [size·size], mixed in by `amount` 0 … 1; edges repeat. */
export function blur(pixels: Float32Array, size: number, amount: number): void {
  const rows = new Float32Array(pixels.length);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const p = y * size + x;
      const l = pixels[x > 0 ? p - 1 : p]!;
      const r = pixels[x < size - 1 ? p + 1 : p]!;
      rows[p] = 0.25 * (l + r) + 0.5 * pixels[p]!;
    }
  }
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const p = y * size + x;
      const u = rows[y > 0 ? p - size : p]!;
      const d = rows[y < size - 1 ? p + size : p]!;
      pixels[p] = (1 - amount) * pixels[p]! + amount * (0.25 * (u + d) + 0.5 * rows[p]!);
    }
  }
}
