/** The two tasks of the lab on forgetting: points of a plane in two classes, the old task at one place and the new one at another. */
import { type Rng, rng } from '../lib/rng.ts';
import { REACH, SQUARES } from './protocol.ts';

export interface Points {
  /** [count, 2]. */
  readonly places: Float32Array;
  /** 0 or 1. */
  readonly classes: Int32Array;
}

/** Examples of a task to learn from, and as many others to measure with. */
export const EXAMPLES = 160;

/** Where a point counts to: null where it lies too near to the border to be an example. */
type ClassOf = (x: number, y: number) => 0 | 1 | null;

const RADIUS = 0.9;

/** A disc in a ring. */
const oldClass: ClassOf = (x, y) => {
  const radius = Math.hypot(x, y);
  if (radius < 0.45) return 0;
  return radius > 0.58 && radius < RADIUS ? 1 : null;
};

/** Four quarters, opposite ones alike. */
const newClass: ClassOf = (x, y) => {
  if (Math.hypot(x, y) > RADIUS || Math.min(Math.abs(x), Math.abs(y)) < 0.07) return null;
  return x * y > 0 ? 0 : 1;
};

function pointsOf(random: Rng, middle: number, classOf: ClassOf): Points {
  const places = new Float32Array(2 * EXAMPLES);
  const classes = new Int32Array(EXAMPLES);
  for (let i = 0; i < EXAMPLES; ) {
    const [x, y] = [random.between(-RADIUS, RADIUS), random.between(-RADIUS, RADIUS)];
    const found = classOf(x, y);
    // As many of one class as of the other.
    if (found !== i % 2) continue;
    places.set([middle + x, y], 2 * i);
    classes[i++] = found;
  }
  return { places, classes };
}

export interface TaskPoints {
  readonly learn: Points;
  readonly measure: Points;
}

/** @param apart how far the middle of the new task lies from that of the old one */
export function forgetTasks(
  seed: number,
  apart: number,
): { readonly old: TaskPoints; readonly next: TaskPoints } {
  const random = rng(seed, 21);
  const task = (stream: number, middle: number, classOf: ClassOf): TaskPoints => ({
    learn: pointsOf(random.fork(stream), middle, classOf),
    measure: pointsOf(random.fork(stream + 1), middle, classOf),
  });
  return { old: task(0, -apart / 2, oldClass), next: task(2, apart / 2, newClass) };
}

/** The middles of all squares, row by row from the top, [SQUARES², 2]. */
export function planePlaces(): Float32Array {
  const at = (k: number): number => ((2 * k + 1) / SQUARES - 1) * REACH;
  return Float32Array.from({ length: 2 * SQUARES ** 2 }, (_, i) => {
    const square = i >> 1;
    return i % 2 === 0 ? at(square % SQUARES) : -at(Math.floor(square / SQUARES));
  });
}
