/**
 * Signs that nobody writes: a few random lines, corners, curves and arcs each, joined where a hand would join them. Sign k is the same however
 * many are asked for. No sign is a letter or a digit, and none is another sign: some part of it is {@link FROM_LETTERS} away from all of any
 * letter, or of the letter from all of it, and {@link FROM_OTHERS} with digits and other signs.
 */
import { type Rng, rng } from '../../lib/rng.ts';
import { digits, letters } from './characters.ts';
import { arc, curve, flatten, line, type Skeleton, type Stroke } from './strokes.ts';

const SEED = 20;

/** Least distances of a sign from every letter, and from every digit and other sign, in sides of the box around them. */
export const FROM_LETTERS = 0.3;
export const FROM_OTHERS = 0.2;

/** Points between two of a drawn line, in sides of the box. */
const STEP = 0.05;
/** A box narrower than this is not stretched: a bar stays a bar. */
const LEAST_SIDE = 0.35;

/** Points along the strokes, evenly, in the box around them: x0, y0, x1, y1, … in 0 … 1. */
function outline(skeleton: Skeleton): Float64Array {
  const lines = skeleton.map((stroke) => flatten(stroke, (value) => value));
  const box = [0, 1].map((axis) => {
    const values = lines.flatMap((points) => points.filter((_, k) => k % 2 === axis));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const side = Math.max(LEAST_SIDE, high - low);
    return { low: (low + high - side) / 2, side };
  });
  const out: number[] = [];
  for (const points of lines) {
    const p = points.map((value, k) => (value - box[k % 2]!.low) / box[k % 2]!.side);
    out.push(p[0]!, p[1]!);
    for (let k = 0; k + 3 < p.length; k += 2) {
      const [x, y] = [p[k]!, p[k + 1]!];
      const [dx, dy] = [p[k + 2]! - x, p[k + 3]! - y];
      const steps = Math.ceil(Math.hypot(dx, dy) / STEP);
      for (let s = 1; s <= steps; s++) out.push(x + (dx * s) / steps, y + (dy * s) / steps);
    }
  }
  return Float64Array.from(out);
}

/** Cells to a side of a sheet of distances, which reaches a quarter beyond the box on each side. */
const CELLS = 30;
const cellOf = (value: number): number =>
  Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 0.25) / 1.5) * CELLS)));

/** Points along a sign's strokes, and for each cell of the sheet how far the nearest of them is. */
export interface Shape {
  readonly points: Float64Array;
  readonly nearest: Float64Array;
}

export function shapeOf(skeleton: Skeleton): Shape {
  const points = outline(skeleton);
  const nearest = Float64Array.from({ length: CELLS * CELLS }, (_, cell) => {
    const x = (((cell % CELLS) + 0.5) / CELLS) * 1.5 - 0.25;
    const y = ((Math.floor(cell / CELLS) + 0.5) / CELLS) * 1.5 - 0.25;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < points.length; k += 2)
      least = Math.min(least, (points[k]! - x) ** 2 + (points[k + 1]! - y) ** 2);
    return Math.sqrt(least);
  });
  return { points, nearest };
}

/** How far the point of a that is farthest from b lies from it, or that of b from a, whichever is larger (Hausdorff's distance). */
export function distance(a: Shape, b: Shape): number {
  let most = 0;
  for (const [{ points }, { nearest }] of [
    [a, b],
    [b, a],
  ] as const)
    for (let k = 0; k < points.length; k += 2)
      most = Math.max(most, nearest[CELLS * cellOf(points[k + 1]!) + cellOf(points[k]!)]!);
  return most;
}

type Point = readonly [number, number];

/** Where strokes start, turn and end: a grid of three by four, a little off. */
const point = (r: Rng): Point => [
  0.15 + 0.35 * r.int(3) + r.between(-0.07, 0.07),
  0.06 + 0.29 * r.int(4) + r.between(-0.06, 0.06),
];

function drawStroke(r: Rng, start: Point): { readonly stroke: Stroke; readonly joints: readonly Point[] } {
  const points: Point[] = [start];
  const more = r.pick([1, 1, 2, 2, 3]);
  while (points.length <= more) {
    const next = point(r);
    const [x, y] = points.at(-1)!;
    if (Math.hypot(next[0] - x, next[1] - y) > 0.25) points.push(next);
  }
  const kind = r.int(3);
  if (kind === 0) {
    const [x, y] = start;
    const [rx, ry] = [r.between(0.14, 0.4), r.between(0.16, 0.42)];
    // The start lies on the ellipse at `from`, and its centre towards the middle of the box.
    const from = (Math.atan2(y - 0.5, x - 0.5) * 180) / Math.PI + r.between(-40, 40);
    const turn = r.pick([360, 360, 270, -270, 180, -180]);
    const angle = (from * Math.PI) / 180;
    const [cx, cy] = [x - rx * Math.cos(angle), y - ry * Math.sin(angle)];
    const end = ((from + turn) * Math.PI) / 180;
    return {
      stroke: arc(cx, cy, rx, ry, from, from + turn),
      joints: [start, [cx + rx * Math.cos(end), cy + ry * Math.sin(end)], [2 * cx - x, 2 * cy - y]],
    };
  }
  return { stroke: (kind === 1 ? line : curve)(...points.flat()), joints: points };
}

/** One to four strokes; most begin where an earlier one began, turned or ended. */
function invent(r: Rng): Skeleton {
  const strokes: Stroke[] = [];
  const joints: Point[] = [];
  const count = r.pick([1, 2, 2, 3, 3, 4]);
  for (let k = 0; k < count; k++) {
    const drawn = drawStroke(r, k > 0 && r.chance(0.65) ? r.pick(joints) : point(r));
    strokes.push(drawn.stroke);
    joints.push(...drawn.joints);
  }
  return strokes;
}

/** Whether it stays on its sheet and covers enough of it. */
function fits(skeleton: Skeleton): boolean {
  const values = skeleton.flatMap((stroke) => flatten(stroke, (value) => value));
  const extent = [0, 1].map((axis) => {
    const own = values.filter((_, k) => k % 2 === axis);
    return Math.max(...own) - Math.min(...own);
  });
  return Math.min(...values) > 0 && Math.max(...values) < 1 && extent[0]! > 0.3 && extent[1]! > 0.55;
}

/** The first `count` signs, each with one way of writing it. */
export function signs(count: number): Readonly<Record<string, readonly Skeleton[]>> {
  const shapes = (set: Readonly<Record<string, readonly Skeleton[]>>) =>
    Object.values(set).flat().map(shapeOf);
  const [kept, others] = [shapes(letters), shapes(digits)];
  const out: Record<string, readonly Skeleton[]> = {};
  const r = rng(SEED);
  for (let k = 0; k < count; ) {
    const sign = invent(r);
    if (!fits(sign)) continue;
    const own = shapeOf(sign);
    if (kept.some((letter) => distance(own, letter) < FROM_LETTERS)) continue;
    if (others.some((other) => distance(own, other) < FROM_OTHERS)) continue;
    others.push(own);
    out[`sign ${String(++k).padStart(3, '0')}`] = [sign];
  }
  return out;
}
