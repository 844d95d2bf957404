/**
 * Glyph datasets, drawn when asked for: example i of a split is a function of (seed, split, i) alone, classes in turn,
 * so every split is balanced and nothing is stored. 32 × 32, one channel.
 */
import { type Rng, rng } from '../lib/rng.ts';
import type { ImageDataset, ImageSplit } from './types.ts';

// Pen strokes of a character in the unit square (x right, y down), as data: straight pieces, smooth curves through
// points, and arcs of an ellipse. {@link flatten} turns them into polylines; points are moved before that, so that a
// moved curve stays smooth.

export type Stroke =
  | { readonly kind: 'line' | 'curve'; readonly points: readonly number[] }
  | { readonly kind: 'arc'; readonly points: readonly number[]; readonly from: number; readonly to: number };

/** One way of writing a character. */
export type Skeleton = readonly Stroke[];

/** A polyline through x0, y0, x1, y1, … */
const line = (...points: number[]): Stroke => ({ kind: 'line', points });

/** A smooth curve (Catmull-Rom) through x0, y0, x1, y1, … */
const curve = (...points: number[]): Stroke => ({ kind: 'curve', points });

/** A part of an ellipse: centre, radii, angles in degrees, 0 to the right, 90 down. */
const arc = (cx: number, cy: number, rx: number, ry: number, from = 0, to = 360): Stroke => ({
  kind: 'arc',
  points: [cx, cy, rx, ry],
  from,
  to,
});

const STEPS_PER_SPAN = 5;
const DEGREES_PER_STEP = 18;

