/** Attention masks: sums the additive masks of one attention, and recognises the causal one so that no [S, S] table is needed. */

import { broadcastShapes } from '../../../graph/shape.ts';
import { type IrValue, type Known, knownValue, toKnown } from '../ir.ts';
import { map2, repeats } from './elementwise.ts';
import { derive, reshapeOf } from './operator.ts';

/** Low enough to vanish in any softmax, high enough that two of them do not overflow. */
const FLOOR = -1e30;
const MASKED = -1e4;

const rank4 = (v: IrValue): IrValue =>
  reshapeOf(v, [...Array.from({ length: 4 - v.shape.length }, () => 1), ...v.shape]);

/** Every layer asks about the same mask, which may have millions of entries. */
function remembered<K extends object, V>(compute: (key: K) => V): (key: K) => V {
  const results = new WeakMap<K, V>();
  return (key) => {
    let result = results.get(key);
    if (result === undefined) results.set(key, (result = compute(key)));
    return result;
  };
}

const add = (a: Known, b: Known): Known => map2('float32', 'mask', [a, b], (x, y) => Math.max(FLOOR, x + y));

/** Every batch row (and then every row of the second axis) the same: one of them is enough. */
export function squeezeLeading(k: Known): Known {
  let { shape, data } = k;
  for (const axis of [0, 1].slice(0, k.shape.length - 2)) {
    const n = shape[axis]!;
    // Axis 1 is only looked at once axis 0 is 1, so its copies are consecutive.
    if (n === 1 || shape.slice(0, axis).some((d) => d !== 1)) continue;
    const run = data.length / n;
    if (!repeats(data, run)) continue;
    shape = shape.map((d, i) => (i === axis ? 1 : d));
    data = data.subarray(0, run);
  }
  return { dtype: k.dtype, shape, data };
}

/** The mask of rank 4 without copies, its entries no lower than the floor. */
const squeezed = remembered((m: IrValue): Known => {
  const { dtype, shape, data } = squeezeLeading(toKnown(m));
  const whole = [...Array.from({ length: 4 - shape.length }, () => 1), ...shape];
  return squeezeLeading({ dtype, shape: whole, data: data.map((v) => Math.max(FLOOR, v)) });
});

/** Per row, how many keys are seen where those are the first ones and seen fully; null where a row is otherwise. */
const staircase = remembered((k: Known): readonly number[] | 'no' => {
  const [b, h, rows, columns] = k.shape as [number, number, number, number];
  if (b !== 1 || h !== 1) return 'no';
  const seen: number[] = [];
  for (let r = 0; r < rows; r++) {
    const from = r * columns;
    let n = 0;
    while (n < columns && k.data[from + n] === 0) n++;
    for (let c = n; c < columns; c++) if (!(k.data[from + c]! <= MASKED)) return 'no';
    seen.push(n);
  }
  return seen;
});

const allZero = remembered((k: Known): boolean => k.data.every((v) => v === 0));

function isCausal(k: Known, full: readonly number[]): boolean {
  const [, , rows, columns] = k.shape as [number, number, number, number];
  if (rows !== full[2] || columns !== full[3] || rows > columns) return false;
  const seen = staircase(k);
  return seen !== 'no' && seen.every((n, r) => n === r + 1 + columns - rows);
}

/**
 * @param masks additive, each broadcastable to `full` = [B, H, Sq, Sk]
 * @returns the sum as one mask of rank 4 whose last axis is whole (null: none left), and whether the causal mask was taken out of it
 */
export function combineMasks(
  masks: readonly IrValue[],
  full: readonly number[],
): { mask: IrValue | null; causal: boolean } {
  let known: Known | null = null;
  let unknown: IrValue | null = null;
  for (const mask of masks) {
    if (mask.known && !mask.weight) {
      const k = squeezed(mask);
      known = known ? add(known, k) : k;
    } else {
      const m = rank4(mask);
      unknown = unknown
        ? derive('Add', [unknown, m], {}, broadcastShapes('mask', unknown.shape, m.shape))
        : m;
    }
  }
  if (known) known = squeezeLeading(known);
  const causal = known !== null && isCausal(known, full);
  if (causal || (known && allZero(known))) known = null;
  let mask = unknown;
  if (known) {
    const k = knownValue('mask', known);
    mask = mask ? derive('Add', [mask, k], {}, broadcastShapes('mask', mask.shape, k.shape)) : k;
  }
  if (mask && mask.shape[3] !== full[3]) {
    const shape = [...mask.shape.slice(0, 3), full[3]!];
    mask = derive('Expand', [mask], { shape }, shape);
  }
  return { mask, causal };
}
