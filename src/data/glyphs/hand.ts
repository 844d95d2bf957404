/** One example: a skeleton written by a random hand. */
import type { Rng } from '../../lib/rng.ts';
import { flatten, type Skeleton } from './strokes.ts';

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

// `board` is the hand of pretraining, chalk on a blackboard; `pavement` is small chalk on a grey pavement, by a hand that takes its time; `wild` keeps
// the shapes and changes everything else: hollow, doubled, dotted or broad-nibbed strokes, turned further, dark on light or light on dark, on
// stripes, checks, slopes and clouds.

export type Hand = 'board' | 'pavement' | 'wild';

interface Ways {
  /** Half a stroke's width in pixels, from … to. */
  readonly half: readonly [number, number];
  /** How high its box is, in sides of the picture, from … to. */
  readonly height: readonly [number, number];
  /** The most that a glyph is turned either way, in radians, and slanted to the right. */
  readonly turn: number;
  readonly slant: number;
  /** How far the points of its strokes stray, in sides of its box. */
  readonly jitter: number;
  /** How light the ground is under what is drawn. */
  readonly ground: number;
}

const WAYS: Readonly<Record<Hand, Ways>> = {
  board: { half: [0.55, 1.9], height: [0.6, 0.84], turn: 0.18, slant: 0.32, jitter: 0.022, ground: 0 },
  pavement: { half: [0.75, 1.9], height: [0.48, 0.63], turn: 0.06, slant: 0.1, jitter: 0.008, ground: 0.5 },
  wild: { half: [0.7, 1.5], height: [0.6, 0.84], turn: 0.55, slant: 0.3, jitter: 0.03, ground: 0 },
};

type Nib = 'solid' | 'hollow' | 'dotted' | 'broad' | 'shadow' | 'beads';

/** Draws `skeleton` into `out` [size·size], values 0 … 1. All that varies comes from `r`. */
export function drawGlyph(out: Float32Array, size: number, skeleton: Skeleton, hand: Hand, r: Rng): void {
  const wild = hand === 'wild';
  const nib: Nib = wild
    ? r.pick(['solid', 'hollow', 'hollow', 'dotted', 'broad', 'shadow', 'beads'] as const)
    : 'solid';
  const ways = WAYS[hand];
  const half = r.between(...ways.half) + (nib === 'hollow' ? 0.9 : 0);
  const lines = place(skeleton, size, r, ways);

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
    out[p] = ways.ground + (1 - ways.ground) * clamp01(v);
  }
}

/** The strokes as polylines in pixels: jittered, bent, slanted, turned, scaled and moved. */
function place(skeleton: Skeleton, size: number, r: Rng, ways: Ways): number[][] {
  const height = size * r.between(...ways.height);
  const width = height * r.between(0.62, 0.98);
  const turn = r.between(-ways.turn, ways.turn);
  const slant = r.between(-0.12, ways.slant);
  const cos = Math.cos(turn);
  const sin = Math.sin(turn);
  const slackX = Math.max(0, size - width) / 2;
  const slackY = Math.max(0, size - height) / 2;
  const x0 = size / 2 + slackX * r.between(-0.3, 0.3);
  const y0 = size / 2 + slackY * r.between(-0.45, 0.45);
  const bend = r.between(-0.05, 0.05);
  const wave = r.between(-0.035, 0.035);
  const phase = r.between(0, 6.283);
  const nudge = (value: number): number => value + ways.jitter * r.normal();
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
