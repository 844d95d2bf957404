/** Pen strokes of a character in the unit square (x right, y down), as data: straight pieces, smooth curves through points, and arcs of an ellipse. */

export type Stroke =
  | { readonly kind: 'line' | 'curve'; readonly points: readonly number[] }
  | { readonly kind: 'arc'; readonly points: readonly number[]; readonly from: number; readonly to: number };

/** One way of writing a character. */
export type Skeleton = readonly Stroke[];

/** A polyline through x0, y0, x1, y1, … */
export const line = (...points: number[]): Stroke => ({ kind: 'line', points });

/** A smooth curve (Catmull-Rom) through x0, y0, x1, y1, … */
export const curve = (...points: number[]): Stroke => ({ kind: 'curve', points });

/** A part of an ellipse: centre, radii, angles in degrees, 0 to the right, 90 down. */
export const arc = (cx: number, cy: number, rx: number, ry: number, from = 0, to = 360): Stroke => ({
  kind: 'arc',
  points: [cx, cy, rx, ry],
  from,
  to,
});

const STEPS_PER_SPAN = 5;
const DEGREES_PER_STEP = 18;

/** The stroke as a polyline x0, y0, x1, y1, …, its defining numbers first passed through `move`, so that a moved curve stays smooth. */
export function flatten(stroke: Stroke, move: (value: number) => number): number[] {
  const p = stroke.points.map(move);
  if (stroke.kind === 'line') return p;
  const out: number[] = [];
  if (stroke.kind === 'arc') {
    const [cx = 0, cy = 0, rx = 0, ry = 0] = p;
    const steps = Math.max(2, Math.ceil(Math.abs(stroke.to - stroke.from) / DEGREES_PER_STEP));
    for (let s = 0; s <= steps; s++) {
      const angle = ((stroke.from + ((stroke.to - stroke.from) * s) / steps) * Math.PI) / 180;
      out.push(cx + rx * Math.cos(angle), cy + ry * Math.sin(angle));
    }
    return out;
  }
  const n = p.length / 2;
  const at = (k: number, axis: number): number => p[2 * Math.min(n - 1, Math.max(0, k)) + axis]!;
  for (let k = 0; k < n - 1; k++) {
    for (let s = 0; s < STEPS_PER_SPAN; s++) {
      const t = s / STEPS_PER_SPAN;
      for (let axis = 0; axis < 2; axis++) {
        const a = at(k - 1, axis);
        const b = at(k, axis);
        const c = at(k + 1, axis);
        const d = at(k + 2, axis);
        out.push(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
      }
    }
  }
  out.push(at(n - 1, 0), at(n - 1, 1));
  return out;
}
