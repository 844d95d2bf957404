/** Attention masks: sums the additive masks of one attention, and recognises the causal one so that no [S, S] table is needed. */
import { broadcastShapes } from '../../graph/shape.ts';
import { derive, reshapeOf } from './derive.ts';
import { map2 } from './evaluate.ts';
import { toKnown } from './evaluateOps.ts';
import type { FoldedValue, Known } from './folded.ts';
import { knownValue } from './folded.ts';

/** Low enough to vanish in any softmax, high enough that two of them do not overflow. */
const FLOOR = -1e30;
const MASKED = -1e4;

const rank4 = (v: FoldedValue): FoldedValue =>
  reshapeOf(v, [...Array.from({ length: 4 - v.shape.length }, () => 1), ...v.shape]);

const add = (a: Known, b: Known): Known => map2('float32', 'mask', a, b, (x, y) => Math.max(FLOOR, x + y));

/** Every batch row (and then every row of the second axis) the same: one of them is enough. */
export function squeezeLeading(k: Known): Known {
  let { shape, data } = k;
  for (const axis of [0, 1].slice(0, k.shape.length - 2)) {
    const n = shape[axis]!;
    // Axis 1 is only looked at once axis 0 is 1, so its copies are consecutive.
    if (n === 1 || shape.slice(0, axis).some((d) => d !== 1)) continue;
    const run = data.length / n;
    if (!data.every((v, i) => v === data[i % run])) continue;
    shape = shape.map((d, i) => (i === axis ? 1 : d));
    data = data.slice(0, run);
  }
  return { dtype: k.dtype, shape, data };
}

function isCausal(k: Known, full: readonly number[]): boolean {
  const [b, h, rows, columns] = k.shape as [number, number, number, number];
  if (b !== 1 || h !== 1 || rows !== full[2] || columns !== full[3] || rows > columns) return false;
  return k.data.every((v, i) =>
    i % columns <= Math.floor(i / columns) + columns - rows ? v === 0 : v <= MASKED,
  );
}

/**
 * @param masks additive, each broadcastable to `full` = [B, H, Sq, Sk]
 * @returns the sum as one mask of rank 4 whose last axis is whole (null: none left), and whether the causal mask was taken out of it
 */
export function combineMasks(
  masks: readonly FoldedValue[],
  full: readonly number[],
): { mask: FoldedValue | null; causal: boolean } {
  let known: Known | null = null;
  let unknown: FoldedValue | null = null;
  for (const m of masks.map(rank4)) {
    if (m.known && !m.weight) {
      const k = toKnown(m);
      known = known
        ? add(known, k)
        : add(k, { dtype: 'float32', shape: [1, 1, 1, 1], data: Float64Array.of(0) });
    } else {
      unknown = unknown
        ? derive('Add', [unknown, m], {}, broadcastShapes('mask', unknown.shape, m.shape))
        : m;
    }
  }
  if (known) known = squeezeLeading(known);
  const causal = known !== null && isCausal(known, full);
  if (causal || known?.data.every((v) => v === 0)) known = null;
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