/** The stroke as a polyline x0, y0, x1, y1, …, its defining numbers first passed through `move`. */
function flatten(stroke: Stroke, move: (value: number) => number): number[] {
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

// The pen: polylines in pixels → a field of distances → ink. `field[p]` is the distance from pixel p's centre to the
// nearest stroke less half that stroke's width, so ink is where it is below zero and every nib (solid, hollow, double)
// is a function of it. Anti-aliasing is the usual half-pixel ramp.

const FAR = 8;

/** Lowers `field` [size·size] by the segment (x0, y0)–(x1, y1) of width 2·half, in pixels. */
function addSegment(
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
const solid = (f: number): number => clamp01(0.5 - f);

/** Ink of a hollow nib: only a wall of width `wall` along the stroke's edge. */
const hollow = (f: number, wall: number): number => clamp01(0.5 + wall / 2 - Math.abs(f + wall / 2));

/** A 3 × 3 binomial blur of `pixels` [size·size], mixed in by `amount` 0 … 1; edges repeat. */
function blur(pixels: Float32Array, size: number, amount: number): void {
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

// One example: a skeleton written by a random hand. `plain` is the hand of pretraining (light on dark, as scanned
// digits are); `wild` keeps the shapes and changes everything else: hollow, doubled, dotted or broad-nibbed strokes,
// turned further, dark on light, on stripes, checks, slopes and clouds.

export type Hand = 'plain' | 'wild';

type Nib = 'solid' | 'hollow' | 'dotted' | 'broad' | 'shadow' | 'beads';

/** Draws `skeleton` into `out` [size·size], values 0 … 1. All that varies comes from `r`. */
function drawGlyph(out: Float32Array, size: number, skeleton: Skeleton, hand: Hand, r: Rng): void {
  const wild = hand === 'wild';
  const nib: Nib = wild
    ? r.pick(['solid', 'hollow', 'hollow', 'dotted', 'broad', 'shadow', 'beads'] as const)
    : 'solid';
  const half = wild ? r.between(0.7, 1.5) + (nib === 'hollow' ? 0.9 : 0) : r.between(0.55, 1.9);
  const lines = place(skeleton, size, r, wild ? 0.55 : 0.18, wild ? 0.3 : 0.32, wild ? 0.03 : 0.022);

  const field = new Float32Array(size * size).fill(FAR);
  for (const points of lines) trace(field, size, points, nib, half, r.between(0, Math.PI));
  const wall = r.between(0.9, 1.4);
  for (let p = 0; p < out.length; p++) out[p] = nib === 'hollow' ? hollow(field[p]!, wall) : solid(field[p]!);
  if (nib === 'shadow') addShadow(out, field, size, r);
  if (wild) {
    for (let p = 0; p < out.length; p++) field[p] = out[p]!;
    overBackground(out, field, size, r);
  } else {
    const ink = r.between(0.72, 1);
    const ground = r.chance(0.3) ? r.between(0, 0.12) : 0;
    for (let p = 0; p < out.length; p++) out[p] = ground + (ink - ground) * out[p]!;
  }
  if (r.chance(0.5)) blur(out, size, r.between(0.2, wild ? 0.6 : 1));
  const grain = r.chance(0.4) ? 0 : r.between(0, wild ? 0.1 : 0.09);
  for (let p = 0; p < out.length; p++) {
    // A sum of two uniforms: near enough to grain, and no logarithm a pixel.
    const v = grain === 0 ? out[p]! : out[p]! + grain * 2.4 * (r.uniform() + r.uniform() - 1);
    out[p] = Math.min(1, Math.max(0, v));
  }
}

/** The strokes as polylines in pixels: jittered, bent, slanted, turned, scaled and moved. */
function place(
  skeleton: Skeleton,
  size: number,
  r: Rng,
  turnMost: number,
  slantMost: number,
  jitter: number,
): number[][] {
  const height = size * r.between(0.6, 0.84);
  const width = height * r.between(0.62, 0.98);
  const turn = r.between(-turnMost, turnMost);
  const slant = r.between(-0.12, slantMost);
  const cos = Math.cos(turn);
  const sin = Math.sin(turn);
  const slackX = Math.max(0, size - width) / 2;
  const slackY = Math.max(0, size - height) / 2;
  const x0 = size / 2 + slackX * r.between(-0.3, 0.3);
  const y0 = size / 2 + slackY * r.between(-0.45, 0.45);
  const bend = r.between(-0.05, 0.05);
  const wave = r.between(-0.035, 0.035);
  const phase = r.between(0, 6.283);
  const nudge = (value: number): number => value + jitter * r.normal();
  return skeleton.map((stroke) => {
    const points = flatten(stroke, nudge);
    for (let k = 0; k + 1 < points.length; k += 2) {
      const u = points[k]! - 0.5;
      const v = points[k + 1]! - 0.5;
      const bentU = u + bend * (4 * v * v - 0.5) + wave * Math.sin(6 * v + phase);
      const bentV = v + wave * Math.sin(5 * u + 2 * phase);
      const x = (bentU - slant * bentV) * width;
      const y = bentV * height;
      points[k] = x0 + cos * x - sin * y;
      points[k + 1] = y0 + sin * x + cos * y;
    }
    return points;
  });
}

/** Draws one polyline with the nib. */
function trace(
  field: Float32Array,
  size: number,
  points: number[],
  nib: Nib,
  half: number,
  angle: number,
): void {
  let travelled = 0;
  for (let k = 0; k + 3 < points.length; k += 2) {
    const x0 = points[k]!;
    const y0 = points[k + 1]!;
    const x1 = points[k + 2]!;
    const y1 = points[k + 3]!;
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (nib === 'dotted') {
      const gap = 2 * half + 1;
      for (let s = (gap - (travelled % gap)) % gap; s <= length; s += gap) {
        const x = x0 + ((x1 - x0) * s) / Math.max(1e-6, length);
        const y = y0 + ((y1 - y0) * s) / Math.max(1e-6, length);
        addSegment(field, size, x, y, x, y, half);
      }
      travelled += length;
    } else if (nib === 'broad') {
      const across = Math.abs(Math.sin(Math.atan2(y1 - y0, x1 - x0) - angle));
      addSegment(field, size, x0, y0, x1, y1, 0.45 + 1.9 * across);
    } else {
      addSegment(field, size, x0, y0, x1, y1, nib === 'beads' ? 0.55 : half);
    }
  }
  if (nib === 'beads') {
    const last = points.length - 2;
    addSegment(field, size, points[0]!, points[1]!, points[0]!, points[1]!, half + 1.1);
    addSegment(field, size, points[last]!, points[last + 1]!, points[last]!, points[last + 1]!, half + 1.1);
  }
}

/** A fainter copy of the strokes, two or three pixels down and aside. */
function addShadow(out: Float32Array, field: Float32Array, size: number, r: Rng): void {
  const dx = r.pick([-3, -2, 2, 3]);
  const dy = r.pick([2, 3]);
  for (let y = dy; y < size; y++) {
    for (let x = Math.max(0, dx); x < Math.min(size, size + dx); x++) {
      const p = y * size + x;
      out[p] = Math.max(out[p]!, 0.5 * solid(field[p - dy * size - dx]!));
    }
  }
}

/** Lays `ink` over a ground of its own, light on dark or dark on light, with a contrast that stays readable. */
function overBackground(out: Float32Array, ink: Float32Array, size: number, r: Rng): void {
  const dark = r.chance(0.5);
  const kind = r.int(5);
  const angle = r.between(0, Math.PI);
  const cx = Math.cos(angle);
  const cy = Math.sin(angle);
  const period = r.between(3.5, 9);
  const phase = r.between(0, 6.283);
  const strength = r.between(0.1, 0.3);
  const base = r.between(0, 0.12);
  const top = r.between(0.82, 1);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const u = cx * x + cy * y;
      const v = cy * x - cx * y;
      let g = 0;
      if (kind === 1) g = Math.sin((6.283 * u) / period + phase) > 0 ? 1 : 0;
      else if (kind === 2) g = Math.sin((6.283 * u) / period) * Math.sin((6.283 * v) / period) > 0 ? 1 : 0;
      else if (kind === 3) g = 0.5 + (u - (size * (cx + cy)) / 2) / size;
      else if (kind === 4) g = 0.5 + 0.25 * (Math.sin(u / 3 + phase) + Math.sin(v / 4.3 + 2 * phase));
      const p = y * size + x;
      const ground = base + strength * Math.min(1, Math.max(0, g));
      const value = ground + (top - ground) * ink[p]!;
      out[p] = dark ? 1 - value : value;
    }
  }
}

// How the ten digits are written; several hands each, since people do not agree about 1, 4 and 7.

const digits: Readonly<Record<string, readonly Skeleton[]>> = {
  0: [
    [arc(0.5, 0.5, 0.33, 0.45)],
    [arc(0.5, 0.5, 0.24, 0.45)],
    [curve(0.58, 0.06, 0.3, 0.2, 0.2, 0.55, 0.36, 0.92, 0.62, 0.9, 0.8, 0.55, 0.72, 0.18, 0.5, 0.08)],
    [arc(0.5, 0.5, 0.36, 0.4)],
  ],
  1: [
    [line(0.5, 0.05, 0.5, 0.95)],
    [line(0.3, 0.25, 0.53, 0.05, 0.53, 0.95)],
    [line(0.3, 0.25, 0.52, 0.05, 0.52, 0.95), line(0.28, 0.95, 0.76, 0.95)],
    [line(0.56, 0.05, 0.46, 0.95)],
  ],
  2: [
    [
      curve(0.22, 0.25, 0.36, 0.08, 0.6, 0.06, 0.76, 0.22, 0.68, 0.45, 0.45, 0.7, 0.2, 0.93),
      line(0.2, 0.93, 0.82, 0.93),
    ],
    [
      curve(
        ...[
          0.22, 0.22, 0.45, 0.05, 0.74, 0.2, 0.64, 0.5, 0.32, 0.86, 0.18, 0.88, 0.24, 0.76, 0.48, 0.84, 0.82,
          0.93,
        ],
      ),
    ],
    [
      curve(0.24, 0.16, 0.5, 0.05, 0.74, 0.22, 0.62, 0.52, 0.24, 0.92),
      curve(0.24, 0.92, 0.5, 0.84, 0.82, 0.9),
    ],
  ],
  3: [
    [
      curve(0.24, 0.16, 0.46, 0.05, 0.71, 0.17, 0.66, 0.38, 0.44, 0.47),
      curve(0.44, 0.47, 0.72, 0.54, 0.77, 0.77, 0.5, 0.95, 0.22, 0.86),
    ],
    [
      line(0.24, 0.07, 0.74, 0.07, 0.46, 0.42),
      curve(0.46, 0.42, 0.72, 0.5, 0.77, 0.76, 0.5, 0.95, 0.22, 0.86),
    ],
    [
      curve(
        ...[
          0.26, 0.1, 0.55, 0.04, 0.72, 0.2, 0.6, 0.4, 0.4, 0.46, 0.64, 0.52, 0.74, 0.72, 0.56, 0.92, 0.22,
          0.93,
        ],
      ),
    ],
  ],
  4: [
    [line(0.3, 0.06, 0.18, 0.56, 0.84, 0.56), line(0.64, 0.3, 0.62, 0.95)],
    [line(0.64, 0.95, 0.64, 0.05, 0.16, 0.66, 0.86, 0.66)],
    [curve(0.26, 0.06, 0.22, 0.36, 0.34, 0.52, 0.66, 0.48), line(0.72, 0.06, 0.66, 0.95)],
    [line(0.32, 0.05, 0.22, 0.5, 0.74, 0.5), line(0.74, 0.05, 0.74, 0.95)],
  ],
  5: [
    [
      line(0.76, 0.07, 0.32, 0.07, 0.28, 0.44),
      curve(0.28, 0.44, 0.52, 0.37, 0.77, 0.56, 0.72, 0.82, 0.46, 0.95, 0.2, 0.86),
    ],
    [
      curve(0.34, 0.07, 0.28, 0.42, 0.6, 0.46, 0.72, 0.7, 0.56, 0.93, 0.24, 0.93),
      line(0.34, 0.07, 0.8, 0.05),
    ],
    [line(0.74, 0.06, 0.3, 0.06, 0.3, 0.46), curve(0.3, 0.46, 0.7, 0.46, 0.72, 0.88, 0.24, 0.92)],
  ],
  6: [
    [
      curve(
        0.68,
        0.07,
        0.42,
        0.2,
        0.26,
        0.5,
        0.28,
        0.8,
        0.5,
        0.95,
        0.73,
        0.8,
        0.7,
        0.58,
        0.5,
        0.5,
        0.29,
        0.66,
      ),
    ],
    [curve(0.5, 0.05, 0.28, 0.4, 0.26, 0.72), arc(0.5, 0.7, 0.25, 0.24)],
    [curve(0.62, 0.05, 0.36, 0.3, 0.24, 0.68, 0.42, 0.94, 0.68, 0.86, 0.7, 0.66, 0.48, 0.6, 0.28, 0.78)],
  ],
  7: [
    [line(0.2, 0.07, 0.79, 0.07, 0.42, 0.95)],
    [line(0.2, 0.07, 0.79, 0.07, 0.42, 0.95), line(0.34, 0.5, 0.74, 0.5)],
    [line(0.2, 0.08, 0.76, 0.08), curve(0.76, 0.08, 0.56, 0.46, 0.48, 0.95)],
    [line(0.22, 0.22, 0.22, 0.07, 0.78, 0.07, 0.48, 0.95)],
  ],
  8: [
    [arc(0.5, 0.27, 0.22, 0.21), arc(0.5, 0.71, 0.28, 0.24)],
    [
      curve(
        ...[0.72, 0.18, 0.52, 0.05, 0.3, 0.2, 0.44, 0.42, 0.66, 0.58, 0.7, 0.82, 0.5, 0.95],
        ...[0.28, 0.82, 0.36, 0.58, 0.6, 0.4, 0.72, 0.18],
      ),
    ],
    [arc(0.5, 0.28, 0.25, 0.22), arc(0.5, 0.72, 0.25, 0.22)],
  ],
  9: [
    [arc(0.48, 0.3, 0.24, 0.24), line(0.72, 0.26, 0.68, 0.95)],
    [arc(0.48, 0.3, 0.24, 0.24), curve(0.72, 0.26, 0.73, 0.6, 0.6, 0.88, 0.3, 0.93)],
    [
      curve(0.72, 0.16, 0.5, 0.05, 0.28, 0.2, 0.34, 0.48, 0.58, 0.48, 0.72, 0.18),
      line(0.72, 0.18, 0.6, 0.95),
    ],
  ],
};

// How the 26 capital letters are written; a second hand where handwriting has a common one.

const letters: Readonly<Record<string, readonly Skeleton[]>> = {
  A: [
    [line(0.12, 0.95, 0.5, 0.05, 0.88, 0.95), line(0.27, 0.62, 0.73, 0.62)],
    [curve(0.15, 0.95, 0.2, 0.4, 0.5, 0.05, 0.8, 0.4, 0.85, 0.95), line(0.18, 0.58, 0.82, 0.58)],
  ],
  B: [
    [
      line(0.2, 0.05, 0.2, 0.95),
      curve(0.2, 0.05, 0.6, 0.07, 0.7, 0.26, 0.56, 0.44, 0.2, 0.47),
      curve(0.2, 0.47, 0.66, 0.5, 0.8, 0.7, 0.64, 0.92, 0.2, 0.95),
    ],
  ],
  C: [
    [arc(0.55, 0.5, 0.38, 0.45, -45, -315)],
    [curve(0.8, 0.14, 0.45, 0.06, 0.18, 0.5, 0.45, 0.94, 0.82, 0.84)],
  ],
  D: [
    [line(0.2, 0.05, 0.2, 0.95), curve(0.2, 0.05, 0.62, 0.1, 0.84, 0.5, 0.62, 0.9, 0.2, 0.95)],
    [line(0.26, 0.05, 0.26, 0.95), curve(0.14, 0.06, 0.66, 0.14, 0.82, 0.52, 0.6, 0.9, 0.14, 0.95)],
  ],
  E: [
    [line(0.8, 0.05, 0.2, 0.05, 0.2, 0.95, 0.8, 0.95), line(0.2, 0.5, 0.68, 0.5)],
    [
      curve(0.78, 0.12, 0.45, 0.04, 0.3, 0.28, 0.56, 0.46),
      curve(0.56, 0.46, 0.2, 0.6, 0.32, 0.94, 0.8, 0.86),
    ],
  ],
  F: [[line(0.8, 0.05, 0.22, 0.05, 0.22, 0.95), line(0.22, 0.48, 0.68, 0.48)]],
  G: [
    [arc(0.52, 0.5, 0.38, 0.45, -45, -345), line(0.55, 0.58, 0.88, 0.58)],
    [arc(0.52, 0.5, 0.38, 0.45, -50, -320), line(0.56, 0.56, 0.84, 0.56, 0.84, 0.95)],
  ],
  H: [[line(0.18, 0.05, 0.18, 0.95), line(0.82, 0.05, 0.82, 0.95), line(0.18, 0.5, 0.82, 0.5)]],
  I: [[line(0.5, 0.05, 0.5, 0.95), line(0.28, 0.05, 0.72, 0.05), line(0.28, 0.95, 0.72, 0.95)]],
  J: [
    [curve(0.68, 0.05, 0.68, 0.5, 0.66, 0.8, 0.44, 0.95, 0.2, 0.76)],
    [curve(0.62, 0.05, 0.62, 0.5, 0.6, 0.82, 0.4, 0.95, 0.2, 0.78), line(0.36, 0.05, 0.88, 0.05)],
  ],
  K: [[line(0.22, 0.05, 0.22, 0.95), line(0.8, 0.05, 0.22, 0.54), line(0.38, 0.42, 0.82, 0.95)]],
  L: [[line(0.24, 0.05, 0.24, 0.95, 0.82, 0.95)]],
  M: [
    [line(0.1, 0.95, 0.14, 0.05, 0.5, 0.66, 0.86, 0.05, 0.9, 0.95)],
    [line(0.12, 0.95, 0.12, 0.05, 0.5, 0.95, 0.88, 0.05, 0.88, 0.95)],
  ],
  N: [[line(0.18, 0.95, 0.18, 0.05, 0.82, 0.95, 0.82, 0.05)]],
  O: [[arc(0.5, 0.5, 0.4, 0.45)], [arc(0.5, 0.5, 0.44, 0.42)]],
  P: [[line(0.22, 0.05, 0.22, 0.95), curve(0.22, 0.05, 0.64, 0.07, 0.8, 0.28, 0.64, 0.5, 0.22, 0.54)]],
  Q: [[arc(0.5, 0.46, 0.38, 0.41), line(0.54, 0.64, 0.88, 0.96)]],
  R: [
    [
      line(0.22, 0.05, 0.22, 0.95),
      curve(0.22, 0.05, 0.64, 0.07, 0.78, 0.26, 0.62, 0.46, 0.22, 0.5),
      line(0.46, 0.5, 0.82, 0.95),
    ],
  ],
  S: [
    [curve(0.78, 0.16, 0.5, 0.04, 0.24, 0.2, 0.34, 0.42, 0.64, 0.54, 0.78, 0.76, 0.52, 0.96, 0.2, 0.84)],
    [curve(0.74, 0.1, 0.4, 0.06, 0.28, 0.3, 0.5, 0.48, 0.74, 0.66, 0.62, 0.92, 0.24, 0.9)],
  ],
  T: [[line(0.12, 0.05, 0.88, 0.05), line(0.5, 0.05, 0.5, 0.95)]],
  U: [[curve(0.18, 0.05, 0.18, 0.6, 0.3, 0.88, 0.5, 0.95, 0.7, 0.88, 0.82, 0.6, 0.82, 0.05)]],
  V: [[line(0.12, 0.05, 0.5, 0.95, 0.88, 0.05)]],
  W: [
    [line(0.06, 0.05, 0.28, 0.95, 0.5, 0.3, 0.72, 0.95, 0.94, 0.05)],
    [curve(0.1, 0.05, 0.14, 0.8, 0.34, 0.94, 0.5, 0.5), curve(0.5, 0.5, 0.66, 0.94, 0.86, 0.8, 0.9, 0.05)],
  ],
  X: [[line(0.15, 0.05, 0.85, 0.95), line(0.85, 0.05, 0.15, 0.95)]],
  Y: [
    [line(0.14, 0.05, 0.5, 0.5, 0.86, 0.05), line(0.5, 0.5, 0.5, 0.95)],
    [line(0.18, 0.05, 0.5, 0.5), line(0.86, 0.05, 0.34, 0.95)],
  ],
  Z: [
    [line(0.16, 0.05, 0.84, 0.05, 0.16, 0.95, 0.84, 0.95)],
    [line(0.16, 0.05, 0.84, 0.05, 0.16, 0.95, 0.84, 0.95), line(0.3, 0.5, 0.7, 0.5)],
  ],
};

export type GlyphSet = 'digits' | 'letters' | 'wild-digits';

export interface GlyphOptions {
  readonly seed?: number;
  readonly trainCount?: number;
  readonly heldCount?: number;
}

const GLYPH_SIZE = 32;

const sets: Readonly<
  Record<GlyphSet, { readonly glyphs: Readonly<Record<string, readonly Skeleton[]>>; readonly hand: Hand }>
> = {
  digits: { glyphs: digits, hand: 'plain' },
  letters: { glyphs: letters, hand: 'plain' },
  'wild-digits': { glyphs: digits, hand: 'wild' },
};

const TRAIN_STREAM = 1;
const HELD_STREAM = 2;

/** A glyph dataset; by default 20,000 examples to train on and 2,000 held. */
export function glyphDataset(name: GlyphSet, options: GlyphOptions = {}): ImageDataset {
  const { seed = 0, trainCount = 20_000, heldCount = 2_000 } = options;
  const { glyphs, hand } = sets[name];
  const labels = Object.keys(glyphs).sort();
  const split = (count: number, stream: number): ImageSplit => {
    const source = rng(seed, stream);
    return {
      count,
      label: (i) => i % labels.length,
      pixels: (i) => {
        const r = source.fork(i);
        const out = new Float32Array(GLYPH_SIZE * GLYPH_SIZE);
        drawGlyph(out, GLYPH_SIZE, r.pick(glyphs[labels[i % labels.length]!]!), hand, r);
        return out;
      },
    };
  };
  return {
    kind: 'image',
    name,
    width: GLYPH_SIZE,
    height: GLYPH_SIZE,
    channels: 1,
    labels,
    train: split(trainCount, TRAIN_STREAM),
    held: split(heldCount, HELD_STREAM),
  };
}
